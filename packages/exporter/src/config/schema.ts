import { resolve } from 'node:path';
import { formatDuration, parseDuration } from '@egressd/daemon/duration';
import { parseRange } from '@egressd/flow/address';
import { z } from 'zod';
import { DEFAULT_TIMEOUT_MS } from '../sinks/http-settings.ts';
import {
  checkRemoteWriteSettings,
  DEFAULT_MAX_SERIES,
  type RemoteWriteSettings,
} from '../sinks/remote-write/settings.ts';

/** Time between two snapshots, in milliseconds. */
export const EXPORT_INTERVAL = { default: 60_000, min: 100, max: 3_600_000 };
/** Of one request, in milliseconds. */
const TIMEOUT = { default: DEFAULT_TIMEOUT_MS, min: 100, max: 600_000 };

/** A duration in milliseconds between two bounds, written as Go writes them. */
export function durationSchema(bounds: { default: number; min: number; max: number }) {
  const [min, max, example] = [bounds.min, bounds.max, bounds.default].map(formatDuration);
  return z.unknown().transform((given, context) => {
    const ms = typeof given === 'string' ? parseDuration(given) : undefined;
    if (ms !== undefined && ms >= bounds.min && ms <= bounds.max) return ms;
    context.addIssue({ code: 'custom', message: `expected a duration from ${min} to ${max}, such as ${example}` });
    return z.NEVER;
  });
}

/** A setting that may be left out, or left empty. */
function orElse<S extends z.ZodType, T>(schema: S, fallback: T) {
  return schema.nullish().transform((value): z.output<S> | T => value ?? fallback);
}

const flag = orElse(z.boolean(), false);
/** A range of addresses, as it is written. */
const range = z.string().refine((text) => parseRange(text) !== undefined, {
  error: ({ input }) => `expected a range of addresses such as 10.0.0.0/8, ${JSON.stringify(input)} is none`,
});
const texts = orElse(z.record(z.string(), z.string()), {} as Record<string, string>);

/**
 * The schema of the configuration file, `${VAR}` replaced.
 * @param folder what paths in it are relative to
 */
export function configSchema(folder: string) {
  const path = z
    .string()
    .min(1)
    .transform((given) => resolve(folder, given));
  return z.strictObject({
    podIP: orElse(z.string(), ''),
    podNamespace: orElse(z.string(), ''),
    exportInterval: orElse(durationSchema(EXPORT_INTERVAL), EXPORT_INTERVAL.default),
    inventory: orElse(path, undefined),
    clusterRanges: orElse(z.array(range), [] as string[]),
    metrics: orElse(z.strictObject({ flows: orElse(z.boolean(), undefined) }), { flows: undefined }),
    sinks: orElse(z.record(z.string(), sinkSchema(path)), {}),
    collectorsConcurrentFetchCount: z.unknown().optional(),
    collectorFetchTimeout: z.unknown().optional(),
  });
}

type PathSchema = z.ZodPipe<z.ZodString, z.ZodTransform<string, string>>;

const KINDS = ['http', 'prom_remote_write'] as const;

/** Checks that look at several settings run also where one of them is wrong, so that every mistake is told at once. */
const ALWAYS = { when: () => true };

/** One sink: exactly one of the kinds. */
function sinkSchema(path: PathSchema) {
  const kinds = z.strictObject({
    http: httpSchema().optional(),
    prom_remote_write: remoteWriteSchema(path).optional(),
  });
  return kinds
    .superRefine((sink: unknown, context) => {
      if (!isMap(sink)) return;
      const found = KINDS.filter((kind) => Object.hasOwn(sink, kind));
      const unknown = context.issues.some((issue) => issue.code === 'unrecognized_keys');
      const say = (message: string, at: string[] = []) => context.addIssue({ code: 'custom', path: at, message });
      if (found.length > 1) say(`expected exactly one of ${KINDS.join(' and ')}, found both`);
      else if (found[0] === 'http')
        say('http sinks are not built yet: take this sink out, or use prom_remote_write', ['http']);
      else if (found.length === 0 && !unknown) say(`expected exactly one of ${KINDS.join(' and ')}, found none`);
    }, ALWAYS)
    .transform((sink) => ({ kind: 'prom_remote_write' as const, settings: sink.prom_remote_write! }));
}

/** Settings of an `http` sink. */
function httpSchema() {
  return z.strictObject({
    url: z.string(),
    method: orElse(z.enum(['POST', 'PUT']), 'POST'),
    compression: orElse(z.enum(['gzip', '']), ''),
    encoding: orElse(z.literal('protobuf'), 'protobuf'),
    timeout: orElse(durationSchema(TIMEOUT), TIMEOUT.default),
    headers: texts,
  });
}

function remoteWriteSchema(path: PathSchema) {
  const tls = z.strictObject({
    caFile: orElse(path, undefined),
    certFile: orElse(path, undefined),
    keyFile: orElse(path, undefined),
    serverName: orElse(z.string(), undefined),
    insecureSkipVerify: flag,
  });
  const fields = z.strictObject({
    url: z.string(),
    headers: texts,
    labels: texts,
    sendReceivedBytesMetric: flag,
    sendPacketsMetric: flag,
    regionLabels: flag,
    timeout: orElse(durationSchema(TIMEOUT), TIMEOUT.default),
    maxSeries: orElse(z.int().min(1), DEFAULT_MAX_SERIES),
    tls: orElse(tls, undefined),
    basicAuth: orElse(z.strictObject({ username: z.string(), passwordFile: path }), undefined),
    bearerTokenFile: orElse(path, undefined),
    proxyUrl: orElse(z.string(), undefined),
  });
  return fields
    .superRefine((settings: unknown, context) => {
      for (const issue of checkRemoteWriteSettings(wellTyped(settings)))
        context.addIssue({ code: 'custom', path: [...issue.path], message: issue.message });
    }, ALWAYS)
    .transform(({ timeout, ...rest }): RemoteWriteSettings => ({ ...rest, timeoutMs: timeout }));
}

/** Settings as far as their types are right, harmless ones in place of the rest. */
function wellTyped(settings: unknown): RemoteWriteSettings {
  const given = isMap(settings) ? settings : {};
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  const textsOf = (value: unknown) =>
    Object.fromEntries(Object.entries(isMap(value) ? value : {}).filter(([, inner]) => typeof inner === 'string'));
  return {
    url: text(given.url) ?? 'http://unknown',
    headers: textsOf(given.headers) as Record<string, string>,
    labels: textsOf(given.labels) as Record<string, string>,
    proxyUrl: text(given.proxyUrl),
    bearerTokenFile: text(given.bearerTokenFile),
    basicAuth: isMap(given.basicAuth) ? { username: '', passwordFile: '' } : undefined,
    tls: isMap(given.tls) ? given.tls : undefined,
    // Checked by their types alone.
    sendReceivedBytesMetric: false,
    sendPacketsMetric: false,
    regionLabels: false,
    timeoutMs: TIMEOUT.default,
    maxSeries: DEFAULT_MAX_SERIES,
  };
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
