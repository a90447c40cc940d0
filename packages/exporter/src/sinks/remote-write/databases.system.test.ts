import { createLog } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { DATABASES, type Database, type QueryRow, startDatabase } from '@egressd/world/receivers/database';
import { TestReceiver } from '@egressd/world/receivers/test-receiver';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Series } from '../../aggregate/snapshot.ts';
import type { Mode } from '../delivery/frame.ts';
import { createSinkMetrics } from '../delivery/metrics.ts';
import { SinkDelivery } from '../delivery/sink-delivery.ts';
import { STARTED_MS, testSeries, testSnapshot, until } from '../testing.ts';
import type { RemoteWriteSettings } from './settings.ts';
import { createRemoteWriteSink } from './sink.ts';

const MINUTE = 60_000;
/** Everything here happens in the half hour before now. */
const BEGIN_MS = Math.floor(Date.now() / MINUTE) * MINUTE - 30 * MINUTE;
const END_MS = BEGIN_MS + 29 * MINUTE;

describe.each(DATABASES)('%s', (kind) => {
  let database: Database;
  let exporter: TestExporter;

  beforeAll(async () => {
    database = await startDatabase(kind);
  });
  afterEach(() => exporter.stop());
  afterAll(() => database.stop());

  /** An exporter of its own process, as the database sees it: totals from zero, nothing known of another. */
  function start(
    afterMs: number,
    run: string,
    changes: Partial<RemoteWriteSettings> = {},
    intervalMs = MINUTE,
  ): TestExporter {
    exporter = new TestExporter(database.writeUrl, BEGIN_MS + afterMs, { labels: { run }, ...changes }, intervalMs);
    return exporter;
  }

  /** A number for each source pod of a run. */
  async function ask(expression: string, timeMs = END_MS): Promise<Record<string, number>> {
    const rows = await database.query(`sum by (src_pod) (${expression})`, timeMs);
    return Object.fromEntries(rows.map(({ labels, samples }) => [labels.src_pod, samples[0]!.value]));
  }

  const samples = (run: string) => database.query(`egressd_transmit_bytes_total{run="${run}"}[30m]`, END_MS);

  test('counters: their increase is what was counted, also over a restart and the end of a series', async () => {
    const [a, b, c] = [1, 2, 3].map((id) => testSeries(id));
    const first = start(0, 'counters');
    await first.send(1 * MINUTE, [a!], [100]);
    await first.send(2 * MINUTE, [a!, b!], [150, 7]);
    await first.send(3 * MINUTE, [a!, b!], [150, 9]);
    await first.send(4 * MINUTE, [a!], [400], { evicted: [b!] });
    await first.send(5 * MINUTE, [a!, c!], [400, 2 ** 50 + 1]);
    await first.stop();
    const second = start(6 * MINUTE, 'counters');
    await second.send(6 * MINUTE + 5000, [a!, b!], [30, 3]);
    await second.send(8 * MINUTE, [a!, b!], [45, 4]);
    await second.send(9 * MINUTE, [a!], [45], { evicted: [b!] });

    const expected = { 'pod-1': 445, 'pod-2': 13, 'pod-3': 2 ** 50 + 1 };
    expect(increasesOf(await samples('counters'))).toEqual(expected);
    // increase() of Prometheus extends to the ends of its range: it is exact where these are the first and the last sample.
    for (const { labels, samples: found } of await samples('counters')) {
      const [from, to] = [found[0]!.timeMs, found.at(-1)!.timeMs];
      const selector = `egressd_transmit_bytes_total{run="counters",src_pod="${labels.src_pod}"}`;
      const increase = await ask(`increase(${selector}[${to - from}ms])`, to);
      expect(increase).toEqual({ [labels.src_pod!]: expected[labels.src_pod as keyof typeof expected] });
    }
    if (kind === 'victoria-metrics')
      expect(await ask('increase(egressd_transmit_bytes_total{run="counters"}[30m])')).toEqual(expected);

    // The stale marker ends the series at once, five minutes before the staleness lookback would.
    const at = (afterMs: number) => ask('egressd_transmit_bytes_total{run="counters"}', BEGIN_MS + afterMs);
    expect(await at(8 * MINUTE)).toEqual({ 'pod-1': 45, 'pod-2': 4, 'pod-3': 2 ** 50 + 1 });
    expect(await at(9 * MINUTE)).toEqual({ 'pod-1': 45, 'pod-3': 2 ** 50 + 1 });
  });

  test('deltas: their sum is what was counted', async () => {
    const [a, b] = [1, 2].map((id) => testSeries(id));
    const first = start(0, 'deltas');
    await first.send(1 * MINUTE, [a!, b!], [100, 5], { mode: 'delta' });
    await first.send(2 * MINUTE, [a!, b!], [100, 7], { mode: 'delta' });
    await first.send(3 * MINUTE, [a!], [450], { mode: 'delta', evicted: [b!] });
    await first.stop();
    await start(4 * MINUTE, 'deltas').send(5 * MINUTE, [a!], [3], { mode: 'delta' });
    expect(await ask('sum_over_time(egressd_transmit_bytes_total{run="deltas"}[30m])')).toEqual({
      'pod-1': 453,
      'pod-2': 7,
    });
    expect((await samples('deltas')).flatMap((row) => row.samples).length).toBe(5);
  });

  test('a request whose answer is lost is sent again, and counts once', async () => {
    const [a, b] = [1, 2].map((id) => testSeries(id));
    let lost = 0;
    const between = await TestReceiver.start(async (received, response) => {
      const headers = Object.entries(received.headers).filter(
        ([name]) => !/^(host|connection|content-length)$/.test(name),
      );
      const answer = await fetch(database.writeUrl, {
        method: 'POST',
        headers: Object.fromEntries(headers) as Record<string, string>,
        body: received.body,
      });
      if (received.headers['idempotency-key'] === between.requests.at(-2)?.headers['idempotency-key']) {
        response.writeHead(answer.status).end(await answer.text());
        return;
      }
      lost++;
      response.socket?.destroy();
    });
    const through = { url: between.url };
    const first = start(0, 'answer-lost', through);
    await first.send(1 * MINUTE, [a!, b!], [100, 5]);
    await first.send(2 * MINUTE, [a!, b!], [130, 5]);
    await first.send(3 * MINUTE, [a!], [130], { evicted: [b!] });
    expect(increasesOf(await samples('answer-lost'))).toEqual({ 'pod-1': 130, 'pod-2': 5 });
    // Two start, two go on, one goes on and one ends.
    expect(lost).toBe(4);
    await first.stop();
    // Deltas count once only where the database drops a sample that it has. VictoriaMetrics keeps it, unless it runs with
    // -dedup.minScrapeInterval=1ms: one reason why counters are the default.
    const second = start(4 * MINUTE, 'delta-lost', through);
    await second.send(5 * MINUTE, [a!], [100], { mode: 'delta' });
    await second.send(6 * MINUTE, [a!], [130], { mode: 'delta' });
    await second.stop();
    await between.close();
    const sum = await ask('sum_over_time(egressd_transmit_bytes_total{run="delta-lost"}[30m])');
    expect(sum).toEqual({ 'pod-1': kind === 'prometheus' ? 130 : 260 });
  });

  test('every metric and label arrives as it was sent', async () => {
    const series = testSeries(1, { dst_pod: 'a"b\\c\n', dst_ip: '2001:db8::1', dst_node: '' });
    await start(0, 'all', {
      labels: { run: 'all', Team: 'ü', none: '' },
      sendReceivedBytesMetric: true,
      sendPacketsMetric: true,
      regionLabels: true,
    }).send(1 * MINUTE, [series], [8]);
    const rows = await database.query('{run="all"}', BEGIN_MS + 1 * MINUTE);
    expect(rows.map(({ labels }) => labels.__name__).sort()).toEqual([
      'egressd_received_bytes_total',
      'egressd_received_packets_total',
      'egressd_transmit_bytes_total',
      'egressd_transmit_packets_total',
    ]);
    expect(rows[0]!.labels).toEqual({
      __name__: rows[0]!.labels.__name__,
      Team: 'ü',
      run: 'all',
      cross_zone: 'true',
      dst_ip: '2001:db8::1',
      dst_ip_type: 'private',
      dst_namespace: 'shop',
      dst_pod: 'a"b\\c\n',
      dst_region: 'region',
      dst_zone: 'zone-b',
      proto: 'TCP',
      scope: 'cross_zone',
      src_ip: '10.0.0.1',
      src_namespace: 'shop',
      src_node: 'node-a',
      src_pod: 'pod-1',
      src_region: 'region',
      src_zone: 'zone-a',
    });
  });

  test('2.0 by setting: it answers 204 and stores nothing of it, so 1.0 goes, with all of it', async () => {
    const [a, b] = [1, 2].map((id) => testSeries(id));
    const exporter = start(0, 'second', { protobufMessage: 'io.prometheus.write.v2.Request' });
    await exporter.send(1 * MINUTE, [a!], [100]);
    await exporter.send(2 * MINUTE, [a!, b!], [150, 7]);
    expect(increasesOf(await samples('second'))).toEqual({ 'pod-1': 150, 'pod-2': 7 });
    expect(exporter.lines).toEqual([expect.stringMatching(/answered 204 to remote write 2\.0.*1\.0 from now on/)]);
  });

  test('a gap of six minutes: windows of any length find what was counted in it', async () => {
    const series = Array.from({ length: 5 }, (_, id) => testSeries(id));
    const exporter = start(0, 'gap', {}, 5000);
    const bytesASecond = 1000;
    const total = (afterMs: number) => (afterMs / 1000) * bytesASecond;
    // At odd moments, as an exporter that started at any time.
    for (let at = 5000 + 3200; at <= 28 * MINUTE; at += 5000) {
      if (at > 11 * MINUTE && at < 17 * MINUTE + 10_000) continue;
      await exporter.send(
        at,
        series,
        series.map(() => total(at)),
      );
    }
    const truth = 5 * total(28 * MINUTE);
    // In steps as long as the window. Prometheus extends a rise beyond its samples, the more the sooner a window ends after the gap. Where the border
    // of two windows lies in the one interval between the repeated value and the first new one, neither finds the rise.
    for (const window of [1, 5]) {
      let found = 0;
      for (let at = window; at <= 30; at += window) {
        const expression = `sum(increase(egressd_transmit_bytes_total{run="gap"}[${window}m]))`;
        const rows = await database.query(expression, BEGIN_MS + at * MINUTE);
        found += rows[0]?.samples[0]?.value ?? 0;
      }
      expect(found / truth).toBeGreaterThan(0.97);
      expect(found / truth).toBeLessThan(1.03);
    }
  });

  test('a large snapshot arrives whole, and what has no room as ~other', async () => {
    const series = Array.from({ length: 25_000 }, (_, id) => testSeries(id));
    const totals = series.map((_, id) => id);
    await start(0, 'large', { maxSeries: 24_000 }).send(1 * MINUTE, series, totals);
    const sum = await database.query('sum(egressd_transmit_bytes_total{run="large"})', BEGIN_MS + MINUTE);
    const count = await database.query('count(egressd_transmit_bytes_total{run="large"})', BEGIN_MS + MINUTE);
    expect(sum[0]!.samples[0]!.value).toBe((25_000 * 24_999) / 2);
    expect(count[0]!.samples[0]!.value).toBe(24_001);
  });

  test('a series that the database refuses does not hold up the others, and goes in full once it may', async () => {
    const series = Array.from({ length: 50 }, (_, id) => testSeries(id));
    const other = start(0, 'refused');
    await other.send(10 * MINUTE, [series[7]!], [1000]);
    await other.stop();
    // Its samples are older than what is there: Prometheus answers 400 to the whole request, VictoriaMetrics takes them.
    const late = start(0, 'refused');
    await late.send(
      1 * MINUTE,
      series,
      series.map(() => 5),
    );
    await late.send(
      12 * MINUTE,
      series,
      series.map(() => 6),
    );
    const increases = increasesOf(await samples('refused'));
    expect(Object.keys(increases)).toHaveLength(50);
    expect(Object.entries(increases).filter(([pod, increase]) => pod !== 'pod-7' && increase !== 6)).toEqual([]);
    if (kind === 'prometheus') expect(increases['pod-7']).toBe(1006);
  });
});

