import { createLog } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { decodeWrite2, storing2, type WrittenSample, written } from '@egressd/world/receivers/remote-write-2';
import { type Answer, decodeWrite, labelsOf, status, TestReceiver } from '@egressd/world/receivers/test-receiver';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Mode } from '../delivery/frame.ts';
import { createSinkMetrics } from '../delivery/metrics.ts';
import { type Accepted, SinkDelivery } from '../delivery/sink-delivery.ts';
import { STARTED_MS, testSeries, testSnapshot, until, VirtualTimers } from '../testing.ts';
import type { RemoteWriteSettings } from './settings.ts';
import { createRemoteWriteSink } from './sink.ts';

let receiver: TestReceiver;
let delivery: SinkDelivery;
let stored: WrittenSample[];

beforeEach(async () => {
  stored = [];
  receiver = await TestReceiver.start(storing2(stored));
});
afterEach(async () => {
  await delivery.close(0);
  await receiver.close();
});

function setUp(changes: Partial<RemoteWriteSettings> = {}) {
  const settings: RemoteWriteSettings = {
    url: receiver.url,
    headers: {},
    labels: {},
    sendReceivedBytesMetric: false,
    sendPacketsMetric: false,
    regionLabels: false,
    timeoutMs: 5000,
    maxSeries: 100_000,
    protobufMessage: 'io.prometheus.write.v2.Request',
    ...changes,
  };
  const registry = createRegistry();
  const accepted: number[] = [];
  const lines: string[] = [];
  delivery = new SinkDelivery({
    sink: createRemoteWriteSink({ name: 'db', settings, version: '1.2.3', environment: {} }),
    startedMs: STARTED_MS,
    intervalMs: 60_000,
    metrics: createSinkMetrics(registry),
    log: createLog('debug', (line) => lines.push(line)),
    onAccepted: ({ timeMs }: Accepted) => accepted.push(timeMs - STARTED_MS),
    timers: new VirtualTimers(),
    random: () => 0,
  });
  const ambiguous = async () => registry.getSingleMetricAsString('egressd_exporter_sink_ambiguous_samples_total');
  return { accepted, lines, ambiguous };
}

/** Offers one snapshot of some series with so many bytes each. */
function offer(afterMs: number, total: number, count = 3, mode: Mode = 'counter'): void {
  const series = Array.from({ length: count }, (_, id) => testSeries(id));
  delivery.offer(
    testSnapshot(
      afterMs,
      series,
      series.map(() => total),
    ),
    mode,
  );
}

const brief = ({ labels, value, timeMs }: WrittenSample) => `${labels.src_pod}=${value}@${timeMs - STARTED_MS}`;

describe('a receiver that follows the specification', () => {
  test('has every field: labels, value, time, start, type, help, unit', async () => {
    const { accepted, lines } = setUp({
      labels: { cluster: 'one', Team: 'ü' },
      sendReceivedBytesMetric: true,
      sendPacketsMetric: true,
    });
    offer(60_000, 5, 1);
    await until(() => accepted.length === 1);
    offer(120_000, 8, 1);
    await until(() => accepted.length === 2);
    expect(lines).toEqual([]);
    const sent = stored.filter(({ labels }) => labels.__name__ === 'egressd_transmit_bytes_total');
    const same = { type: 1, help: 'Bytes that the source sent to the destination.', unit: 'bytes' };
    expect(sent).toEqual(
      [
        { value: 0, timeMs: STARTED_MS + 1, startMs: 0 },
        { value: 5, timeMs: STARTED_MS + 60_000, startMs: STARTED_MS + 1 },
        { value: 8, timeMs: STARTED_MS + 120_000, startMs: STARTED_MS + 1 },
      ].map((one) => ({
        ...same,
        ...one,
        labels: expect.objectContaining({ Team: 'ü', cluster: 'one', src_pod: 'pod-0' }),
      })),
    );
    expect(new Set(stored.map(({ labels, unit }) => `${labels.__name__} ${unit}`))).toEqual(
      new Set([
        'egressd_transmit_bytes_total bytes',
        'egressd_transmit_packets_total packets',
        'egressd_received_bytes_total bytes',
        'egressd_received_packets_total packets',
      ]),
    );
  });

  test('deltas are gauges to it', async () => {
    const { accepted } = setUp();
    offer(60_000, 5, 1, 'delta');
    await until(() => accepted.length === 1);
    expect(stored.map(({ value, type }) => [value, type])).toEqual([[5, 2]]);
  });

  test('25,000 series: every text once a request, and half the bytes of 1.0', async () => {
    const { accepted } = setUp();
    offer(60_000, 5, 25_000, 'delta');
    await until(() => accepted.length === 1);
    expect(stored).toHaveLength(25_000);
    expect(new Set(stored.map(({ labels }) => labels.src_pod)).size).toBe(25_000);
  });

  test('a lost answer: the same bytes under the same key', async () => {
    const { accepted } = setUp();
    const good = receiver.answer;
    receiver.answer = (received, response) =>
      receiver.requests.length < 4 ? status(500)(received, response) : good(received, response);
    offer(60_000, 5, 100, 'delta');
    await until(() => accepted.length === 1);
    expect(receiver.requests).toHaveLength(4);
    expect(new Set(receiver.requests.map(({ body }) => body.toString('hex'))).size).toBe(1);
  });

  test.each<[string, Mode, number]>([
    ['204 with fewer written', 'counter', 204],
    ['400 with fewer written', 'counter', 400],
    ['204 with fewer written', 'delta', 204],
    ['400 with fewer written', 'delta', 400],
  ])('%s: the refused one is found, the others count once: %s', async (_name, mode, code) => {
    const { accepted, ambiguous } = setUp();
    // Keeps the good ones, drops a second sample of the same time.
    const kept = new Map<string, number>();
    receiver.answer = (received, response) => {
      const good = decodeWrite2(received).filter(({ labels }) => labels.src_pod !== 'pod-7');
      for (const sample of good) kept.set(`${sample.labels.src_pod}@${sample.timeMs}`, sample.value);
      const all = decodeWrite2(received).length;
      written(response, good.length, good.length < all ? code : 204, 'out of order');
    };
    offer(60_000, 5, 20, mode);
    await until(() => accepted.length === 1);
    const values = [...kept.values()].reduce((sum, value) => sum + value, 0);
    expect(values).toBe(19 * 5);
    expect(await ambiguous()).not.toContain('outcome="refused"');
  });
});

