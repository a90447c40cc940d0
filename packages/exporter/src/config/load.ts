import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Environment } from '@egressd/daemon/flags';
import { DEFAULT_CONFIG_PATH } from '../flags.ts';
import type { SinkSettings } from '../sinks/settings.ts';
import type { ExporterConfig, LoadedConfig } from './config.ts';
import { doubleCounting } from './double-counting.ts';
import { expandSinks } from './expand.ts';
import { check, formatPath, type Mistake, mistakeLine } from './issues.ts';
import { literalSecrets } from './literal-secrets.ts';
import { configSchema, EXPORT_INTERVAL } from './schema.ts';
import { showConfig } from './show.ts';
import { durationSchema } from './values.ts';
import { withWritten } from './written.ts';
import { readYaml, type YamlText } from './yaml.ts';

/** A longer file is no configuration. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/** Settings of older releases, in which the exporter fetched from the collectors, and what replaces them. */
const UNUSED = {
  collectorsConcurrentFetchCount: 'is not used any more: collectors push',
  collectorFetchTimeout: 'is not used any more: collectors push',
  log: 'is not used any more: set the flag -log-level',
} as const;

/**
 * Loads the configuration.
 * @param path the file that was asked for; undefined: the default one where it exists, else defaults only
 */
export function loadConfig(path: string | undefined, environment: Environment): LoadedConfig {
  const file = path ?? DEFAULT_CONFIG_PATH;
  let text = '';
  try {
    if (statSync(file).size > MAX_CONFIG_BYTES) return wrong(`${file}: is longer than ${MAX_CONFIG_BYTES} bytes`);
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    if (path !== undefined || code !== 'ENOENT')
      return wrong(`${file}: cannot read the configuration: ${READ_ERRORS[code] ?? code}`);
  }
  return readConfig(text, file, environment);
}

const READ_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
};

/**
 * Reads the text of a configuration file, then the environment over it.
 * @param file its path: for messages, and for paths in it, which are relative to its folder
 */
export function readConfig(text: string, file: string, environment: Environment): LoadedConfig {
  const source = readYaml(text, ['headers', 'labels']);
  if (source.mistakes.length > 0) return { ok: false, mistakes: source.mistakes.map((line) => `${file}: ${line}`) };
  const expanded = expandSinks(source.value ?? {}, environment);
  const checked = check(configSchema(dirname(file)), expanded.value);
  const interval = readInterval(environment);
  const mistakes = [
    ...renderInOrder(file, source, expanded.mistakes, checked.ok ? [] : checked.mistakes),
    ...(interval !== undefined && 'mistake' in interval ? [interval.mistake] : []),
  ];
  if (!checked.ok || mistakes.length > 0) return { ok: false, mistakes };
  const { value } = checked;
  const sinks = Object.entries(value.sinks).map(([name, sink]) =>
    withWritten({ name, ...sink }, source.value, expanded.secrets.get(name) ?? []),
  );
  const config: ExporterConfig = {
    exportIntervalMs: interval !== undefined && 'ms' in interval ? interval.ms : value.exportInterval,
    inventory: value.inventory,
    clusterRanges: value.clusterRanges,
    privateRanges: value.privateRanges,
    networks: value.networks,
    networkFiles: value.networkFiles,
    cloudRanges: value.cloudRanges,
    keepUnlisted: value.keepUnlisted,
    metrics: { flows: value.metrics.flows ?? sinks.length === 0 },
    sinks,
  };
  const unused = Object.entries(UNUSED).filter(([key]) => (value[key as keyof typeof UNUSED] ?? null) !== null);
  const warnings = [
    ...unused.map(([key, why]) => `${key} ${why}`),
    ...doubleCounting(sinks),
    ...sinks.filter(lacksPath).map(({ name, kind }) => `${formatPath(['sinks', name, kind, 'url'])} ${NO_PATH[kind]}`),
  ];
  return {
    ok: true,
    config,
    warnings: warnings.map((warning) => `${file}: ${warning}`),
    literalSecrets: literalSecrets(source.value),
    shown: showConfig(config, source.value),
  };
}

/** The warning of a URL without a path: it may be right, and seldom is. */
const NO_PATH: Readonly<Record<string, string>> = {
  http: 'has no path, so requests go to /: end it with / if that is where they belong',
  otlp: 'has no path, so requests go to /: OTLP is taken at a path such as /v1/metrics; end it with / if / is right',
  prom_remote_write:
    'has no path, so requests go to /: databases take remote write at a path such as /api/v1/write; end it with / if / is right',
};

/** A path that is there, be it /, is deliberate. */
function lacksPath(sink: SinkSettings): boolean {
  if (!('url' in sink.settings)) return false;
  return /^\w+:\/\/[^/?#]*([?#].*)?$/.test(sink.settings.url);
}

function wrong(mistake: string): LoadedConfig {
  return { ok: false, mistakes: [mistake] };
}

/** Mistakes in the order of the file. Where a variable is not set, that is the only mistake of its setting. */
function renderInOrder(
  file: string,
  source: YamlText,
  missing: readonly Mistake[],
  others: readonly Mistake[],
): string[] {
  const known = new Set(missing.map((mistake) => formatPath(mistake.path)));
  const all = [...missing, ...others.filter((mistake) => !known.has(formatPath(mistake.path)))];
  return all
    .map((mistake) => ({ mistake, line: source.line(mistake.path) ?? 0 }))
    .sort((a, b) => a.line - b.line)
    .map(({ mistake }) => `${file}: ${source.place(mistake)}`);
}

/** `EXPORT_INTERVAL`; undefined where it is not set. */
function readInterval(environment: Environment): { ms: number } | { mistake: string } | undefined {
  if (!environment.EXPORT_INTERVAL) return undefined;
  const checked = check(durationSchema(EXPORT_INTERVAL), environment.EXPORT_INTERVAL);
  if (checked.ok) return { ms: checked.value };
  return { mistake: `EXPORT_INTERVAL in the environment: ${checked.mistakes.map(mistakeLine).join(', ')}` };
}
