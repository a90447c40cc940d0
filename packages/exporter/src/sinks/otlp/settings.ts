import type { CounterSettings } from '../counters.ts';
import { checkHttpSettings, type HttpSettings, type SettingIssue } from '../http/settings.ts';
import { checkLabelChoice, type LabelChoice, REGION_LABELS } from '../label-sets/settings.ts';

/** Settings of an `otlp` sink, under the names of the configuration file. */
export interface OtlpSettings extends HttpSettings, CounterSettings, LabelChoice {
  /**
   * Attributes of the resource, beside `service.name` and `service.instance.id`, over which they win. One with an empty value is left
   * out.
   */
  readonly resourceAttributes: Readonly<Record<string, string>>;
  /** Names of the attributes of a data point: by OpenTelemetry's conventions, or the labels that remote write has. */
  readonly attributeNames: (typeof ATTRIBUTE_NAMES)[number];
  /** Also the regions of both ends, and the scope. */
  readonly regionLabels: boolean;
  /** Cardinality limit: series at the receiver; those beyond are folded into `~other`. */
  readonly maxSeries: number;
}

/** Values of `attributeNames`. */
export const ATTRIBUTE_NAMES = ['conventions', 'labels'] as const;

/** What is wrong with the settings beyond their types, everything at once. */
export function checkOtlpSettings(settings: OtlpSettings): SettingIssue[] {
  const always = settings.regionLabels ? REGION_LABELS : [];
  const issues = [...checkHttpSettings(settings), ...checkLabelChoice(settings, always)];
  for (const name of Object.keys(settings.resourceAttributes))
    if (!/^[\x21-\x7e]+$/.test(name))
      issues.push({
        path: ['resourceAttributes', name],
        message: 'not the name of an attribute, expected one such as k8s.cluster.name, without spaces',
      });
  return issues;
}
