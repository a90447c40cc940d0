import { describe, expect, test } from '@jest/globals';
import { selfMetrics } from '../docs/self-metrics.ts';
import { readAlerts } from './alerts.ts';

describe.each(readAlerts().map((alert) => [alert.alert, alert] as const))('%s', (_, alert) => {
  test('watches metrics that the daemons show', async () => {
    const tables = Object.values(await selfMetrics()).join('');
    const names = alert.expr.match(/egressd_\w+/g) ?? [];
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !tables.includes(`\`${name}\``))).toEqual([]);
  });

  test('has a severity, a summary that names the node or pod, and a description that says what to do', () => {
    expect(['info', 'warning', 'critical']).toContain(alert.labels.severity);
    // Where nothing relabels, as without the operator, the instance has to do.
    const place = /egressd_exporter_|egressd_dropped_/.test(alert.expr) ? 'pod' : 'node';
    expect(alert.annotations.summary).toContain(`{{ or $labels.${place} $labels.instance }}`);
    expect(alert.annotations.description).toMatch(/\.$/);
  });

  test('keeps the labels of its target', () => {
    expect(alert.expr).not.toMatch(/\b(sum|min|max|avg|count|topk|by|without)\b/);
  });
});
