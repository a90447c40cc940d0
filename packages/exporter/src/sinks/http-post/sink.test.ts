import { gunzipSync } from 'node:zlib';
import { createLog } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { type Answer, type Received, status, TestReceiver } from '@egressd/world/receivers/test-receiver';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSinkMetrics } from '../delivery/metrics.ts';
import { type Accepted, SinkDelivery } from '../delivery/sink-delivery.ts';
import type { Timers } from '../delivery/timers.ts';
import { decodeBatch } from '../items/testing.ts';
import { STARTED_MS, testSeries, testSnapshot, until } from '../testing.ts';
import type { HttpSinkSettings } from './settings.ts';
import { createHttpSink } from './sink.ts';

/** The backoff between attempts is over at once. */
const NO_BACKOFF: Timers = {
  now: () => performance.now(),
  sleep: (_ms, signal) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, 1);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    }),
};

let receiver: TestReceiver;
let delivery: SinkDelivery;

beforeEach(async () => {
  receiver = await TestReceiver.start();
});

afterEach(async () => {
  await delivery.close(0);
  await receiver.close();
});

function setUp(changes: Partial<HttpSinkSettings> = {}) {
  const settings: HttpSinkSettings = {
    url: `http://127.0.0.1:${receiver.port}/flows`,
    method: 'POST',
    compression: 'gzip',
    encoding: 'protobuf',
    labels: {},
    headers: {},
    timeoutMs: 5000,
    maxSeries: 100_000,
    ...changes,
  };
  const registry = createRegistry();
  const accepted: number[] = [];
  const lines: string[] = [];
  delivery = new SinkDelivery({
    sink: createHttpSink({ name: 'saas', settings, version: '1.2.3', environment: {} }),
    startedMs: STARTED_MS,
    intervalMs: 60_000,
    metrics: createSinkMetrics(registry),
    log: createLog('debug', (line) => lines.push(line)),
    onAccepted: ({ timeMs }: Accepted) => accepted.push(timeMs - STARTED_MS),
    timers: NO_BACKOFF,
    random: () => 0,
  });
  const metric = async (name: string) => (await registry.getSingleMetricAsString(name)).split('\n').slice(2);
  return { accepted, lines, metric };
}

/** Offers a snapshot in which each of some series has so many bytes in all. */
function offer(afterMs: number, total: number, count = 3): void {
  const series = Array.from({ length: count }, (_, id) => testSeries(id));
  delivery.offer(
    testSnapshot(
      afterMs,
      series,
      series.map(() => total),
    ),
    undefined,
  );
}

/** The items of a request, compressed or not. */
function itemsOf({ headers, body }: Received) {
  return decodeBatch(headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body);
}

/** Bytes by pod, as a receiver adds them up. */
function sumOf(requests: readonly Received[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { src_pod, tx_bytes } of requests.flatMap(itemsOf))
    sums[src_pod] = (sums[src_pod] ?? 0) + Number(tx_bytes);
  return sums;
}

/** Answers the first requests with `answers`, later ones with 204. */
function first(...answers: Answer[]): Answer {
  return (received, response) => (answers.shift() ?? status(204))(received, response);
}

describe('a request', () => {
  test('protobuf, compressed, deltas', async () => {
    const { accepted } = setUp({ headers: { 'X-API-Key': 'key' } });
    offer(60_000, 5);
    await until(() => accepted.length === 1);
    offer(120_000, 12);
    await until(() => accepted.length === 2);
    const [, request] = receiver.requests;
    expect(request).toMatchObject({ method: 'POST', url: '/flows' });
    expect(request!.headers).toMatchObject({
      'content-type': 'application/protobuf',
      'content-encoding': 'gzip',
      'user-agent': 'castai-egressd/1.2.3',
      'x-api-key': 'key',
      'idempotency-key': expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(itemsOf(request!).map(({ src_pod, tx_bytes, rx_packets }) => [src_pod, tx_bytes, rx_packets])).toEqual([
      ['pod-0', 7n, 7n],
      ['pod-1', 7n, 7n],
      ['pod-2', 7n, 7n],
    ]);
  });

  test('protobuf, not compressed, PUT', async () => {
    const { accepted } = setUp({ compression: '', method: 'PUT' });
    offer(60_000, 5);
    await until(() => accepted.length === 1);
    const [request] = receiver.requests;
    expect(request).toMatchObject({ method: 'PUT' });
    expect(request!.headers['content-encoding']).toBeUndefined();
    expect(decodeBatch(request!.body)).toHaveLength(3);
  });

  test.each(['', 'gzip'] as const)('JSON lines, compression %j', async (compression) => {
    const { accepted } = setUp({ encoding: 'json', compression });
    offer(60_000, 5);
    await until(() => accepted.length === 1);
    const [{ headers, body } = {} as Received] = receiver.requests;
    expect(headers['content-type']).toBe('application/x-ndjson');
    const text = (compression === 'gzip' ? gunzipSync(body) : body).toString('utf8');
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ src_pod, mode, tx_bytes }) => [src_pod, mode, tx_bytes])).toEqual([
      ['pod-0', 'delta', 5],
      ['pod-1', 'delta', 5],
      ['pod-2', 'delta', 5],
    ]);
  });

  test('a push of Loki: the JSON objects as log lines of one stream', async () => {
    const { accepted } = setUp({ encoding: 'loki', labels: { cluster: 'blue' }, compression: '' });
    offer(60_000, 5);
    await until(() => accepted.length === 1);
    const [{ headers, body } = {} as Received] = receiver.requests;
    expect(headers['content-type']).toBe('application/json');
    const { streams } = JSON.parse(body.toString('utf8'));
    expect(streams).toEqual([{ stream: { service_name: 'egressd', cluster: 'blue' }, values: expect.any(Array) }]);
    const values: [string, string][] = streams[0].values;
    expect(values.map(([time]) => time)).toEqual(Array(3).fill(`${STARTED_MS + 60_000}000000`));
    expect(values.map(([, line]) => JSON.parse(line).src_pod)).toEqual(['pod-0', 'pod-1', 'pod-2']);
  });

  test('headers of the user win', async () => {
    const { accepted } = setUp({ headers: { 'User-agent': 'mine', 'Content-Type': 'application/x-protobuf' } });
    offer(60_000, 5);
    await until(() => accepted.length === 1);
    expect(receiver.requests[0]!.headers).toMatchObject({
      'user-agent': 'mine',
      'content-type': 'application/x-protobuf',
    });
  });

  test('to a URL without a path', async () => {
    const { accepted } = setUp({ url: `http://127.0.0.1:${receiver.port}` });
    offer(60_000, 5);
    await until(() => accepted.length === 1);
    expect(receiver.requests[0]!.url).toBe('/');
  });

  test('nothing moved: no request', async () => {
    const { accepted } = setUp();
    offer(60_000, 5);
    await until(() => accepted.length === 1);
    offer(120_000, 5);
    await until(() => accepted.length === 2);
    expect(receiver.requests).toHaveLength(1);
  });
});

