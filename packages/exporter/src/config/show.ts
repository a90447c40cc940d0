import { formatDuration } from '@egressd/daemon/duration';
import type { Fields } from '@egressd/daemon/log';
import { stringify } from 'yaml';
import type { SinkSettings } from '../sinks/settings.ts';
import type { ExporterConfig } from './config.ts';

const MASK = '***';

/**
 * The configuration as YAML without secrets: URLs as in the file (`${VAR}` is not replaced, user, password and query are masked),
 * headers without their values.
 * @param file the value of the configuration file before `${VAR}` was replaced
 */
export function showConfig(config: ExporterConfig, file: unknown): string {
  const sinks = config.sinks.map((sink) => [sink.name, { [sink.kind]: showSink(sink, at(file, 'sinks', sink.name)) }]);
  const shown = {
    exportInterval: formatDuration(config.exportIntervalMs),
    inventory: config.inventory,
    clusterRanges: config.clusterRanges,
    privateRanges: config.privateRanges,
    keepUnlisted: config.keepUnlisted,
    metrics: config.metrics,
    sinks: Object.fromEntries(sinks),
  };
  return stringify(shown, { aliasDuplicateObjects: false, lineWidth: 0 });
}

/** The configuration as fields of the log line at the exporter's start. */
export function describeConfig(config: ExporterConfig): Fields {
  return {
    'export-interval': formatDuration(config.exportIntervalMs),
    inventory: config.inventory,
    'cluster-ranges': config.clusterRanges.join(',') || undefined,
    'private-ranges': config.privateRanges.join(',') || undefined,
    'keep-unlisted': config.keepUnlisted ? undefined : false,
    'metrics-flows': config.metrics.flows,
    sinks: config.sinks.map((sink) => `${sink.name}:${sink.kind}`).join(','),
  };
}

function showSink(sink: SinkSettings, written: unknown): object {
  if (sink.kind === 'file' || sink.kind === 'stdout') return sink.settings;
  const { timeoutMs, ...settings } = sink.settings;
  return {
    ...settings,
    url: maskUrl(String(at(written, sink.kind, 'url'))),
    ...(settings.proxyUrl === undefined ? {} : { proxyUrl: maskUrl(String(at(written, sink.kind, 'proxyUrl'))) }),
    headers: Object.fromEntries(Object.keys(settings.headers).map((name) => [name, MASK])),
    timeout: formatDuration(timeoutMs),
  };
}

/** Masks what can be a secret in a URL: its user and password, and its query. */
function maskUrl(url: string): string {
  return url.replace(/\/\/.*@/, `//${MASK}@`).replace(/\?.*/s, `?${MASK}`);
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], value);
}
