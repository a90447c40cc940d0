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

  test('says how grave it is, what is the matter, and what to do', () => {
    expect(['info', 'warning', 'critical']).toContain(alert.labels.severity);
    expect(alert.annotations.summary).not.toBe('');
    expect(alert.annotations.description).toMatch(/\.$/);
  });
});