/** By source pod: the increase of its counter, resets included, as far as two samples can tell. */
function increasesOf(rows: readonly QueryRow[]): Record<string, number> {
  const increases: Record<string, number> = {};
  for (const { labels, samples } of rows) {
    const pod = labels.src_pod!;
    for (const [i, { value }] of samples.entries()) {
      const before = i === 0 ? value : samples[i - 1]!.value;
      increases[pod] = (increases[pod] ?? 0) + (value < before ? value : value - before);
    }
  }
  return increases;
}

/** One sink and its delivery. */
class TestExporter {
  readonly #startedMs: number;
  readonly #delivery: SinkDelivery;
  #acceptedMs = 0;
  /** Warnings. */
  readonly lines: string[] = [];

  constructor(url: string, startedMs: number, changes: Partial<RemoteWriteSettings>, intervalMs: number) {
    const settings: RemoteWriteSettings = {
      url,
      headers: {},
      labels: {},
      sendReceivedBytesMetric: false,
      sendPacketsMetric: false,
      regionLabels: false,
      timeoutMs: 20_000,
      maxSeries: 100_000,
      ...changes,
    };
    this.#startedMs = startedMs;
    this.#delivery = new SinkDelivery({
      sink: createRemoteWriteSink({ name: 'db', settings, version: 'test', environment: {} }),
      startedMs,
      intervalMs,
      metrics: createSinkMetrics(createRegistry()),
      log: createLog('warn', (line) => this.lines.push(line)),
      onAccepted: ({ timeMs }) => {
        this.#acceptedMs = timeMs;
      },
    });
  }

  /** Offers totals at a time after `BEGIN_MS`, and waits until they are accepted. */
  async send(
    afterMs: number,
    series: readonly Series[],
    totals: readonly number[],
    { evicted = [] as readonly Series[], mode = 'counter' as Mode } = {},
  ): Promise<void> {
    const timeMs = BEGIN_MS + afterMs;
    if (timeMs <= this.#startedMs) throw new Error('BUG: the exporter has not started yet');
    this.#delivery.offer(testSnapshot(timeMs - STARTED_MS, series, totals, evicted), mode);
    await until(() => this.#acceptedMs === timeMs);
  }

  async stop(): Promise<void> {
    await this.#delivery.close(5000);
  }
}
