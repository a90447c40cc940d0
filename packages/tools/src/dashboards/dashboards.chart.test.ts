import { SILENT } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import type { Series, SeriesLabels } from '@egressd/exporter/aggregate/snapshot';
import { createSinkMetrics } from '@egressd/exporter/sinks/delivery/metrics';
import { SinkDelivery } from '@egressd/exporter/sinks/delivery/sink-delivery';
import type { RemoteWriteSettings } from '@egressd/exporter/sinks/remote-write/settings';
import { createRemoteWriteSink } from '@egressd/exporter/sinks/remote-write/sink';
import { STARTED_MS, testSeries, testSnapshot, until } from '@egressd/exporter/sinks/testing';
import { DATABASES, type Database, startDatabase } from '@egressd/world/receivers/database';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type DeliveryMode, overview, type Panel } from './panels.ts';

const MINUTE_MS = 60_000;
const MINUTES = 20;
/**
 * The half hour before now: what a database takes. Not at whole minutes, as no exporter is: where a sample lies exactly between two
 * windows of `sum_over_time`, a Prometheus before 3.0 counts it in both.
 */
const BEGIN_MS = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 30 * MINUTE_MS + 12_345;
const END_MS = Math.ceil((BEGIN_MS + MINUTES * MINUTE_MS) / MINUTE_MS) * MINUTE_MS;

/** What a panel's variables stand for: the whole time. */
const RANGE_MS = 30 * MINUTE_MS;
const VARIABLES: Readonly<Record<string, string>> = {
  $__range: `${RANGE_MS}ms`,
  $__rate_interval: '4m',
  $__interval_ms: String(MINUTE_MS),
  $__interval: '1m',
  $cluster: '.*',
  $namespace: '.*',
};

const WITHIN: Partial<SeriesLabels> = { dst_zone: 'zone-a', cross_zone: false, scope: 'same_zone' };
const OUT: Partial<SeriesLabels> = {
  ...{ dst_ip: '203.0.113.9', dst_ip_type: 'public', dst_pod: '', dst_namespace: '', dst_node: '', dst_zone: '' },
  ...{ dst_region: '', cross_zone: false, scope: 'internet' },
};

/** Three kinds of traffic, and what each moves in a minute. */
const SERIES: readonly { readonly series: Series; readonly perMinute: number }[] = [
  { series: testSeries(1), perMinute: 6000 },
  { series: testSeries(2, { ...WITHIN }), perMinute: 60_000 },
  { series: testSeries(3, { ...OUT }), perMinute: 600 },
];
const [ACROSS, INSIDE, OUTSIDE] = SERIES.map(({ perMinute }) => perMinute * MINUTES) as [number, number, number];

/** What panels must add up to, over all their rows. */
const SUMS: Readonly<Record<string, number>> = {
  'To the internet': OUTSIDE,
  'Across zones': ACROSS,
  'All that pods sent': ACROSS + INSIDE + OUTSIDE,
  'Pods, to the internet': OUTSIDE,
  'Pods, across zones': ACROSS,
  'Who to whom, across zones': ACROSS,
  'Who to whom': ACROSS + INSIDE,
  'From zone to zone': ACROSS + INSIDE,
  'Public addresses': OUTSIDE,
};
/** Bytes a second. */
const RATES: Readonly<Record<string, number>> = {
  Traffic: (ACROSS + INSIDE + OUTSIDE) / MINUTES / 60,
  'Zone to zone': ACROSS / MINUTES / 60,
  'To the internet, by namespace': OUTSIDE / MINUTES / 60,
  'By namespace': (ACROSS + INSIDE + OUTSIDE) / MINUTES / 60,
};

/** Writes the series as an exporter does, a snapshot a minute. */
async function fill({ writeUrl }: Database, mode: DeliveryMode): Promise<void> {
  const settings: RemoteWriteSettings = {
    ...{ url: writeUrl, headers: {}, labels: {}, timeoutMs: 20_000, maxSeries: 1000 },
    ...{ sendReceivedBytesMetric: false, sendPacketsMetric: false, regionLabels: false },
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

/** The sum over all rows that a panel shows at the end. */
async function show(database: Database, { query }: Panel): Promise<number> {
  const expression = query.replace(/\$\w+/g, (name) => VARIABLES[name] ?? name);
  const rows = await database.query(expression, END_MS);
  return rows.reduce((sum, { samples }) => sum + samples[0]!.value, 0);
}

describe.each(DATABASES)('%s', (kind) => {
  describe.each(['counter', 'delta'] as const)('%s', (mode) => {
    const panels = overview(mode).flatMap((section) => section.panels);
    const ofTraffic = panels.filter(({ query }) => query.includes('egressd_transmit_bytes_total'));
    let database: Database;

    beforeAll(async () => {
      database = await startDatabase(kind);
      await fill(database, mode);
    });
    afterAll(() => database.stop());

    test.each(ofTraffic.map((panel) => [panel.title, panel] as const))('%s', async (title, panel) => {
      const expected = SUMS[title] ?? RATES[title];
      expect(expected).toBeDefined();
      const shown = await show(database, panel);
      // Prometheus guesses what lies beyond the first and the last sample of a range.
      if (kind === 'prometheus' || title in RATES) expect(Math.abs(shown / expected! - 1)).toBeLessThan(0.1);
      else expect(shown).toBe(expected);
    });

    test.each(panels.filter((panel) => !ofTraffic.includes(panel)).map((panel) => [panel.title, panel] as const))(
      '%s is a query, of metrics that are not here',
      async (_, panel) => {
        expect(await show(database, panel)).toBe(0);
      },
    );
  });
});
