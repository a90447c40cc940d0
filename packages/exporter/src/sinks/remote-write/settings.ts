import { checkHttpSettings, type HttpSettings, type SettingIssue } from '../http/settings.ts';
import { checkLabelChoice, chosenLabels, LABEL_SETS, type LabelChoice, REGION_LABELS } from '../label-sets/settings.ts';

/** Settings of a `prom_remote_write` sink, under the names of the configuration file. */
export interface RemoteWriteSettings extends HttpSettings, LabelChoice {
  /** Added to every series. One with an empty value is left out. */
  readonly labels: Readonly<Record<string, string>>;
  /** Also `egressd_received_bytes_total`. */
  readonly sendReceivedBytesMetric: boolean;
  /** Also `egressd_transmit_packets_total` and, with `sendReceivedBytesMetric`, `egressd_received_packets_total`. */
  readonly sendPacketsMetric: boolean;
  /** Also the labels `src_region`, `dst_region` and `scope`. */
  readonly regionLabels: boolean;
  /** Cardinality limit: series at the receiver; those beyond are folded into `~other`. */
  readonly maxSeries: number;
  /** The message that is sent, by its name in Prometheus's configuration; not set: the first. */
  readonly protobufMessage?: (typeof PROTOBUF_MESSAGES)[number];
}

/** Remote write 1.0 and 2.0. */
export const PROTOBUF_MESSAGES = ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'] as const;

/** `maxSeries` where none is set. */
export const DEFAULT_MAX_SERIES = 100_000;

/** Labels of every release, also where they are switched off: a custom label may not have their names. */
const RESERVED: readonly string[] = [...LABEL_SETS.pods, ...REGION_LABELS];

/** What is wrong with the settings beyond their types, everything at once. */
export function checkRemoteWriteSettings(settings: RemoteWriteSettings): SettingIssue[] {
  const always = settings.regionLabels ? REGION_LABELS : [];
  const issues = [...checkHttpSettings(settings), ...checkLabelChoice(settings, always)];
  const own = new Set<string>([...RESERVED, ...chosenLabels(settings, always)]);
  for (const name of Object.keys(settings.labels)) {
    const path = ['labels', name];
    // https://prometheus.io/docs/concepts/data_model/: names that begin with __ are the database's own.
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name))
      issues.push({ path, message: 'not the name of a label, expected letters, digits and _, no digit first' });
    else if (name.startsWith('__'))
      issues.push({ path, message: 'names that begin with __ are reserved to the database' });
    else if (own.has(name)) issues.push({ path, message: 'egressd sets this label itself: choose another name' });
  }
  if (!Number.isSafeInteger(settings.maxSeries) || settings.maxSeries < 1)
    issues.push({ path: ['maxSeries'], message: 'expected a whole number from 1' });
  return issues;
}
