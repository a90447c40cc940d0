import { createLog } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { type Answer, decodeWrite, labelsOf, status, TestReceiver } from '@egressd/world/receivers/test-receiver';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSinkMetrics } from '../delivery/metrics.ts';
import { type Accepted, SinkDelivery } from '../delivery/sink-delivery.ts';
import type { Timers } from '../delivery/timers.ts';
import { STARTED_MS, testSeries, testSnapshot, until } from '../testing.ts';
import type { RemoteWriteSettings } from './settings.ts';
import { createRemoteWriteSink } from './sink.ts';

/** The backoff between attempts is over at once. */
const NO_BACKOFF: Timers = {
  now: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      backoffs.push(ms);
      // A deadline of a test is real, a backoff is not.
      const timer = setTimeout(resolve, ms === DEADLINE_MS ? ms : 1);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    }),
};
const backoffs: number[] = [];
const DEADLINE_MS = 9999;

let receiver: TestReceiver;
let delivery: SinkDelivery;

beforeEach(async () => {
  backoffs.length = 0;
  receiver = await TestReceiver.start();
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
    ...changes,
  };
  const registry = createRegistry();
  const accepted: number[] = [];
  const lines: string[] = [];
  let rejected = 0;
  delivery = new SinkDelivery({
    sink: createRemoteWriteSink({ name: 'db', settings, version: '1.2.3', environment: {} }),
    startedMs: STARTED_MS,
    intervalMs: 60_000,
    metrics: {
      ...createSinkMetrics(registry),
      dropped: (_sink, reason, samples) => {
        if (reason === 'rejected') rejected += samples;
      },
    },
    log: createLog('debug', (line) => lines.push(line)),
    onAccepted: ({ timeMs }: Accepted) => accepted.push(timeMs - STARTED_MS),
    timers: NO_BACKOFF,
    random: () => 0,
  });
  const requests = async () =>
    [
      ...(await registry.getSingleMetricAsString('egressd_exporter_sink_requests_total')).matchAll(
        /outcome="(\w+)",status="(\w+)"/g,
      ),
    ].map(([, outcome, code]) => `${outcome} ${code}`);
  return { accepted, lines, requests, rejected: () => rejected };
}

/** Offers one snapshot of some series with five bytes each. */
function offer(afterMs = 60_000, count = 3): void {
  const series = Array.from({ length: count }, (_, id) => testSeries(id));
  delivery.offer(
    testSnapshot(
      afterMs,
      series,
      series.map(() => 5 + afterMs),
    ),
    'delta',
  );
}

/** Answers the first requests with `answers`, later ones with 204. */
function first(...answers: Answer[]): Answer {
  return (received, response) => (answers.shift() ?? status(204))(received, response);
}

test('a request is as remote write 1.0 says', async () => {
  const { accepted } = setUp({ headers: { 'X-Scope-OrgID': 'shop' }, labels: { cluster: 'one' } });
  offer();
  await until(() => accepted.length === 1);
  const [request] = receiver.requests;
  expect(request!.url).toBe('/api/v1/write');
  expect(request!.headers).toMatchObject({
    'content-type': 'application/x-protobuf',
    'content-encoding': 'snappy',
    'x-prometheus-remote-write-version': '0.1.0',
    'user-agent': 'egressd/1.2.3',
    'x-scope-orgid': 'shop',
    'idempotency-key': expect.stringMatching(/^[0-9a-f-]{36}$/),
  });
  expect(labelsOf(decodeWrite(request!)).map((labels) => [labels.src_pod, labels.cluster])).toEqual([
    ['pod-0', 'one'],
    ['pod-1', 'one'],
    ['pod-2', 'one'],
  ]);
});

test('headers of the user win', async () => {
  const { accepted } = setUp({ headers: { 'user-AGENT': 'mine' } });
  offer();
  await until(() => accepted.length === 1);
  expect(receiver.requests[0]!.headers['user-agent']).toBe('mine');
});

