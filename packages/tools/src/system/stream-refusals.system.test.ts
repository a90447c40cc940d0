import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { create } from '@bufbuild/protobuf';
import { encodeBatch } from '@egressd/flow/batch-encode';
import { emptyColumns } from '@egressd/flow/columns';
import { DeliverResponseSchema } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { FLOW_SERVICE, MAX_MESSAGE_BYTES } from '@egressd/flow/service';
import { metric, until } from '@egressd/world/observe';
import { encodeRequest, helloBytes, RawStream } from '@egressd/world/raw-stream';
import { Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { describe, expect, test } from '@jest/globals';
import { CollectorEnd, ExporterEnd } from './stream-ends.ts';

/** The messages of a good batch of one row. */
function batch(number: number, span = { fromMs: 1000, toMs: 2000 }): Uint8Array[] {
  const columns = emptyColumns(1, 1);
  columns.txBytes[0] = 5;
  return encodeBatch({ number, ...span }, columns, 10_000);
}

/** A message of a kind that does not exist yet: field 15, length-delimited, two bytes. */
const unknown = Uint8Array.of((15 << 3) | 2, 2, 0, 0);

/** A part that lies about its rows. */
const lying = (number: number): Uint8Array =>
  encodeRequest({ case: 'part', value: { number: BigInt(number), last: true, rows: 9, toMs: 1n } });

const endOf = async (stream: RawStream) => {
  await until('the end of the stream', () => stream.end !== undefined);
  return stream.end!;
};
const endedFor = (exporter: ExporterEnd, reason: string) =>
  metric(exporter.registry, 'egressd_exporter_receiver_streams_ended_total', { reason });

describe('the exporter does not let in', () => {
  test('every collector while it is not ready, and accepts those that wait when it is', async () => {
    let notReady: string | undefined = 'the inventory is not loaded';
    await using exporter = await ExporterEnd.start({ notReady: () => notReady });
    await using collector = new CollectorEnd(exporter.port);
    collector.send();
    await until('a refusal', () => collector.kept.says('the exporter is not ready: the inventory is not loaded'));
    expect(collector.kept.says('reason=unavailable', 'advice=')).toBe(true);
    notReady = undefined;
    await until('the batch', () => exporter.batches.length === 1);
    expect(await endedFor(exporter, 'not_ready')).toBeGreaterThan(0);
  });

  test('a collector that names a node which is not its own', async () => {
    await using exporter = await ExporterEnd.start({ admit: ({ node }) => `127.0.0.1 is not an address of ${node}` });
    await using collector = new CollectorEnd(exporter.port);
    await until('a refusal', () => collector.kept.says('127.0.0.1 is not an address of node-a', 'NODE_NAME'));
    expect(
      await metric(collector.registry, 'egressd_collector_streams_ended_total', { reason: 'permission_denied' }),
    ).not.toBe(0);
    expect(await endedFor(exporter, 'refused')).not.toBe(0);
  });

  test.each([
    ['newer', { protocol: 7, oldestProtocol: 5 }, 'speaks protocol 5 to 7, this exporter 1 to 1'],
    ['older', { protocol: 0, oldestProtocol: 0 }, 'speaks protocol 0 to 0, this exporter 1 to 1'],
  ])('a collector of a much %s release', async (_, protocols, text) => {
    await using exporter = await ExporterEnd.start();
    using stream = new RawStream(exporter.port, helloBytes(protocols));
    const end = await endOf(stream);
    expect(end.code).toBe(status.FAILED_PRECONDITION);
    expect(end.details).toContain(text);
    expect(await endedFor(exporter, 'protocol')).toBe(1);
  });

  test('but does let in one that also speaks an older protocol', async () => {
    await using exporter = await ExporterEnd.start();
    using stream = new RawStream(exporter.port, helloBytes({ protocol: 2, oldestProtocol: 1 }));
    await until('a Welcome', () => stream.of('welcome').length === 1);
    expect(stream.of('welcome')[0]).toMatchObject({ protocol: 1, applied: 0n, committed: 0n });
  });

  test.each([
    ['no node', { node: '' }, 'set NODE_NAME'],
    ['a node name that is too long', { node: 'n'.repeat(254) }, 'longer than 253'],
    ['a node name of two lines', { node: 'a\nb' }, 'control characters'],
    ['no epoch', { epoch: '' }, 'epoch'],
    ['a short address', { nodeAddresses: [new Uint8Array(4)] }, '16 bytes'],
    ['a long version', { version: 'v'.repeat(65) }, 'longer than 64'],
  ])('a Hello with %s', async (_, hello, text) => {
    await using exporter = await ExporterEnd.start();
    using stream = new RawStream(exporter.port, helloBytes(hello));
    const end = await endOf(stream);
    expect(end).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining(text) });
  });

  test('one that says nothing', async () => {
    await using exporter = await ExporterEnd.start({ limits: { helloMs: 30 } });
    using stream = new RawStream(exporter.port);
    expect((await endOf(stream)).details).toBe('no Hello within 30 ms');
    expect(await endedFor(exporter, 'no_hello')).toBe(1);
  });

  test('more streams than its limit', async () => {
    await using exporter = await ExporterEnd.start({ limits: { streams: 1 } });
    using first = new RawStream(exporter.port, helloBytes());
    await until('a Welcome', () => first.answers.length === 1);
    using second = new RawStream(exporter.port, helloBytes({ node: 'node-b' }));
    const { code, details } = await endOf(second);
    expect(code).toBe(status.RESOURCE_EXHAUSTED);
    expect(details).toBe(
      'the exporter has as many streams (1) as its memory has room for: give the exporter more memory',
    );
    expect(first.end).toBeUndefined();
  });
});

