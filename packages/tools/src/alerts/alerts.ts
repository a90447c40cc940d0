import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

/** The chart's alerts: a rule file of Prometheus. */
export const RULES_FILE = fileURLToPath(
  new URL('../../../../deploy/chart/egressd/rules/egressd.yaml', import.meta.url),
);

/** https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/ */
interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

/** All of them, in their order. */
export function readAlerts(): Alert[] {
  const { groups } = parse(readFileSync(RULES_FILE, 'utf8')) as { groups: { rules: Alert[] }[] };
  return groups.flatMap(({ rules }) => rules);
}
