import { SILENT } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { type Database, OTLP_DATABASES, type QueryRow, startDatabase } from '@egressd/world/receivers/database';
import { TestReceiver } from '@egressd/world/receivers/test-receiver';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Series } from '../../aggregate/snapshot.ts';
import type { Mode } from '../delivery/frame.ts';
import { createSinkMetrics } from '../delivery/metrics.ts';
import { SinkDelivery } from '../delivery/sink-delivery.ts';
import { STARTED_MS, testSeries, testSnapshot, until } from '../testing.ts';
import type { OtlpSettings } from './settings.ts';
import { createOtlpSink } from './sink.ts';

const MINUTE = 60_000;
/** Everything here happens in the half hour before now. */
const BEGIN_MS = Math.floor(Date.now() / MINUTE) * MINUTE - 30 * MINUTE;
const END_MS = BEGIN_MS + 29 * MINUTE;
const [A, B, C] = [1, 2, 3].map((id) => testSeries(id)) as [Series, Series, Series];

// Debian has none of them: `packages/tools/setup/otlp-receivers.sh` builds them.
for (const kind of OTLP_DATABASES)
  describe(kind, () => {
    const isPrometheus = kind.startsWith('prometheus');
    let database: Database;
    let exporter: TestExporter;

    beforeAll(async () => {
      database = await startDatabase(kind);
    });
    afterEach(() => exporter.stop());
    afterAll(() => database.stop());

    /** An exporter of its own process: `service.instance.id` is the run unless it is left to the sink. */
    function start(afterMs: number, run: string, changes: Partial<OtlpSettings> = {}): TestExporter {
      const resourceAttributes = { 'service.name': run };
      exporter = new TestExporter(database.otlpUrl, BEGIN_MS + afterMs, { resourceAttributes, ...changes });
      return exporter;
    }

    /** All samples of a run. */
    const samples = (run: string) =>
      database.query(
        `{__name__="egressd_transmit_bytes_total",${isPrometheus ? 'job' : '"service.name"'}="${run}"}[30m]`,
        END_MS,
      );

    test('counters: their increase is what was counted, also over a restart and the end of a series', async () => {
      const first = start(0, 'counters');
      await first.send(1 * MINUTE, [A], [100]);
      await first.send(2 * MINUTE, [A, B], [150, 7]);
      await first.send(3 * MINUTE, [A, B], [150, 9]);
      await first.send(4 * MINUTE, [A], [400], { evicted: [B] });
      await first.send(5 * MINUTE, [A, C], [400, 2 ** 50 + 1]);
      await first.stop();
      const second = start(6 * MINUTE, 'counters');
      await second.send(6 * MINUTE + 5000, [A, B], [30, 3]);
      await second.send(8 * MINUTE, [A, B], [45, 4]);
      await second.send(9 * MINUTE, [A], [45], { evicted: [B] });
      const found = await samples('counters');
      expect(increasesOf(found)).toEqual({ 'pod-1': 445, 'pod-2': 13, 'pod-3': 2 ** 50 + 1 });
      // Two processes are two instances: five series, each from zero on.
      expect(found.map((row) => row.samples[0]!.value)).toEqual([0, 0, 0, 0, 0]);
      // A point without a value ends the series at once.
      const alive = await database.query('count(egressd_transmit_bytes_total{src_pod="pod-2"})', BEGIN_MS + 9 * MINUTE);
      expect(alive).toEqual([]);
    });

    test('every metric keeps its name, and labels are those of remote write where they are asked for', async () => {
      const series = testSeries(9, { dst_pod: 'a"b\\c', dst_ip: '2001:db8::1', dst_node: '' });
      const all = { sendReceivedBytesMetric: true, sendPacketsMetric: true, regionLabels: true };
      await start(0, 'names', all).send(1 * MINUTE, [series], [8]);
      const rows = await database.query('{src_pod="pod-9"}', BEGIN_MS + MINUTE);
      expect(rows.map(({ labels }) => labels.__name__).sort()).toEqual([
        'egressd_received_bytes_total',
        'egressd_received_packets_total',
        'egressd_transmit_bytes_total',
        'egressd_transmit_packets_total',
      ]);
      expect(rows[0]!.labels).toMatchObject({
        cross_zone: 'true',
        dst_ip: '2001:db8::1',
        dst_pod: 'a"b\\c',
        proto: 'TCP',
        scope: 'cross_zone',
        src_region: 'region',
      });
    });

    test('names of the conventions: Prometheus writes _ for a dot', async () => {
      await start(0, 'dots', { attributeNames: 'conventions' }).send(1 * MINUTE, [testSeries(8)], [8]);
      const name = isPrometheus ? 'source_k8s_pod_name' : '"source.k8s.pod.name"';
      const rows = await database.query(`egressd_transmit_bytes_total{${name}="pod-8"}`, BEGIN_MS + MINUTE);
      expect(rows.map((row) => row.samples[0]!.value)).toEqual([8]);
    });

    test('deltas', async () => {
      const of = start(0, 'deltas');
      await of.offer(1 * MINUTE, [A], [100], { mode: 'delta' });
      await of.offer(2 * MINUTE, [A], [130], { mode: 'delta' });
      if (isPrometheus) {
        await until(() => of.statuses.length > 0);
        expect(new Set(of.statuses)).toEqual(new Set(['rejected 500']));
        return;
      }
      await until(() => of.accepted(2 * MINUTE));
      expect((await samples('deltas')).flatMap((row) => row.samples.map(({ value }) => value))).toEqual([100, 30]);
    });

    test('a request whose answer is lost is sent again, and counts once', async () => {
      let lost = 0;
      const between = await TestReceiver.start(async (received, response) => {
        const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'gzip' };
        const answer = await fetch(database.otlpUrl, { method: 'POST', headers, body: new Uint8Array(received.body) });
        if (received.headers['idempotency-key'] === between.requests.at(-2)?.headers['idempotency-key']) {
          response.writeHead(answer.status).end(await answer.text());
          return;
        }
        lost++;
        response.socket?.destroy();
      });
      const of = start(0, 'lost', { url: between.url });
      await of.send(1 * MINUTE, [A, B], [100, 5]);
      await of.send(2 * MINUTE, [A, B], [130, 5]);
      await of.stop();
      await between.close();
      expect(lost).toBe(3);
      expect(increasesOf(await samples('lost'))).toEqual({ 'pod-1': 130, 'pod-2': 5 });
    });

    test('a series that the database refuses does not hold up the others', async () => {
      const series = Array.from({ length: 50 }, (_, id) => testSeries(id));
      const fixed = { resourceAttributes: { 'service.name': 'refused', 'service.instance.id': 'same' } };
      const other = start(0, 'refused', fixed);
      await other.send(10 * MINUTE, [series[7]!], [1000]);
      await other.stop();
      // Its points are older than what is there.
      const late = start(0, 'refused', fixed);
      for (const [minute, total] of [[1, 5], [12, 6]] as const) await late.send(minute * MINUTE, series, series.map(() => total)); // biome-ignore format: one line
      const increases = increasesOf(await samples('refused'));
      expect(Object.keys(increases)).toHaveLength(50);
      expect(Object.entries(increases).filter(([pod, increase]) => pod !== 'pod-7' && increase !== 6)).toEqual([]);
      if (isPrometheus) expect(increases['pod-7']).toBe(1006);
    });
  });

