import { createLog } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { decodeMetrics, type Point, partialSuccess, pointsOf } from '@egressd/world/receivers/otlp';
import { type Answer, type Received, status, TestReceiver } from '@egressd/world/receivers/test-receiver';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Mode } from '../delivery/frame.ts';
import { createSinkMetrics } from '../delivery/metrics.ts';
import { type Accepted, SinkDelivery } from '../delivery/sink-delivery.ts';
import type { Timers } from '../delivery/timers.ts';
import { STARTED_MS, testSeries, testSnapshot, until } from '../testing.ts';
import type { OtlpSettings } from './settings.ts';
import { createOtlpSink } from './sink.ts';

/** The backoff between attempts is over at once. */
const NO_BACKOFF: Timers = {
  now: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      backoffs.push(ms);
      const timer = setTimeout(resolve, 1);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    }),
};
const backoffs: number[] = [];
const PROTOBUF = { 'content-type': 'application/x-protobuf' };

let receiver: TestReceiver;
let delivery: SinkDelivery;

beforeEach(async () => {
  backoffs.length = 0;
  receiver = await TestReceiver.start(status(200, PROTOBUF));
});

afterEach(async () => {
  await delivery.close(0);
  await receiver.close();
});

function setUp(changes: Partial<OtlpSettings> = {}) {
  const settings: OtlpSettings = {
    url: `http://127.0.0.1:${receiver.port}/v1/metrics`,
    headers: {},
    resourceAttributes: {},
    attributeNames: 'labels',
    sendReceivedBytesMetric: false,
    sendPacketsMetric: false,
    regionLabels: false,
    timeoutMs: 5000,
    maxSeries: 100_000,
    ...changes,
  };
  const registry = createRegistry();
  const accepted: number[] = [];
  const lines: string[] = [];
  delivery = new SinkDelivery({
    sink: createOtlpSink({ name: 'otel', settings, version: '1.2.3', environment: {} }),
    startedMs: STARTED_MS,
    intervalMs: 60_000,
    metrics: createSinkMetrics(registry),
    log: createLog('debug', (line) => lines.push(line)),
    onAccepted: ({ timeMs }: Accepted) => accepted.push(timeMs - STARTED_MS),
    timers: NO_BACKOFF,
    random: () => 0,
  });
  const metric = async (name: string) => (await registry.getSingleMetricAsString(name)).split('\n').slice(2);
  const requests = async () =>
    (await metric('egressd_exporter_sink_requests_total')).map((line) =>
      line.replace(/.*outcome="(\w+)",status="(\w+)".*/, '$1 $2'),
    );
  return { accepted, lines, metric, requests };
}

