import { checkHttpSettings, type HttpSettings, type SettingIssue } from '../http/settings.ts';
import { checkLabelChoice, isDefaultChoice, type LabelChoice, REGION_LABELS } from '../label-sets/settings.ts';

/** Settings of an `http` sink, under the names of the configuration file. */
export interface HttpSinkSettings extends HttpSettings, LabelChoice {
  readonly method: 'POST' | 'PUT';
  /** `Content-Encoding` of a body; empty: none. */
  readonly compression: 'gzip' | '';
  /** `protobuf`: a `PodNetworkMetricBatch`. `json`: one object a line. `loki`: the same objects as log lines of a push of Loki. */
  readonly encoding: (typeof ENCODINGS)[number];
  /** Of Loki's stream, beside `service_name`, over which they win. */
  readonly labels: Readonly<Record<string, string>>;
  /** Cardinality limit: series at the receiver; those beyond are folded into `~other`. */
  readonly maxSeries: number;
}

/** Values of `encoding`. */
export const ENCODINGS = ['protobuf', 'json', 'loki'] as const;

/** What is wrong with the settings beyond their types, everything at once. */
export function checkHttpPostSettings(settings: HttpSinkSettings): SettingIssue[] {
  const issues = checkHttpSettings(settings);
  const names = Object.keys(settings.labels);
  if (names.length > 0 && settings.encoding !== 'loki')
    issues.push({
      path: ['labels'],
      message: 'only a stream of Loki has labels: set encoding to loki, or leave them out',
    });
  for (const name of names)
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name))
      issues.push({
        path: ['labels', name],
        message: 'not the name of a label, expected letters, digits and _, no digit first',
      });
  if (settings.encoding === 'protobuf' && !isDefaultChoice(settings))
    issues.push({
      path: ['encoding'],
      message: 'protobuf has fields for the labels of pods only: set encoding to json, or leave the label set as it is',
    });
  issues.push(...checkLabelChoice(settings, REGION_LABELS));
  return issues;
}