describe('the exporter ends', () => {
  test('the older of two streams of a node', async () => {
    await using exporter = await ExporterEnd.start();
    using older = new RawStream(exporter.port, helloBytes(), ...batch(1));
    await until('the batch', () => exporter.batches.length === 1);
    using newer = new RawStream(exporter.port, helloBytes({ epoch: 'epoch-2' }));
    const end = await endOf(older);
    expect(end.code).toBe(status.ABORTED);
    expect(end.details).toBe('a newer stream from 127.0.0.1 of node node-a took its place');
    await until('a Welcome', () => newer.answers.length > 0);
    expect(newer.of('welcome')[0]).toMatchObject({ applied: 0n });
    expect(await endedFor(exporter, 'superseded')).toBe(1);
    expect(exporter.streams.collectors.length).toBe(1);
  });

  test.each([
    ['bytes that are no message', [helloBytes(), Uint8Array.of(255, 255, 255)], 'not a DeliverRequest'],
    ['a batch before Hello', batch(1), 'part came out of turn'],
    ['a second Hello', [helloBytes(), helloBytes()], 'hello came out of turn'],
    ['an unknown message before Hello', [unknown], 'unknown kind came out of turn'],
    ['a Health before Hello', [encodeRequest({ case: 'health', value: {} })], 'health came out of turn'],
    ['a batch without number', [helloBytes(), ...batch(0)], 'number is 0'],
    ['a batch that cuts off another', [helloBytes(), cutOff(1), ...batch(2)], 'before the last part of batch 1'],
  ])('a stream with %s', async (_, messages, text) => {
    await using exporter = await ExporterEnd.start();
    using stream = new RawStream(exporter.port, ...messages);
    const end = await endOf(stream);
    expect(end).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining(text) });
    expect(await endedFor(exporter, 'invalid')).toBe(1);
    expect(exporter.batches.length).toBe(0);
  });

  test('a stream with a message so long that it is not read', async () => {
    await using exporter = await ExporterEnd.start();
    const huge = encodeRequest({ case: 'part', value: { addresses: new Uint8Array(MAX_MESSAGE_BYTES) } });
    using stream = new RawStream(exporter.port, helloBytes(), huge);
    const end = await endOf(stream);
    expect(end).toMatchObject({ code: status.RESOURCE_EXHAUSTED, details: expect.stringContaining('larger than max') });
    await until('its end', () => exporter.streams.collectors.length === 0);
  });

  test('a stream whose unfinished batches have no room', async () => {
    await using exporter = await ExporterEnd.start({ limits: { unfinishedBytes: 3 } });
    using stream = new RawStream(exporter.port, helloBytes(), cutOff(1));
    expect((await endOf(stream)).details).toContain('unfinished batches');
  });

  test('a stream whose batch could not be applied, and does not acknowledge it', async () => {
    let broken = true;
    const numbers: number[] = [];
    await using exporter = await ExporterEnd.start({
      onBatch: ({ span }) => {
        if (broken) throw new Error('cannot add up');
        numbers.push(span.number);
      },
    });
    await using collector = new CollectorEnd(exporter.port);
    collector.send();
    await until('the failure', () => collector.kept.says('batch 1 could not be applied'));
    expect(exporter.kept.says('BUG: a batch could not be applied', 'cannot add up', 'node=node-a')).toBe(true);
    expect(await endedFor(exporter, 'bug')).toBeGreaterThan(0);
    broken = false;
    await until('the batch', () => numbers.length === 1);
  });

  /** A batch whose last part does not come. */
  function cutOff(number: number): Uint8Array {
    return encodeRequest({ case: 'part', value: { number: BigInt(number), toMs: 1n } });
  }
});