describe('a receiver that does not take 2.0', () => {
  const answers: [string, Answer][] = [
    ['204 without a header, and stores nothing', status(204)],
    ['200', status(200)],
    ['415', status(415, {}, 'unsupported')],
    ['400, it cannot read it', status(400, {}, 'proto: illegal wireType')],
  ];
  test.each(answers)('%s: 1.0 from then on, one line, nothing lost', async (_name, answer) => {
    const { accepted, lines } = setUp();
    const pods: string[] = [];
    receiver.answer = (received, response) => {
      if (received.headers['x-prometheus-remote-write-version'] === '2.0.0') return answer(received, response);
      const request = decodeWrite(received);
      pods.push(
        ...labelsOf(request).map((labels, i) => `${labels.src_pod}=${request.timeseries[i]!.samples[0]!.value}`),
      );
      status(204)(received, response);
    };
    for (let minute = 1; minute <= 3; minute++) {
      offer(minute * 60_000, minute, 2);
      await until(() => accepted.length === minute);
    }
    const values = [0, 1, 2, 3].flatMap((value) => [`pod-0=${value}`, `pod-1=${value}`]);
    expect(pods).toEqual(values);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/level=warn.*remote write 2\.0.*1\.0 from now on.*protobufMessage/);
    expect(
      receiver.requests.filter(({ headers }) => headers['x-prometheus-remote-write-version'] === '2.0.0'),
    ).toHaveLength(1);
  });

  test('any more: a receiver that was exchanged for an older one', async () => {
    const { accepted, lines } = setUp();
    offer(60_000, 5, 1);
    await until(() => accepted.length === 1);
    receiver.answer = status(204);
    offer(120_000, 8, 1);
    await until(() => accepted.length === 2);
    expect(lines).toHaveLength(1);
    expect(stored.map(brief)).toEqual(['pod-0=0@1', 'pod-0=5@60000']);
    expect(decodeWrite(receiver.requests.at(-1)!).timeseries[0]!.samples[0]!.value).toBe(8);
  });

  test('credentials refused say nothing about it', async () => {
    const { accepted, lines } = setUp();
    const good = receiver.answer;
    receiver.answer = status(401);
    offer(60_000, 5, 1);
    await until(() => lines.length > 0);
    receiver.answer = good;
    offer(120_000, 8, 1);
    await until(() => accepted.length === 1);
    expect(stored.map(brief)).toEqual(['pod-0=0@60001', 'pod-0=8@120000']);
  });
});

describe('metadata of 1.0', () => {
  test('goes with the first request of a frame', async () => {
    const { accepted } = setUp({ protobufMessage: 'prometheus.WriteRequest' });
    receiver.answer = status(204);
    offer(60_000, 5, 12_000, 'delta');
    await until(() => accepted.length === 1);
    const metadata = receiver.requests.map((request) => decodeWrite(request).metadata);
    expect(metadata).toMatchObject([
      [
        {
          type: 2,
          metricFamilyName: 'egressd_transmit_bytes_total',
          unit: 'bytes',
          help: expect.stringContaining('sent'),
        },
      ],
      [],
    ]);
  });

  test('a receiver that refuses it gets none any more', async () => {
    const { accepted } = setUp({ protobufMessage: 'prometheus.WriteRequest' });
    receiver.answer = (received, response) =>
      decodeWrite(received).metadata.length > 0
        ? status(400, {}, 'per-user metric metadata limit of 8000 exceeded')(received, response)
        : status(204)(received, response);
    offer(60_000, 5, 4, 'delta');
    await until(() => accepted.length === 1);
    offer(120_000, 6, 4, 'delta');
    await until(() => accepted.length === 2);
    expect(receiver.requests.filter((request) => decodeWrite(request).metadata.length > 0)).toHaveLength(1);
  });
});
