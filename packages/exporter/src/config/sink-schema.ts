import { z } from 'zod';
import { DEFAULT_MAX_FILES, DEFAULT_MAX_SIZE_MB, type FileSinkSettings } from '../sinks/file/settings.ts';
import { DEFAULT_TIMEOUT_MS, type HttpSettings, type SettingIssue } from '../sinks/http/settings.ts';
import { checkHttpPostSettings, ENCODINGS, type HttpSinkSettings } from '../sinks/http-post/settings.ts';
import {
  checkLabelChoice,
  DEFAULT_LABEL_SET,
  LABEL_NAMES,
  LABEL_SETS,
  type LabelChoice,
  type LabelName,
  type LabelSetName,
  REGION_LABELS,
} from '../sinks/label-sets/settings.ts';
import { ATTRIBUTE_NAMES, checkOtlpSettings, type OtlpSettings } from '../sinks/otlp/settings.ts';
import {
  checkRemoteWriteSettings,
  DEFAULT_MAX_SERIES,
  PROTOBUF_MESSAGES,
  type RemoteWriteSettings,
} from '../sinks/remote-write/settings.ts';
import type { SinkSettings } from '../sinks/settings.ts';
import type { StdoutSinkSettings } from '../sinks/stdout/settings.ts';
import { durationSchema, offByDefault, orElse, type PathSchema, stringMap } from './values.ts';

/** Of one request, in milliseconds. */
const TIMEOUT = { default: DEFAULT_TIMEOUT_MS, min: 100, max: 600_000 };

const KINDS = ['http', 'prom_remote_write', 'otlp', 'file', 'stdout'] as const;
const ONE_OF_KINDS = `expected exactly one of ${KINDS.slice(0, -1).join(', ')} and ${KINDS.at(-1)}`;

/** A sink's kind and settings. */
type OneSink = SinkSettings extends infer Each ? (Each extends SinkSettings ? Omit<Each, 'name'> : never) : never;

/** Checks of several settings run also where one of them is wrong, so that every mistake is reported at once. */
const ALWAYS = { when: () => true };

const maxSeries = orElse(z.int().min(1), DEFAULT_MAX_SERIES);

const labelNames = orElse(z.array(z.enum(LABEL_NAMES)), [] as LabelName[]);
/** Where nothing is set. */
const DEFAULT_LABELS = { labelSet: DEFAULT_LABEL_SET, addLabels: [], omitLabels: [] };

/** What every sink says of its labels. */
const labelFields = {
  labelSet: orElse(z.enum(Object.keys(LABEL_SETS) as LabelSetName[]), DEFAULT_LABELS.labelSet),
  addLabels: labelNames,
  omitLabels: labelNames,
};

/** All sinks, by name. */
export function sinksSchema(path: PathSchema) {
  return z.record(z.string(), sinkSchema(path)).superRefine((sinks, context) => {
    const writers = new Map<string, string>();
    for (const [name, sink] of Object.entries(sinks)) {
      if (sink.kind !== 'file') continue;
      const other = writers.get(sink.settings.path);
      const message = `the sink ${other} writes this file already: each sink needs one of its own`;
      if (other !== undefined) context.addIssue({ code: 'custom', path: [name, 'file', 'path'], message });
      else writers.set(sink.settings.path, name);
    }
  });
}

