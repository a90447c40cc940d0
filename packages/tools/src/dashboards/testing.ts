import { SILENT } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import type { Series, SeriesLabels } from '@egressd/exporter/aggregate/snapshot';
import { createSinkMetrics } from '@egressd/exporter/sinks/delivery/metrics';
import { SinkDelivery } from '@egressd/exporter/sinks/delivery/sink-delivery';
import type { RemoteWriteSettings } from '@egressd/exporter/sinks/remote-write/settings';
import { createRemoteWriteSink } from '@egressd/exporter/sinks/remote-write/sink';
import { STARTED_MS, testSeries, testSnapshot, until } from '@egressd/exporter/sinks/testing';
import type { Database } from '@egressd/world/receivers/database';
import type { DashboardSet, DeliveryMode } from './panels.ts';

/** Traffic in a database, for tests of queries. */

export const MINUTE_MS = 60_000;
export const MINUTES = 20;
/**
 * The half hour before now: what a database takes. Not at whole minutes, as no exporter is: where a sample lies exactly between two
 * windows of `sum_over_time`, a Prometheus before 3.0 counts it in both.
 */
const BEGIN_MS = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 30 * MINUTE_MS + 12_345;
export const END_MS = Math.ceil((BEGIN_MS + MINUTES * MINUTE_MS) / MINUTE_MS) * MINUTE_MS;

const WITHIN: Partial<SeriesLabels> = { dst_zone: 'zone-a', cross_zone: false, scope: 'same_zone' };
const OUT: Partial<SeriesLabels> = {
  ...{ dst_ip: '203.0.113.9', dst_ip_type: 'public', dst_pod: '', dst_namespace: '', dst_node: '', dst_zone: '' },
  ...{ dst_region: '', cross_zone: false, scope: 'internet' },
};

/** Three kinds of traffic, and what each moves in a minute. */
export const SERIES: readonly { readonly series: Series; readonly perMinute: number }[] = [
  { series: testSeries(1), perMinute: 6000 },
  { series: testSeries(2, { ...WITHIN }), perMinute: 60_000 },
  { series: testSeries(3, { ...OUT }), perMinute: 600 },
];
/** Writes the series as an exporter does, a snapshot a minute. */
export async function fill({ writeUrl }: Database, mode: DeliveryMode, labelSet: DashboardSet = 'pods'): Promise<void> {
  const settings: RemoteWriteSettings = {
    ...{ url: writeUrl, headers: {}, labels: {}, timeoutMs: 20_000, maxSeries: 1000 },
    ...{ sendReceivedBytesMetric: false, sendPacketsMetric: false, regionLabels: false, labelSet },
  };
  let acceptedMs = 0;
  const delivery = new SinkDelivery({
    sink: createRemoteWriteSink({ name: 'db', settings, version: 'test', environment: {} }),
    startedMs: BEGIN_MS,
    intervalMs: MINUTE_MS,
    metrics: createSinkMetrics(createRegistry()),
    log: SILENT,
    onAccepted: ({ timeMs }) => {
      acceptedMs = timeMs;
    },
  });
  const series = SERIES.map((each) => each.series);
  for (let minute = 1; minute <= MINUTES; minute++) {
    const timeMs = BEGIN_MS + minute * MINUTE_MS;
    const totals = SERIES.map(({ perMinute }) => perMinute * minute);
    delivery.offer(testSnapshot(timeMs - STARTED_MS, series, totals), mode);
    await until(() => acceptedMs === timeMs);
  }
  await delivery.close(1000);
}
