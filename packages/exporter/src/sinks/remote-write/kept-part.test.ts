import { SILENT } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { written } from '@egressd/world/receivers/remote-write-2';
import { status, TestReceiver } from '@egressd/world/receivers/test-receiver';
import { WriteLedger, type WriteSample } from '@egressd/world/receivers/write-ledger';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Mode } from '../delivery/frame.ts';
import { createSinkMetrics } from '../delivery/metrics.ts';
import { SinkDelivery } from '../delivery/sink-delivery.ts';
import { STARTED_MS, testSeries, testSnapshot, until, VirtualTimers } from '../testing.ts';
import type { RemoteWriteSettings } from './settings.ts';
import { createRemoteWriteSink } from './sink.ts';

/** Four times ten that are taken, and then forty in a row that are not. */
const COUNT = 200;

let receiver: TestReceiver;
beforeEach(async () => {
  receiver = await TestReceiver.start();
});
afterEach(() => receiver.close());

/** What a series has counted in the database, by its samples. */
function totalOf(samples: readonly WriteSample[]): number {
  const last = new Map<string, number>();
  let total = 0;
  for (const { labels, value } of samples) {
    const before = last.get(labels.src_pod!);
    if (value === undefined) continue;
    if (before !== undefined) total += value < before ? value : value - before;
    last.set(labels.src_pod!, value);
  }
  return total;
}

test.each<[Mode, boolean, RemoteWriteSettings['protobufMessage']]>([
  ['counter', true, 'prometheus.WriteRequest'],
  ['counter', false, 'prometheus.WriteRequest'],
  ['delta', true, 'prometheus.WriteRequest'],
  ['delta', false, 'prometheus.WriteRequest'],
  ['counter', true, 'io.prometheus.write.v2.Request'],
  ['delta', true, 'io.prometheus.write.v2.Request'],
])('a limit is met and lifted: the same total, %ss, good part kept: %s, %s', async (mode, keeps, protobufMessage) => {
  const ledger = new WriteLedger();
  const stored: WriteSample[] = [];
  let lifted = false;
  receiver.answer = (received, response) => {
    const refuses = ({ src_pod }: WriteSample['labels']) =>
      !lifted && Number(src_pod?.slice(4)) % 50 >= 10 ? 'per-user series limit of 100 exceeded' : undefined;
    const { fresh, stored: count, refused } = ledger.take(ledger.read(received), keeps, refuses);
    stored.push(...fresh);
    const code = refused === undefined ? 204 : 400;
    if (protobufMessage === 'prometheus.WriteRequest') return status(code, {}, refused)(received, response);
    written(response, count, code, refused);
  };
  const settings: RemoteWriteSettings = {
    url: receiver.url,
    headers: {},
    labels: {},
    sendReceivedBytesMetric: false,
    sendPacketsMetric: false,
    regionLabels: false,
    timeoutMs: 5000,
    maxSeries: 100_000,
    protobufMessage: protobufMessage!,
  };
  const registry = createRegistry();
  let accepted = 0;
  const delivery = new SinkDelivery({
    sink: createRemoteWriteSink({ name: 'db', settings, version: 'test', environment: {} }),
    startedMs: STARTED_MS,
    intervalMs: 60_000,
    metrics: createSinkMetrics(registry),
    log: SILENT,
    onAccepted: ({ timeMs }) => {
      accepted = timeMs - STARTED_MS;
    },
    timers: new VirtualTimers(),
  });
  const series = Array.from({ length: COUNT }, (_, id) => testSeries(id));
  for (let minute = 1; minute <= 45; minute++) {
    if (minute === 10) lifted = true;
    const totals = series.map((_, id) => minute * (id + 1));
    delivery.offer(testSnapshot(minute * 60_000, series, totals), mode);
    await until(() => accepted === minute * 60_000);
  }
  await delivery.close(1000);
  expect(totalOf(stored)).toBe((45 * COUNT * (COUNT + 1)) / 2);
  const ambiguous = await registry.getSingleMetricAsString('egressd_exporter_sink_ambiguous_samples_total');
  expect(ambiguous).not.toContain('outcome="refused"');
});