describe('a batch', () => {
  test('that is malformed is rejected, counted on both sides, and the stream goes on', async () => {
    await using exporter = await ExporterEnd.start();
    await using collector = new CollectorEnd(exporter.port);
    collector.send();
    collector.stream.send({ number: 2, messages: [lying(2)], bytes: 10, rows: 9, flowBytes: 1234, frozenMs: 0 });
    collector.stream.send({ number: 3, messages: batch(3), bytes: 10, rows: 1, flowBytes: 5, frozenMs: 0 });
    await until('the third', () => exporter.numbers.at(-1) === 3);
    expect(exporter.numbers).toEqual([1, 3]);
    await until('a rejection', () => collector.kept.says('batch=2', 'claims 9 rows'));
    expect(await metric(collector.registry, 'egressd_collector_batches_rejected_total')).toBe(1);
    expect(await metric(collector.registry, 'egressd_collector_traffic_bytes_rejected_total')).toBe(1234);
    expect(
      await metric(exporter.registry, 'egressd_exporter_receiver_batches_dropped_total', { reason: 'malformed' }),
    ).toBe(1);
    expect(await metric(exporter.registry, 'egressd_exporter_receiver_batches_missing_total')).toBe(0);
    exporter.commitAll();
    await until('all committed', () => collector.outbox.length === 0);
    expect(await metric(collector.registry, 'egressd_collector_streams_ended_total')).toBe(0);
  });

  test('that comes twice counts once, and is acknowledged', async () => {
    await using exporter = await ExporterEnd.start();
    using first = new RawStream(exporter.port, helloBytes(), ...batch(1));
    await until('ack', () => first.of('ack').length === 1);
    using second = new RawStream(exporter.port, helloBytes(), ...batch(1), ...batch(2));
    await until('ack', () => second.of('ack').at(-1)?.applied === 2n);
    expect(exporter.numbers).toEqual([1, 2]);
    expect(
      await metric(exporter.registry, 'egressd_exporter_receiver_batches_dropped_total', { reason: 'duplicate' }),
    ).toBe(1);
  });

  test('that was not whole when its stream ended is dropped, and comes again', async () => {
    await using exporter = await ExporterEnd.start();
    const [head, ...rest] = encodeBatch({ number: 1, fromMs: 0, toMs: 1 }, emptyColumns(300, 1), 1000);
    const broken = new RawStream(exporter.port, helloBytes(), head!);
    await until('a Welcome', () => broken.answers.length === 1);
    const received = () => metric(exporter.registry, 'egressd_exporter_receiver_message_bytes_total');
    await until('its first part', async () => (await received()) > head!.length);
    broken[Symbol.dispose]();
    const partial = () =>
      metric(exporter.registry, 'egressd_exporter_receiver_batches_dropped_total', { reason: 'partial' });
    await until('it is dropped', async () => (await partial()) === 1);
    using stream = new RawStream(exporter.port, helloBytes(), head!, ...rest);
    await until('ack', () => stream.of('ack').length > 0);
    expect([...exporter.batches[0]!.parts].reduce((rows, part) => rows + part.rows, 0)).toBe(300);
  });

  test('whose number leaves a gap is taken, and the gap is counted and logged', async () => {
    await using exporter = await ExporterEnd.start();
    using stream = new RawStream(exporter.port, helloBytes(), ...batch(1), ...batch(4));
    await until('ack', () => stream.of('ack').at(-1)?.applied === 4n);
    expect(await metric(exporter.registry, 'egressd_exporter_receiver_batches_missing_total')).toBe(2);
    expect(exporter.kept.says('node=node-a', 'batches=2')).toBe(true);
  });

  test('from the future is taken as of now, and the clock skew is counted', async () => {
    const now = 1_000_000_000;
    await using exporter = await ExporterEnd.start({ now: () => now });
    using stream = new RawStream(
      exporter.port,
      helloBytes(),
      ...batch(1, { fromMs: now + 3_600_000, toMs: now + 3_660_000 }),
    );
    await until('ack', () => stream.of('ack').length === 1);
    expect(exporter.batches[0]!.span).toEqual({ number: 1, fromMs: now, toMs: now });
    expect(
      await metric(exporter.registry, 'egressd_exporter_receiver_batch_clock_skew_total', { clock: 'ahead' }),
    ).toBe(1);
    expect(exporter.kept.says('node=node-a', 'clock=ahead', 'seconds=3660')).toBe(true);
  });
});