/** Offers a snapshot of some series, each with so many bytes in all. */
function offer(afterMs: number, total: number, count = 3, mode?: Mode): void {
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

const points = (received: Received): Point[] => pointsOf(decodeMetrics(received));
const brief = (received: Received): string[] =>
  points(received).map(({ labels, value, timeMs }) => `${labels.src_pod}=${value}@${timeMs - STARTED_MS}`);

/** Answers the first requests with `answers`, later ones with 200. */
function first(...answers: Answer[]): Answer {
  return (received, response) => (answers.shift() ?? status(200, PROTOBUF))(received, response);
}

/** Refuses points of one pod, and stores the others. */
function refusing(pod: string, stored: string[] = []): Answer {
  return (received, response) => {
    const all = points(received);
    const refused = all.filter(({ labels }) => labels.src_pod === pod).length;
    stored.push(...brief(received).filter((each) => !each.startsWith(`${pod}=`)));
    const body = refused === 0 ? '' : partialSuccess(refused, 'too old');
    response.writeHead(200, PROTOBUF).end(body);
  };
}

describe('a request', () => {
  test('is as OTLP/HTTP says: zero points, then cumulative sums that start there', async () => {
    const { accepted } = setUp({
      headers: { 'X-Scope-OrgID': 'shop' },
      resourceAttributes: { 'k8s.cluster.name': 'blue' },
    });
    offer(60_000, 5, 1);
    await until(() => accepted.length === 1);
    expect(receiver.requests).toHaveLength(2);
    expect(receiver.requests[0]).toMatchObject({
      method: 'POST',
      url: '/v1/metrics',
      headers: {
        'content-type': 'application/x-protobuf',
        'content-encoding': 'gzip',
        'user-agent': 'egressd/1.2.3',
        'x-scope-orgid': 'shop',
        'idempotency-key': expect.stringMatching(/^[0-9a-f-]{36}$/),
      },
    });
    const sent = receiver.requests.flatMap(points);
    const same = { startMs: STARTED_MS + 1, temporality: 'cumulative', monotonic: true, unit: 'By' };
    expect(sent).toMatchObject([
      { ...same, value: 0, timeMs: STARTED_MS + 1 },
      { ...same, value: 5, timeMs: STARTED_MS + 60_000 },
    ]);
    const [{ resource } = {}] = decodeMetrics(receiver.requests[0]!).resourceMetrics;
    expect(resource?.attributes.map(({ key, value }) => `${key}=${value?.value.value}`)).toEqual([
      'service.name=egressd',
      expect.stringMatching(/^service.instance.id=[0-9a-f-]{36}$/),
      'k8s.cluster.name=blue',
    ]);
  });

  test('deltas where the collectors ask for them: no zero points, each from the one before', async () => {
    const { accepted } = setUp();
    offer(60_000, 5, 1, 'delta');
    await until(() => accepted.length === 1);
    offer(120_000, 12, 1, 'delta');
    await until(() => accepted.length === 2);
    expect(receiver.requests.flatMap(points)).toMatchObject([
      { temporality: 'delta', value: 5, startMs: STARTED_MS + 1, timeMs: STARTED_MS + 60_000 },
      { temporality: 'delta', value: 7, startMs: STARTED_MS + 60_000, timeMs: STARTED_MS + 120_000 },
    ]);
  });

  test('all metrics in one, each with its points', async () => {
    const { accepted } = setUp({ sendReceivedBytesMetric: true, sendPacketsMetric: true });
    offer(60_000, 5);
    await until(() => accepted.length === 1);
    const [{ scopeMetrics } = { scopeMetrics: [] }] = decodeMetrics(receiver.requests[1]!).resourceMetrics;
    expect(scopeMetrics[0]!.metrics.map(({ name, unit, sum }) => [name, unit, sum?.dataPoints.length])).toEqual([
      ['egressd_transmit_bytes_total', 'By', 3],
      ['egressd_transmit_packets_total', '{packet}', 3],
      ['egressd_received_bytes_total', 'By', 3],
      ['egressd_received_packets_total', '{packet}', 3],
    ]);
  });
});

describe('failures that may be repeated: the same bytes again', () => {
  const cut: Answer = (_received, response) => void response.socket?.destroy();
  const half: Answer = (_received, response) => void response.socket?.end('HTTP/1.1 20');
  const hang: Answer = () => {};

  test.each<[string, Answer, string, number]>([
    ['429 with Retry-After', status(429, { 'retry-after': '7' }), 'retryable 429', 7000],
    ['502', status(502), 'retryable 502', 500],
    ['503 with Retry-After', status(503, { 'retry-after': '9' }), 'retryable 503', 9000],
    ['504', status(504), 'retryable 504', 500],
    ['the connection cut', cut, 'retryable closed', 500],
    ['the connection cut in the answer', half, 'retryable closed', 500],
    ['no answer', hang, 'retryable timeout', 500],
  ])('%s', async (_name, fault, counted, backoffMs) => {
    const { accepted, requests } = setUp({ timeoutMs: 300 });
    receiver.answer = first(fault, fault);
    offer(60_000, 5);
    await until(() => accepted.length === 1);
    const sent = receiver.requests.map(({ body, headers }) => `${headers['idempotency-key']} ${body.toString('hex')}`);
    expect(sent).toHaveLength(4);
    expect(new Set(sent.slice(0, 3)).size).toBe(1);
    expect(await requests()).toEqual([counted, 'ok 200']);
    expect(backoffs[0]).toBe(backoffMs);
  });
});

describe('failures that must not be repeated: the next frame has all bytes', () => {
  test.each<[string, Answer, string, string]>([
    [
      '500',
      status(500, PROTOBUF, '\x12\x16invalid temporality :('),
      'rejected 500',
      'invalid temporality :( (Prometheus',
    ],
    ['501', status(501), 'rejected 501', 'answered 501'],
    ['408', status(408), 'rejected 408', 'answered 408'],
    ['401', status(401, {}, 'no token'), 'rejected 401', 'credentials'],
    ['404', status(404), 'rejected 404', 'path of the URL'],
    ['an HTML page', status(200, {}, '<!DOCTYPE html><title>Log in</title>'), 'rejected html', 'not an endpoint'],
  ])('%s', async (_name, fault, counted, logged) => {
    const { accepted, lines, requests, metric } = setUp();
    receiver.answer = fault;
    offer(60_000, 5);
    await until(() => lines.length > 0);
    expect(receiver.requests).toHaveLength(1);
    expect(await requests()).toEqual([counted]);
    expect(lines[0]).toContain(logged);
    receiver.answer = status(200, PROTOBUF);
    offer(120_000, 9);
    await until(() => accepted.length === 1);
    expect(receiver.requests.slice(1).map(brief)).toEqual([
      ['pod-0=0@60001', 'pod-1=0@60001', 'pod-2=0@60001'],
      ['pod-0=9@120000', 'pod-1=9@120000', 'pod-2=9@120000'],
    ]);
    expect(await metric('egressd_exporter_sink_ambiguous_samples_total')).toEqual([]);
  });

  test('deltas that a 500 may have stored are counted', async () => {
    const { accepted, lines, metric } = setUp();
    receiver.answer = status(500);
    offer(60_000, 5, 3, 'delta');
    await until(() => lines.length > 0);
    receiver.answer = status(200);
    offer(120_000, 9, 3, 'delta');
    await until(() => accepted.length === 1);
    expect(brief(receiver.requests[1]!)).toEqual(['pod-0=9@120000', 'pod-1=9@120000', 'pod-2=9@120000']);
    expect(await metric('egressd_exporter_sink_ambiguous_samples_total')).toEqual([
      'egressd_exporter_sink_ambiguous_samples_total{sink="otel",outcome="refused"} 3',
    ]);
  });
});

describe('refused points', () => {
  test('400 for one series: the others are stored once', async () => {
    const { accepted, metric, lines } = setUp();
    const stored: string[] = [];
    receiver.answer = (received, response) => {
      if (points(received).some(({ labels }) => labels.src_pod === 'pod-33'))
        return status(400, PROTOBUF, '\x08\x03\x12\x07too old')(received, response);
      stored.push(...brief(received));
      status(200, PROTOBUF)(received, response);
    };
    offer(60_000, 5, 100);
    await until(() => accepted.length === 1);
    expect(stored).toHaveLength(2 * 99);
    expect(new Set(stored).size).toBe(2 * 99);
    expect(lines[0]).toContain('answered 400: too old"');
    expect(await metric('egressd_dropped_events_total')).toEqual([
      'egressd_dropped_events_total{sink="otel",reason="refused"} 1',
    ]);
  });

  test('partial success, counters: the pieces have the same times and values, until the refused point is alone', async () => {
    const { accepted, metric, lines, requests } = setUp();
    offer(60_000, 5, 100);
    await until(() => accepted.length === 1);
    const stored: string[] = [];
    receiver.answer = refusing('pod-33', stored);
    offer(120_000, 9, 100);
    await until(() => accepted.length === 2);
    expect(new Set(stored)).toEqual(
      new Set(
        Array.from({ length: 100 }, (_, id) => `pod-${id}=9@120000`).filter((each) => !each.startsWith('pod-33=')),
      ),
    );
    expect(receiver.requests.slice(2).length).toBeLessThan(30);
    expect(lines.join()).toContain('refused 1 of 100 data points: too old');
    expect(await requests()).toEqual(['ok 200', 'partial 200', 'rejected 200']);
    expect(await metric('egressd_dropped_events_total')).toEqual([
      'egressd_dropped_events_total{sink="otel",reason="refused"} 1',
    ]);
    // What it refused goes later, in full.
    receiver.answer = status(200, PROTOBUF);
    offer(20 * 60_000, 12, 100);
    await until(() => accepted.length === 3);
    expect(brief(receiver.requests.at(-1)!)).toContain(`pod-33=12@${20 * 60_000}`);
  });

  test('partial success, deltas: not repeated, the loss is counted', async () => {
    const { accepted, metric } = setUp();
    receiver.answer = refusing('pod-33');
    offer(60_000, 5, 100, 'delta');
    await until(() => accepted.length === 1);
    expect(receiver.requests).toHaveLength(1);
    expect(await metric('egressd_dropped_events_total')).toEqual([
      'egressd_dropped_events_total{sink="otel",reason="partly_stored"} 1',
    ]);
    expect(await metric('egressd_exported_events_total')).toEqual(['egressd_exported_events_total{sink="otel"} 99']);
  });

  test.each<[string, Record<string, string>, string | Uint8Array]>([
    ['protobuf', PROTOBUF, partialSuccess(3, 'no')],
    ['more than there were', PROTOBUF, partialSuccess(1000, 'no')],
    [
      'JSON',
      { 'content-type': 'application/json; charset=utf-8' },
      '{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"no"}}',
    ],
  ])('all of them refused with status 200, %s: nothing is lost, deltas neither', async (_name, headers, body) => {
    const { accepted, lines, metric } = setUp();
    receiver.answer = (_received, response) => void response.writeHead(200, headers).end(body);
    offer(60_000, 5, 3, 'delta');
    await until(() => lines.length > 0);
    expect(lines[0]).toContain('of 3 data points: no');
    await until(() => receiver.requests.length === 4);
    receiver.answer = status(200);
    offer(120_000, 9, 3, 'delta');
    await until(() => accepted.length === 1);
    expect(receiver.requests.slice(-3).flatMap(brief)).toEqual(['pod-0=9@120000', 'pod-1=9@120000', 'pod-2=9@120000']);
    expect(await metric('egressd_dropped_events_total')).toEqual([
      'egressd_dropped_events_total{sink="otel",reason="rejected"} 3',
    ]);
  });

  test.each<[string, Record<string, string>, string | Uint8Array, string | undefined]>([
    ['a warning', PROTOBUF, partialSuccess(0, 'use another name'), 'use another name'],
    ['an empty partial success', PROTOBUF, partialSuccess(0, ''), undefined],
    ['a number below zero', PROTOBUF, partialSuccess(-5, ''), undefined],
    ['JSON of nothing', { 'content-type': 'application/json' }, '{}', undefined],
    ['JSON of another kind', { 'content-type': 'application/json' }, '[7]', undefined],
    ['an empty body in JSON', { 'content-type': 'application/json' }, '', undefined],
    ['what is no protobuf', PROTOBUF, 'OK', 'cannot be read'],
    ['another kind of body', { 'content-type': 'text/plain' }, 'stored', undefined],
  ])('%s: everything is stored', async (_name, headers, body, logged) => {
    const { accepted, lines } = setUp();
    receiver.answer = (_received, response) => void response.writeHead(200, headers).end(body);
    offer(60_000, 5, 3, 'delta');
    await until(() => accepted.length === 1);
    if (logged === undefined) expect(lines).toEqual([]);
    else expect(lines.join()).toContain(logged);
  });

  test('413 is split until it fits', async () => {
    const { accepted } = setUp();
    const stored: string[] = [];
    receiver.answer = (received, response) => {
      if (points(received).length > 10) return status(413)(received, response);
      stored.push(...brief(received));
      status(200)(received, response);
    };
    offer(60_000, 5, 64);
    await until(() => accepted.length === 1);
    expect(stored).toHaveLength(2 * 64);
  });
});

test('no secret is logged, not even one that the receiver gives back in a partial success', async () => {
  const { lines } = setUp({
    url: `http://user:pass-word@127.0.0.1:${receiver.port}/v1/metrics?key=query-secret`,
    headers: { 'X-Api-Key': 'header-secret' },
  });
  receiver.answer = (_received, response) =>
    void response.writeHead(200, PROTOBUF).end(partialSuccess(1, 'key header-secret, pass-word, query-secret'));
  offer(60_000, 5, 3, 'delta');
  await until(() => lines.length > 0);
  expect(lines.join()).toContain('key ***, ***, ***');
});

test('large snapshots go in several requests, each series once', async () => {
  const { accepted } = setUp();
  offer(60_000, 5, 12_000, 'delta');
  await until(() => accepted.length === 1);
  const pods = receiver.requests.map((request) => points(request).map(({ labels }) => labels.src_pod));
  expect(pods.length).toBeGreaterThan(1);
  expect(pods.flat()).toHaveLength(12_000);
  expect(new Set(pods.flat()).size).toBe(12_000);
});