/** By source pod: the increase of its counters, as far as two samples can tell. */
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
  /** Outcome and status of each request that was not stored. */
  readonly statuses: string[] = [];
  readonly #delivery: SinkDelivery;
  #acceptedMs = 0;

  constructor(url: string, startedMs: number, changes: Partial<OtlpSettings>) {
    const settings: OtlpSettings = {
      url,
      headers: {},
      resourceAttributes: {},
      attributeNames: 'labels',
      sendReceivedBytesMetric: false,
      sendPacketsMetric: false,
      regionLabels: false,
      timeoutMs: 20_000,
      maxSeries: 100_000,
      ...changes,
    };
    const metrics = createSinkMetrics(createRegistry());
    this.#delivery = new SinkDelivery({
      sink: createOtlpSink({ name: 'db', settings, version: 'test', environment: {} }),
      startedMs,
      intervalMs: MINUTE,
      metrics: {
        ...metrics,
        request: (_sink, outcome, status) => {
          if (outcome !== 'ok') this.statuses.push(`${outcome} ${status}`);
        },
      },
      log: SILENT,
      onAccepted: ({ timeMs }) => {
        this.#acceptedMs = timeMs;
      },
    });
  }

  accepted(afterMs: number): boolean {
    return this.#acceptedMs === BEGIN_MS + afterMs;
  }

  /** Offers totals at a time after `BEGIN_MS`, and gives the request a moment. */
  async offer(
    afterMs: number,
    series: readonly Series[],
    totals: readonly number[],
    { evicted = [] as readonly Series[], mode = 'counter' as Mode } = {},
  ): Promise<void> {
    this.#delivery.offer(testSnapshot(BEGIN_MS + afterMs - STARTED_MS, series, totals, evicted), mode);
    const before = this.statuses.length;
    await until(() => this.accepted(afterMs) || this.statuses.length > before);
  }

  /** The same, and waits until they are accepted. */
  async send(...[afterMs, ...rest]: Parameters<TestExporter['offer']>): Promise<void> {
    await this.offer(afterMs, ...rest);
    await until(() => this.accepted(afterMs));
  }

  async stop(): Promise<void> {
    await this.#delivery.close(5000);
  }
}