describe('what has nothing to do with bytes ends no stream', () => {
  const most = 2n ** 64n - 1n;
  test.each([
    ['a message of an unknown kind', 'unknown', unknown],
    ['an empty message', 'unknown', new Uint8Array()],
    ['a Health that is cut', 'malformed_health', Uint8Array.of((3 << 3) | 2, 9, 8)],
    ['a Health whose bytes are none', 'malformed_health', Uint8Array.of((3 << 3) | 2, 2, 255, 255)],
    [
      'a Health of more than can be',
      'malformed_health',
      encodeRequest({ case: 'health', value: { counterDecreases: most } }),
    ],
  ])('%s', async (_, reason, message) => {
    await using exporter = await ExporterEnd.start();
    using stream = new RawStream(exporter.port, helloBytes(), message, ...batch(1));
    await until('ack', () => stream.of('ack').at(-1)?.applied === 1n);
    expect(await metric(exporter.registry, 'egressd_exporter_receiver_messages_ignored_total', { reason })).toBe(1);
    expect(exporter.healths).toEqual([]);
    expect(stream.end).toBeUndefined();
  });

  test('an answer of an unknown kind', async () => {
    const welcome = create(DeliverResponseSchema, { message: { case: 'welcome', value: { protocol: 1 } } });
    const ack = create(DeliverResponseSchema, { message: { case: 'ack', value: { applied: 1n } } });
    await using other = await grpcServer((call) => {
      call.write(welcome);
      call.write(create(DeliverResponseSchema));
      call.on('data', ({ message }) => {
        if (message.case === 'part') call.write(ack);
      });
    });
    await using collector = new CollectorEnd(other.port);
    collector.send();
    expect(await collector.stream.close({ deadlineMs: 10_000 })).toEqual({ batches: 0, flowBytes: 0 });
    expect(await metric(collector.registry, 'egressd_collector_stream_messages_ignored_total')).toBe(1);
    expect(await metric(collector.registry, 'egressd_collector_streams_ended_total')).toBe(0);
  });
});

test('an exporter that does not read for a while gets the newest Health, not all of them', async () => {
  const welcome = create(DeliverResponseSchema, { message: { case: 'welcome', value: { protocol: 1 } } });
  const got: number[] = [];
  let resume = (): void => {};
  await using other = await grpcServer((call) => {
    call.write(welcome);
    resume = () =>
      call.on('data', ({ message }) => {
        if (message.case === 'health') got.push(Number(message.value.counterDecreases));
      });
  });
  await using collector = new CollectorEnd(other.port, { timing: { keepaliveTimeoutMs: 20_000, stallMs: 20_000 } });
  await until('a Welcome', () => collector.stream.connected);
  const big = encodeRequest({ case: 'part', value: { addresses: new Uint8Array(MAX_MESSAGE_BYTES / 2) } });
  collector.stream.send({ number: 1, messages: [big, big, big, big], bytes: 1, rows: 1, flowBytes: 1, frozenMs: 0 });
  const rest = { accounting: true, timestamps: true, events: 1, entriesWithoutCounters: 0 };
  for (let counterDecreases = 1; counterDecreases <= 1000; counterDecreases++) {
    collector.stream.reportHealth({ ...rest, counterDecreases });
    await new Promise(setImmediate);
  }
  resume();
  await until('the newest', () => {
    // As after every read.
    collector.stream.reportHealth({ ...rest, counterDecreases: 1000 });
    return got.at(-1) === 1000;
  });
  expect(got.length).toBeLessThan(100);
});

