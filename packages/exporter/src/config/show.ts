import { formatDuration } from '@egressd/daemon/duration';
import type { Fields } from '@egressd/daemon/log';
import { stringify } from 'yaml';
import { maskUrl } from '../sinks/http/settings.ts';
import type { SinkSettings } from '../sinks/settings.ts';
import type { ExporterConfig } from './config.ts';
import { at } from './written.ts';

const MASK = '***';

/**
 * The configuration as YAML without secrets: URLs as in the file (`${VAR}` is not replaced, user, password and query are masked),
 * headers without their values, labels and attributes as in the file.
 * @param file the value of the configuration file before `${VAR}` was replaced
 */
export function showConfig(config: ExporterConfig, file: unknown): string {
  const sinks = config.sinks.map((sink) => [
    sink.name,
    { [sink.kind]: showSink(sink, (key) => at(file, 'sinks', sink.name, sink.kind, key) ?? {}) },
  ]);
  const shown = {
    exportInterval: formatDuration(config.exportIntervalMs),
    inventory: config.inventory,
    clusterRanges: config.clusterRanges,
    privateRanges: config.privateRanges,
    networks: config.networks,
    networkFiles: config.networkFiles,
    cloudRanges: config.cloudRanges,
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
    networks: config.networks.length || undefined,
    'network-files': config.networkFiles.join(',') || undefined,
    'cloud-ranges': config.cloudRanges,
    'keep-unlisted': config.keepUnlisted ? undefined : false,
    'metrics-flows': config.metrics.flows,
    sinks: config.sinks.map((sink) => `${sink.name}:${sink.kind}`).join(','),
  };
}

/** @param inFile a setting as in the file */
function showSink(sink: SinkSettings, inFile: (key: string) => unknown): object {
  if (sink.kind === 'file' || sink.kind === 'stdout') return sink.settings;
  const { timeoutMs, written, ...settings } = sink.settings;
  return {
    ...settings,
    url: maskUrl(written?.url ?? settings.url),
    ...(settings.proxyUrl === undefined ? {} : { proxyUrl: maskUrl(written?.proxyUrl ?? settings.proxyUrl) }),
    headers: Object.fromEntries(Object.keys(settings.headers).map((name) => [name, MASK])),
    ...('labels' in settings ? { labels: inFile('labels') } : {}),
    ...('resourceAttributes' in settings ? { resourceAttributes: inFile('resourceAttributes') } : {}),
    timeout: formatDuration(timeoutMs),
  };
}