test('one connection serves all requests', async () => {
  const { accepted } = setUp();
  const ports = new Set<number | undefined>();
  receiver.answer = (_received, response) => {
    ports.add(response.socket?.remotePort);
    response.writeHead(204).end();
  };
  for (let minute = 1; minute <= 3; minute++) {
    offer(minute * 60_000);
    await until(() => accepted.length === minute);
  }
  expect(ports.size).toBe(1);
});

describe('retryable failures', () => {
  const halfAnswer: Answer = (_received, response) => void response.socket?.end('HTTP/1.1 20');
  const cut: Answer = (_received, response) => void response.socket?.destroy();
  const hang: Answer = () => {};

  test.each<[string, Answer, string, number | undefined]>([
    ['500', status(500, {}, 'out of disk'), 'retryable 500', undefined],
    [
      '503 with an HTML page',
      status(503, { 'content-type': 'text/html' }, '<html><h1>Down</h1></html>'),
      'retryable 503',
      undefined,
    ],
    ['429 with Retry-After', status(429, { 'retry-after': '7' }), 'retryable 429', 7000],
    [
      '429 with a date long past',
      status(429, { 'retry-after': 'Thu, 01 Jan 2015 00:00:00 GMT' }),
      'retryable 429',
      500,
    ],
    [
      "429 with a date by the receiver's own clock",
      status(429, { date: 'Thu, 01 Jan 2015 00:00:00 GMT', 'retry-after': 'Thu, 01 Jan 2015 00:00:07 GMT' }),
      'retryable 429',
      7000,
    ],
    ['429 for a year', status(429, { 'retry-after': '31536000' }), 'retryable 429', 300_000],
    ['408', status(408), 'retryable 408', undefined],
    ['the connection closed without an answer', cut, 'retryable closed', undefined],
    ['the connection closed half-way', halfAnswer, 'retryable closed', undefined],
    ['no answer', hang, 'retryable timeout', undefined],
  ])('%s: the same bytes again', async (_name, fault, counted, backoffMs) => {
    const { accepted, lines, requests } = setUp({ timeoutMs: 300 });
    receiver.answer = first(fault, fault);
    offer();
    await until(() => accepted.length === 1);
    const sent = receiver.requests.map(({ body, headers }) => `${headers['idempotency-key']} ${body.toString('hex')}`);
    expect(sent).toHaveLength(3);
    expect(new Set(sent).size).toBe(1);
    expect(await requests()).toEqual([counted, 'ok 204']);
    expect(backoffs[0]).toBe(backoffMs ?? 500);
    expect(lines[0]).toContain(`127.0.0.1:${receiver.port}/api/v1/write`);
    expect(lines[0]).not.toContain('<');
  });

  test('connection refused', async () => {
    const { accepted, lines, requests } = setUp({ url: 'http://127.0.0.1:1/' });
    offer();
    await until(() => lines.length > 0);
    expect(lines[0]).toContain('ECONNREFUSED');
    expect(await requests()).toEqual(['retryable connect']);
    expect(accepted).toEqual([]);
  });

  test('a host that cannot be resolved', async () => {
    const { lines, requests } = setUp({ url: `http://${'x'.repeat(64)}.invalid/` });
    offer();
    await until(() => lines.length > 0);
    expect(await requests()).toEqual(['retryable dns']);
  });

  test('an accepted request stays accepted when its answer breaks off or never ends', async () => {
    const { accepted, requests } = setUp({ timeoutMs: 300 });
    const broken: Answer = (_received, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.socket?.destroy());
    };
    const endless: Answer = (_received, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write('.'), 10);
      response.on('close', () => clearInterval(drip));
    };
    receiver.answer = first(broken, endless);
    offer();
    await until(() => accepted.length === 1);
    offer(120_000);
    await until(() => accepted.length === 2);
    expect(receiver.requests).toHaveLength(2);
    expect(await requests()).toEqual(['ok 200']);
  });

  test('an endless answer is not kept', async () => {
    const { accepted } = setUp();
    receiver.answer = first((_received, response) => {
      response.writeHead(500);
      const flood = () => {
        while (!response.destroyed && response.write(Buffer.alloc(64 * 1024, 'x')));
      };
      response.on('drain', flood);
      flood();
    });
    offer();
    await until(() => accepted.length === 1);
    expect(receiver.requests).toHaveLength(2);
  });
});