describe('the collector says what is wrong where', () => {
  test('no listener', async () => {
    await using collector = new CollectorEnd(1);
    await until('a line', () => collector.kept.says('ECONNREFUSED', 'exporter=127.0.0.1:1', 'reason=unavailable'));
  });

  test('a listener that never answers', async () => {
    using mute = await listening((socket) => socket.resume());
    await using collector = new CollectorEnd(mute.port);
    await until('a line', () => collector.kept.says('reason=no_welcome'));
  });

  test('a listener that speaks HTTP', async () => {
    using web = await listening((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await using collector = new CollectorEnd(web.port);
    await until('a line', () => collector.kept.says('reason=', 'advice='));
  });

  test('a gRPC server listens that is not an exporter', async () => {
    await using other = await grpcServer();
    await using collector = new CollectorEnd(other.port);
    await until('a line', () => collector.kept.says('reason=unimplemented'));
  });

  test('the exporter takes the stream and hangs', async () => {
    await using other = await grpcServer(() => {});
    await using collector = new CollectorEnd(other.port);
    await until('a line', () => collector.kept.says('reason=no_welcome'));
  });

  test('the exporter chose a protocol that we do not speak', async () => {
    const message = { case: 'welcome', value: { protocol: 9 } } as const;
    await using other = await grpcServer((call) => call.write(create(DeliverResponseSchema, { message })));
    await using collector = new CollectorEnd(other.port);
    await until('a line', () =>
      collector.kept.says('chose protocol 9; this collector speaks 1 to 1', 'reason=protocol'),
    );
  });

  test('the exporter claims batches that do not exist', async () => {
    const message = { case: 'welcome', value: { protocol: 1, applied: 77n } } as const;
    await using other = await grpcServer((call) => call.write(create(DeliverResponseSchema, { message })));
    await using collector = new CollectorEnd(other.port);
    collector.send();
    await until('a line', () => collector.kept.says('has batch 77, and 0 is the last that was sent', 'reason=ahead'));
    expect(collector.outbox.length).toBe(1);
  });

  test('the exporter takes batches and never applies them', async () => {
    const message = { case: 'welcome', value: { protocol: 1 } } as const;
    await using other = await grpcServer((call) => call.write(create(DeliverResponseSchema, { message })));
    await using collector = new CollectorEnd(other.port);
    collector.send();
    await until('a line', () => collector.kept.says('reason=stalled'));
  });
});

type Call = ServerDuplexStream<Uint8Array, unknown>;

/** A gRPC server without services, or with a stand-in for ours. */
async function grpcServer(deliver?: (call: Call) => void): Promise<{ port: number } & AsyncDisposable> {
  const server = new Server();
  if (deliver !== undefined) server.addService(FLOW_SERVICE, { deliver });
  const { promise, resolve } = Promise.withResolvers<number>();
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_, port) => resolve(port));
  return { port: await promise, [Symbol.asyncDispose]: async () => server.forceShutdown() };
}

/** A TCP server. */
async function listening(onSocket: (socket: Socket) => void): Promise<{ port: number } & Disposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port: (server.address() as AddressInfo).port, [Symbol.dispose]: close };
}

describe('connections without a stream', () => {
  const refused = (exporter: ExporterEnd, reason: string) =>
    metric(exporter.registry, 'egressd_exporter_receiver_connections_refused_total', { reason });

  test('are closed after some time', async () => {
    const connections = { all: 10, perAddress: 10, idleMs: 50 };
    await using exporter = await ExporterEnd.start({ limits: { connections } });
    await using collector = new CollectorEnd(exporter.port);
    await once(connect(exporter.port, '127.0.0.1').resume(), 'close');
    expect(await refused(exporter, 'idle')).toBe(1);
    collector.send();
    await until('the batch', () => exporter.batches.length === 1);
  });

  test('do not shut a collector out, nor does its own connection count', async () => {
    const connections = { all: 8, perAddress: 8, idleMs: 60_000 };
    await using exporter = await ExporterEnd.start({ limits: { connections } });
    const silent = Array.from({ length: 30 }, () => connect(exporter.port, '127.0.0.1').resume());
    await until('refusals', async () => (await refused(exporter, 'address_limit')) === 22);
    await using collector = new CollectorEnd(exporter.port);
    collector.send();
    await until('the batch', () => exporter.batches.length === 1);
    expect(await metric(exporter.registry, 'egressd_exporter_receiver_connections')).toBe(8);
    for (const socket of silent) socket.destroy();
  });
});
