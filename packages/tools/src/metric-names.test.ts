import { createRegistry } from '@egressd/daemon/metrics';
import { describe, expect, test } from '@jest/globals';
import type { Registry } from 'prom-client';
import { collectorRegistry, exporterRegistry } from './docs/self-metrics.ts';

/** Metrics that dashboards know without the name of a daemon in them. */
const KNOWN = new Set([
  'egressd_exported_events_total',
  'egressd_dropped_events_total',
  'egressd_conntrack_entries',
  'egressd_conntrack_entries_active',
]);
/** Of `/metrics` beside the self metrics: traffic. */
const TRAFFIC = ['transmit_bytes', 'received_bytes', 'transmit_packets', 'received_packets'].map(
  (it) => `egressd_${it}`,
);

async function metricsOf(...registries: readonly Registry[]) {
  return (await Promise.all(registries.map((registry) => registry.getMetricsAsJSON()))).flat();
}

describe.each([
  ['collector', collectorRegistry()],
  ['exporter', exporterRegistry()],
])('metrics of the %s', (daemon, registry) => {
  test('begin with its name, but those that were known before', async () => {
    const names = (await metricsOf(registry)).map(({ name }) => name);
    expect(names.length).toBeGreaterThan(30);
    expect(names.filter((name) => !name.startsWith(`egressd_${daemon}_`) && !KNOWN.has(name))).toEqual([]);
  });

  test('end with _total where they are counters, and only there', async () => {
    const metrics = await metricsOf(registry, createRegistry());
    const wrong = metrics.filter(({ name, type }) => name.endsWith('_total') !== (String(type) === 'counter'));
    expect(wrong.map(({ name }) => name)).toEqual([]);
  });

  // A family is a counter without _total: beside the counter `a_total` there must be no gauge `a`.
  test('are families of their own in OpenMetrics', async () => {
    const families = (await metricsOf(registry, createRegistry())).map(({ name }) => name.replace(/_total$/, ''));
    expect(new Set([...families, ...TRAFFIC]).size).toBe(families.length + TRAFFIC.length);
  });
});