describe('a response that is lost', () => {
  const cut: Answer = (_received, response) => void response.socket?.destroy();
  const half: Answer = (_received, response) => void response.socket?.end('HTTP/1.1 20');
  const hang: Answer = () => {};

  test.each<[string, Answer]>([
    ['500', status(500, {}, 'out of disk')],
    ['cut', cut],
    ['half', half],
    ['none', hang],
  ])(
    '%s: the same bytes under the same key, counted; a receiver that knows the key has every byte once',
    async (_name, fault) => {
      const { accepted, metric } = setUp({ timeoutMs: 300 });
      receiver.answer = first(fault);
      offer(60_000, 5);
      await until(() => receiver.requests.length > 0);
      offer(120_000, 9);
      await until(() => accepted.length === 2);
      const sent = receiver.requests.map(
        ({ body, headers }) => `${headers['idempotency-key']} ${body.toString('hex')}`,
      );
      expect(sent[0]).toBe(sent[1]);
      const byKey = new Map(receiver.requests.map((request) => [request.headers['idempotency-key'], request]));
      expect(sumOf([...byKey.values()])).toEqual({ 'pod-0': 9, 'pod-1': 9, 'pod-2': 9 });
      expect(await metric('egressd_exporter_sink_ambiguous_samples_total')).toEqual([
        'egressd_exporter_sink_ambiguous_samples_total{sink="saas",outcome="repeated"} 3',
      ]);
    },
  );
});

describe('a response that says it was not stored', () => {
  test.each<[string, Answer, string]>([
    ['429', status(429, { 'retry-after': '1' }, 'slow down'), 'status=429'],
    ['401', status(401, {}, 'who are you'), 'status=401'],
    ['404', status(404), 'status=404'],
    ['a redirect', status(308, { location: 'https://else.where/flows?token=x' }), 'https://else.where/flows'],
    ['an HTML page', status(200, {}, '\n<html><body>Log in</body></html>'), 'status=html'],
  ])('%s: logged, nothing is lost, nothing is ambiguous', async (_name, fault, logged) => {
    const { accepted, lines, metric } = setUp();
    receiver.answer = fault;
    offer(60_000, 5);
    await until(() => lines.length > 0);
    expect(lines.join()).toContain(logged);
    expect(lines.join()).not.toContain('token=x');
    const refused = receiver.requests.length;
    receiver.answer = status(200, {}, '{}');
    offer(120_000, 9);
    await until(() => accepted.includes(120_000));
    const kept = receiver.requests.slice(refused);
    expect(sumOf(kept)).toEqual({ 'pod-0': 9, 'pod-1': 9, 'pod-2': 9 });
    expect(await metric('egressd_exporter_sink_ambiguous_samples_total')).toEqual([]);
  });

  test('413 is split until it fits', async () => {
    const { accepted } = setUp();
    const stored: Received[] = [];
    receiver.answer = (received, response) => {
      if (itemsOf(received).length > 10) return status(413)(received, response);
      stored.push(received);
      status(204)(received, response);
    };
    offer(60_000, 5, 64);
    await until(() => accepted.length === 1);
    expect(sumOf(stored)).toEqual(Object.fromEntries(Array.from({ length: 64 }, (_, id) => [`pod-${id}`, 5])));
  });

  test('400 for one item: the others are stored once', async () => {
    const { accepted, metric } = setUp();
    const stored: Received[] = [];
    receiver.answer = (received, response) => {
      if (itemsOf(received).some(({ src_pod }) => src_pod === 'pod-33'))
        return status(400, {}, 'bad')(received, response);
      stored.push(received);
      status(204)(received, response);
    };
    offer(60_000, 5, 100);
    await until(() => accepted.length === 1);
    const sums = sumOf(stored);
    expect(Object.keys(sums)).toHaveLength(99);
    expect(new Set(Object.values(sums))).toEqual(new Set([5]));
    expect(await metric('egressd_dropped_events_total')).toEqual([
      'egressd_dropped_events_total{sink="saas",reason="refused"} 1',
    ]);
  });
});

test('large snapshots go in several requests, each series once', async () => {
  const { accepted } = setUp({ compression: '' });
  offer(60_000, 5, 10_100);
  await until(() => accepted.length === 1);
  const pods = receiver.requests.map((request) => itemsOf(request).map(({ src_pod }) => src_pod));
  expect(pods.map(({ length }) => length)).toEqual([10_000, 100]);
  expect(new Set(pods.flat()).size).toBe(10_100);
});