/** One sink: exactly one of the kinds. */
function sinkSchema(path: PathSchema) {
  const kinds = z.strictObject({
    http: httpSchema(path).optional(),
    prom_remote_write: remoteWriteSchema(path).optional(),
    otlp: otlpSchema(path).optional(),
    file: fileSchema(path).optional(),
    // No setting is required: `stdout:` alone is valid.
    stdout: stdoutSchema().nullish(),
  });
  return kinds
    .superRefine((sink: unknown, context) => {
      if (!isMap(sink)) return;
      const found = KINDS.filter((kind) => Object.hasOwn(sink, kind));
      const unknown = context.issues.some((issue) => issue.code === 'unrecognized_keys');
      if (found.length === 1 || (found.length === 0 && unknown)) return;
      const message = `${ONE_OF_KINDS}, found ${found.length === 0 ? 'none' : found.join(' and ')}`;
      context.addIssue({ code: 'custom', message });
    }, ALWAYS)
    .transform((sink): OneSink => {
      if (sink.http !== undefined) return { kind: 'http', settings: sink.http };
      if (sink.prom_remote_write !== undefined) return { kind: 'prom_remote_write', settings: sink.prom_remote_write };
      if (sink.otlp !== undefined) return { kind: 'otlp', settings: sink.otlp };
      if (sink.file !== undefined) return { kind: 'file', settings: sink.file };
      return { kind: 'stdout', settings: sink.stdout ?? { maxSeries: DEFAULT_MAX_SERIES, ...DEFAULT_LABELS } };
    });
}

/** Settings of every HTTP sink, beside `url`. */
function httpFields(path: PathSchema) {
  const tls = z.strictObject({
    caFile: orElse(path, undefined),
    certFile: orElse(path, undefined),
    keyFile: orElse(path, undefined),
    serverName: orElse(z.string(), undefined),
    insecureSkipVerify: offByDefault,
  });
  return {
    timeout: orElse(durationSchema(TIMEOUT), TIMEOUT.default),
    tls: orElse(tls, undefined),
    basicAuth: orElse(z.strictObject({ username: z.string(), passwordFile: path }), undefined),
    bearerTokenFile: orElse(path, undefined),
    proxyUrl: orElse(z.string(), undefined),
  };
}

function httpSchema(path: PathSchema) {
  const fields = z.strictObject({
    url: z.string(),
    method: orElse(z.enum(['POST', 'PUT']), 'POST'),
    encoding: orElse(z.enum(ENCODINGS), 'protobuf'),
    labels: stringMap,
    compression: orElse(z.enum(['gzip', '']), ''),
    headers: stringMap,
    maxSeries,
    ...labelFields,
    ...httpFields(path),
  });
  return fields
    .superRefine((settings: unknown, context) => {
      const given = isMap(settings) ? settings : {};
      const encoding = ENCODINGS.find((name) => name === given.encoding) ?? ENCODINGS[0];
      const typed = {
        ...wellTyped(settings),
        ...labelChoiceOf(settings),
        ...HTTP_CHECKED_BY_TYPE,
        encoding,
        labels: stringsOf(given.labels),
      };
      addIssues(checkHttpPostSettings(typed), context);
    }, ALWAYS)
    .transform(({ timeout, ...rest }): HttpSinkSettings => ({ ...rest, timeoutMs: timeout }));
}

function remoteWriteSchema(path: PathSchema) {
  const fields = z.strictObject({
    url: z.string(),
    headers: stringMap,
    labels: stringMap,
    sendReceivedBytesMetric: offByDefault,
    sendPacketsMetric: offByDefault,
    regionLabels: offByDefault,
    protobufMessage: orElse(z.enum(PROTOBUF_MESSAGES), PROTOBUF_MESSAGES[0]),
    maxSeries,
    ...labelFields,
    ...httpFields(path),
  });
  return fields
    .superRefine((settings: unknown, context) => {
      const labels = stringsOf(isMap(settings) ? settings.labels : undefined);
      const regions = regionsOf(settings);
      addIssues(
        checkRemoteWriteSettings({
          ...wellTyped(settings),
          ...labelChoiceOf(settings),
          ...CHECKED_BY_TYPE,
          ...regions,
          labels,
        }),
        context,
      );
    }, ALWAYS)
    .transform(({ timeout, ...rest }): RemoteWriteSettings => ({ ...rest, timeoutMs: timeout }));
}