describe('202 is not said to be stored', () => {
  test('by a receiver that confirms what it stores: sent again until it does', async () => {
    const { accepted, requests } = setUp();
    offer(60_000);
    await until(() => accepted.length === 1);
    receiver.requests.length = 0;
    receiver.answer = first(...Array(10).fill(status(202)));
    offer(120_000);
    await until(() => accepted.length === 2);
    expect(new Set(receiver.requests.map(({ body }) => body.toString('hex'))).size).toBe(1);
    expect(receiver.requests).toHaveLength(11);
    expect(await requests()).toEqual(['ok 204', 'retryable 202']);
  });

  test('by an HA tracker: sent again, and how to avoid it is logged', async () => {
    const { accepted, lines } = setUp();
    receiver.answer = first(...Array(10).fill(status(202, {}, 'replicas did not mach, rejecting sample: replica=a')));
    offer(60_000);
    await until(() => accepted.length === 1);
    expect(receiver.requests).toHaveLength(11);
    expect(lines[0]).toContain('HA tracker');
  });

  test('by one that never says anything else: believed after a while', async () => {
    const { accepted, lines } = setUp();
    receiver.answer = status(202);
    offer(60_000);
    await until(() => accepted.length === 1);
    expect(receiver.requests).toHaveLength(4);
    offer(120_000);
    await until(() => accepted.length === 2);
    expect(receiver.requests).toHaveLength(5);
    expect(lines.join('\n')).toContain('not said to be stored');
  });
});

test('a 400 for the size is split until it fits, and later requests are as small', async () => {
  const { accepted } = setUp();
  const sizes: number[] = [];
  receiver.answer = (received, response) => {
    const samples = decodeWrite(received).timeseries.length;
    sizes.push(samples);
    if (samples > 30) return status(400, {}, 'received message larger than max (123 vs 100)')(received, response);
    status(204)(received, response);
  };
  for (let minute = 1; minute <= 3; minute++) {
    offer(minute * 60_000, 100);
    await until(() => accepted.length === minute);
  }
  expect(sizes.slice(0, 3)).toEqual([100, 50, 25]);
  expect(sizes.slice(-4)).toEqual(expect.arrayContaining([28]));
  expect(sizes.slice(-4).every((samples) => samples <= 30)).toBe(true);
});

test("a receiver whose Date is another: the clock to look at is the exporter's", async () => {
  const { accepted, lines } = setUp();
  const date = (byMs: number) => ({ date: new Date(Date.now() + byMs).toUTCString() });
  receiver.answer = first(status(204, date(3_600_000)), status(204, date(-10_000)));
  offer(60_000);
  await until(() => accepted.length === 1);
  offer(120_000);
  await until(() => accepted.length === 2);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/its clock is 3(600|599) s ahead of the exporter's/);
});

test('the tenant that a receiver names is shown', async () => {
  const { accepted, lines } = setUp({
    headers: { 'X-Scope-OrgID': 'shop-tenant', 'X-Api-Key': 's3cret-of-mine' },
    written: { url: receiver.url, proxyUrl: undefined, secrets: ['shop-tenant', 's3cret-of-mine'] },
  });
  receiver.answer = first(status(500, {}, 'tenant shop-tenant: s3cret-of-mine'));
  offer(60_000);
  await until(() => accepted.length === 1);
  expect(lines[0]).toContain('tenant shop-tenant: ***');
});

