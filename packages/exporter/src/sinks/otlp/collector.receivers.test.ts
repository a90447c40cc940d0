import { join } from 'node:path';
import { createLog } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { startOtelCollector, validateOtelConfig } from '@egressd/world/receivers/otel-collector';
import { decodeMetrics, partialSuccess, pointsOf } from '@egressd/world/receivers/otlp';
import { status, TestReceiver } from '@egressd/world/receivers/test-receiver';
import { describe, expect, test } from '@jest/globals';
import { createSinkMetrics } from '../delivery/metrics.ts';
import { SinkDelivery } from '../delivery/sink-delivery.ts';
import { STARTED_MS, testSeries, testSnapshot, until } from '../testing.ts';
import { createOtlpSink } from './sink.ts';

const ROOT = join(import.meta.dirname, '../../../../..');
const PROTOBUF = { 'content-type': 'application/x-protobuf' };

// Debian has none: `packages/tools/setup/otlp-receivers.sh` builds one.
describe('an OpenTelemetry Collector', () => {
  test('takes the example', () => {
    validateOtelConfig(join(ROOT, 'examples/otel-collector/config.yaml'), {
      CLICKHOUSE_PASSWORD: 'x',
      VENDOR_API_KEY: 'y',
    });
  });

  test('hands on what it is sent, and answers what the receiver behind it answers', async () => {
    const answers = [status(503, { 'retry-after': '1' }), status(429), status(200, PROTOBUF, '')];
    const behind = await TestReceiver.start((received, response) =>
      (answers.shift() ?? status(200))(received, response),
    );
    const collector = await startOtelCollector(`http://127.0.0.1:${behind.port}`);
    const lines: string[] = [];
    const statuses: string[] = [];
    let accepted = 0;
    const delivery = new SinkDelivery({
      sink: createOtlpSink({
        name: 'otel',
        settings: {
          url: collector.url,
          headers: {},
          resourceAttributes: {},
          attributeNames: 'conventions',
          sendReceivedBytesMetric: false,
          sendPacketsMetric: false,
          regionLabels: false,
          timeoutMs: 10_000,
          maxSeries: 100,
        },
        version: 'test',
        environment: {},
      }),
      startedMs: STARTED_MS,
      intervalMs: 60_000,
      metrics: {
        ...createSinkMetrics(createRegistry()),
        request: (_sink, outcome, code) => void statuses.push(`${outcome} ${code}`),
      },
      log: createLog('debug', (line) => lines.push(line)),
      onAccepted: () => accepted++,
    });
    delivery.offer(testSnapshot(60_000, [testSeries(1)], [7]), undefined);
    await until(() => accepted === 1);
    // What the receiver behind it refused in part is not handed back: the Collector logs it.
    behind.answer = (_received, response) => void response.writeHead(200, PROTOBUF).end(partialSuccess(1, 'too old'));
    delivery.offer(testSnapshot(120_000, [testSeries(1)], [9]), undefined);
    await until(() => accepted === 2);
    await delivery.close(1000);
    await collector.stop();
    const stored = behind.requests.map((request) => pointsOf(decodeMetrics(request)));
    await behind.close();
    expect(statuses).toEqual(['retryable 503', 'retryable 429', 'ok 200', 'ok 200', 'ok 200']);
    const same = { startMs: STARTED_MS + 1, temporality: 'cumulative', monotonic: true, unit: 'By' };
    expect(stored.slice(2).flat()).toMatchObject([
      { ...same, value: 0, timeMs: STARTED_MS + 1 },
      { ...same, value: 7, timeMs: STARTED_MS + 60_000 },
      { ...same, value: 9, timeMs: STARTED_MS + 120_000 },
    ]);
    expect(stored[2]![0]!.labels).toMatchObject({ 'source.k8s.pod.name': 'pod-1', 'network.transport': 'tcp' });
  });
});