function otlpSchema(path: PathSchema) {
  const fields = z.strictObject({
    url: z.string(),
    headers: stringMap,
    resourceAttributes: stringMap,
    attributeNames: orElse(z.enum(ATTRIBUTE_NAMES), 'conventions'),
    sendReceivedBytesMetric: offByDefault,
    sendPacketsMetric: offByDefault,
    regionLabels: offByDefault,
    maxSeries,
    ...labelFields,
    ...httpFields(path),
  });
  return fields
    .superRefine((settings: unknown, context) => {
      const resourceAttributes = stringsOf(isMap(settings) ? settings.resourceAttributes : undefined);
      const typed = {
        ...wellTyped(settings),
        ...labelChoiceOf(settings),
        ...CHECKED_BY_TYPE,
        ...regionsOf(settings),
        attributeNames: ATTRIBUTE_NAMES[0],
        resourceAttributes,
      };
      addIssues(checkOtlpSettings(typed), context);
    }, ALWAYS)
    .transform(({ timeout, ...rest }): OtlpSettings => ({ ...rest, timeoutMs: timeout }));
}

/** Checks of a label choice where that is all that there is to check. */
function checkLabels(settings: unknown, context: z.core.$RefinementCtx): void {
  addIssues(checkLabelChoice(labelChoiceOf(settings), REGION_LABELS), context);
}

function fileSchema(path: PathSchema) {
  return z
    .strictObject({
      path,
      maxSizeMB: orElse(z.int().min(1), DEFAULT_MAX_SIZE_MB),
      maxFiles: orElse(z.int().min(1), DEFAULT_MAX_FILES),
      maxSeries,
      ...labelFields,
    })
    .superRefine(checkLabels, ALWAYS) satisfies z.ZodType<FileSinkSettings>;
}

function stdoutSchema() {
  return z
    .strictObject({ maxSeries, ...labelFields })
    .superRefine(checkLabels, ALWAYS) satisfies z.ZodType<StdoutSinkSettings>;
}

const HTTP_CHECKED_BY_TYPE = { method: 'POST', compression: '', maxSeries: DEFAULT_MAX_SERIES } as const;
const CHECKED_BY_TYPE = {
  sendReceivedBytesMetric: false,
  sendPacketsMetric: false,
  regionLabels: false,
  maxSeries: DEFAULT_MAX_SERIES,
};

function addIssues(issues: readonly SettingIssue[], context: z.core.$RefinementCtx): void {
  for (const { path, message } of issues) context.addIssue({ code: 'custom', path: [...path], message });
}

/** Settings as far as their types are right, valid ones in place of the rest. */
function wellTyped(settings: unknown): HttpSettings {
  const given = isMap(settings) ? settings : {};
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  return {
    url: text(given.url) ?? 'http://unknown',
    headers: stringsOf(given.headers),
    proxyUrl: text(given.proxyUrl),
    bearerTokenFile: text(given.bearerTokenFile),
    basicAuth: isMap(given.basicAuth) ? { username: '', passwordFile: '' } : undefined,
    tls: isMap(given.tls) ? given.tls : undefined,
    timeoutMs: TIMEOUT.default,
  };
}

/** A label choice as far as its types are right. */
function labelChoiceOf(settings: unknown): LabelChoice {
  const given = isMap(settings) ? settings : {};
  const names = (value: unknown) => (Array.isArray(value) ? LABEL_NAMES.filter((name) => value.includes(name)) : []);
  const labelSet = (Object.keys(LABEL_SETS) as LabelSetName[]).find((name) => name === given.labelSet);
  return { labelSet, addLabels: names(given.addLabels), omitLabels: names(given.omitLabels) };
}

function regionsOf(settings: unknown): { regionLabels: boolean } {
  return { regionLabels: isMap(settings) && settings.regionLabels === true };
}

function stringsOf(value: unknown): Record<string, string> {
  const entries = Object.entries(isMap(value) ? value : {});
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