describe('refusals', () => {
  test.each<[string, Answer, string, string]>([
    ['401', status(401, {}, 'no token'), 'rejected 401', 'credentials'],
    ['403', status(403), 'rejected 403', 'credentials'],
    ['404', status(404, {}, 'page not found'), 'rejected 404', 'path of the URL'],
    ['405', status(405), 'rejected 405', 'path of the URL'],
    [
      '307',
      status(307, { location: 'http://u:p@else.where/write?token=x' }),
      'rejected 307',
      'http://else.where/write',
    ],
    ['an HTML page', status(200, {}, '<!DOCTYPE html><title>Log in</title>'), 'rejected html', 'not an endpoint'],
  ])(
    '%s: one request an interval, logged with advice; accepted once it is right',
    async (_name, fault, counted, advice) => {
      const { accepted, lines, requests } = setUp();
      receiver.answer = fault;
      offer();
      await until(() => receiver.requests.length === 1 && lines.length === 1);
      expect(await requests()).toEqual([counted]);
      expect(lines[0]).toContain(advice);
      expect(lines[0]).not.toContain('token=x');
      receiver.answer = status(204);
      offer(120_000);
      await until(() => accepted.length === 1);
      expect(receiver.requests).toHaveLength(2);
      expect(accepted).toEqual([120_000]);
    },
  );

  test.each([400, 409, 422])('%p for one series: the others are stored once', async (code) => {
    const { accepted } = setUp();
    const stored: string[] = [];
    receiver.answer = (received, response) => {
      const pods = labelsOf(decodeWrite(received)).map((labels) => labels.src_pod!);
      if (pods.includes('pod-33')) return status(code, {}, 'out of order sample')(received, response);
      stored.push(...pods);
      status(204)(received, response);
    };
    offer(60_000, 100);
    await until(() => accepted.length === 1);
    expect(stored.sort()).toEqual(
      Array.from({ length: 100 }, (_, id) => `pod-${id}`)
        .filter((pod) => pod !== 'pod-33')
        .sort(),
    );
  });

  test('400 to everything: a few requests an interval', async () => {
    const { accepted, lines, rejected } = setUp();
    receiver.answer = status(400, {}, 'unknown path');
    offer(60_000, 500);
    await until(() => rejected() === 500);
    // Deltas: a part may have been stored, so it takes some more to say that nothing was.
    expect(receiver.requests.length).toBeLessThan(70);
    receiver.requests.length = 0;
    offer(120_000, 500);
    await until(() => rejected() === 1000);
    expect(receiver.requests).toHaveLength(8);
    expect(accepted).toEqual([]);
    expect(lines.length).toBeLessThan(5);
  });

  test('413 is split until it fits', async () => {
    const { accepted } = setUp();
    const stored: string[] = [];
    receiver.answer = (received, response) => {
      const pods = labelsOf(decodeWrite(received)).map((labels) => labels.src_pod!);
      if (pods.length > 10) return status(413)(received, response);
      stored.push(...pods);
      status(204)(received, response);
    };
    offer(60_000, 64);
    await until(() => accepted.length === 1);
    expect(stored).toHaveLength(64);
    expect(new Set(stored).size).toBe(64);
  });
});

test('no secret is logged, not even one that the receiver gives back', async () => {
  const { lines } = setUp({
    url: `http://user:pass-word@127.0.0.1:${receiver.port}/write?key=query-secret`,
    headers: { 'X-Api-Key': 'header-secret' },
  });
  receiver.answer = (received, response) => {
    const { authorization } = received.headers;
    status(401, {}, `key header-secret, ${authorization}, pass-word, query-secret`)(received, response);
  };
  offer();
  await until(() => lines.length > 0);
  expect(receiver.requests[0]!.headers.authorization).toBe(`Basic ${Buffer.from('user:pass-word').toString('base64')}`);
  expect(lines.join()).toContain('key ***, Basic ***, ***, ***');
});

test('large snapshots go in several requests, each series once', async () => {
  const { accepted } = setUp();
  offer(60_000, 12_000);
  await until(() => accepted.length === 1);
  const pods = receiver.requests.map((request) => labelsOf(decodeWrite(request)).map((labels) => labels.src_pod));
  expect(pods.map(({ length }) => length)).toEqual([10_000, 2000]);
  expect(new Set(pods.flat()).size).toBe(12_000);
});
