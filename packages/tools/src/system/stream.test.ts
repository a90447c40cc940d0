import { Outbox } from '@egressd/collector/stream/outbox';
import { STREAM_TIMING } from '@egressd/collector/stream/timing';
import { FAULTS, FaultProxy } from '@egressd/world/network/fault-proxy';
import { metric, until } from '@egressd/world/observe';
import { seededNumbers } from '@egressd/world/traffic/random';
import { describe, expect, test } from '@jest/globals';
import { CollectorEnd, ExporterEnd } from './stream-ends.ts';

/** 1, 2, ... n. */
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

describe('stream', () => {
  test('brings batches in order, once, and drops them when they are committed', async () => {
    await using exporter = await ExporterEnd.start();
    // Nothing breaks here, however slow the machine is.
    await using collector = new CollectorEnd(exporter.port, { timing: STREAM_TIMING });
    for (let i = 0; i < 50; i++) collector.send();
    await until('all batches applied', () => exporter.batches.length === 50);
    expect(exporter.numbers).toEqual(upTo(50));
    expect(exporter.txBytes).toBe(collector.txBytes);
    expect(collector.outbox.length).toBe(50);
    exporter.commitAll();
    await until('all committed', () => collector.outbox.length === 0);
    expect(await metric(collector.registry, 'egressd_collector_batches_sent_total')).toBe(50);
    expect(await metric(collector.registry, 'egressd_collector_batches_resent_total')).toBe(0);
    expect(await metric(exporter.registry, 'egressd_exporter_receiver_batches_total')).toBe(50);
    expect(await metric(exporter.registry, 'egressd_exporter_receiver_streams')).toBe(1);
  });

  test('identifies the collector to the exporter', async () => {
    await using exporter = await ExporterEnd.start();
    await using collector = new CollectorEnd(exporter.port);
    collector.send();
    await until('the batch', () => exporter.batches.length === 1);
    expect(exporter.admitted).toEqual([[new Uint8Array(16).fill(7)]]);
    expect(exporter.batches[0]!.collector).toEqual({
      node: 'node-a',
      bootId: 'boot',
      epoch: 'epoch-1',
      version: 'test',
      settings: { excludeNamespaces: ['kube-system'], groupPublicIps: true, sendTrafficDelta: undefined },
      peer: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1),
      certificate: { kind: 'any' },
    });
    expect(exporter.streams.collectors.map(({ node }) => node)).toEqual(['node-a']);
  });

  test('the exporter asks for the original destination (before DNAT) in its first answer', async () => {
    await using exporter = await ExporterEnd.start({ wantOriginalDestination: true });
    await using collector = new CollectorEnd(exporter.port);
    expect(collector.stream.wantOriginalDestination).toBe(false);
    await until('the answer', () => collector.stream.connected);
    expect(collector.stream.wantOriginalDestination).toBe(true);
  });

  test('a batch of many messages is applied as one', async () => {
    await using exporter = await ExporterEnd.start();
    await using collector = new CollectorEnd(exporter.port);
    collector.send(2000, 1000);
    await until('the batch', () => exporter.batches.length === 1);
    expect([...exporter.batches[0]!.parts].length).toBeGreaterThan(10);
    expect(exporter.txBytes).toBe(collector.txBytes);
  });

  test('a megabyte that is not read does not pile up: the outbox fills, and nothing more is frozen', async () => {
    await using collector = new CollectorEnd(1, { outbox: new Outbox(1000) });
    while (collector.stream.canFreeze) collector.send(100);
    expect(collector.outbox.bytes).toBeLessThan(3000);
    expect(await metric(collector.registry, 'egressd_collector_batch_bytes_unacked')).toBe(collector.outbox.bytes);
    expect(await metric(collector.registry, 'egressd_collector_stream_connected')).toBe(0);
  });

  test('closing waits until all is applied', async () => {
    await using exporter = await ExporterEnd.start();
    await using collector = new CollectorEnd(exporter.port);
    for (let i = 0; i < 20; i++) collector.send();
    expect(await collector.stream.close({ deadlineMs: 10_000 })).toEqual({ batches: 0, flowBytes: 0 });
    expect(exporter.numbers).toEqual(upTo(20));
    await until('an end in order', async () => {
      return (
        (await metric(exporter.registry, 'egressd_exporter_receiver_streams_ended_total', { reason: 'closed' })) === 1
      );
    });
  });

  test('closing without an exporter ends at the deadline, and says what is left', async () => {
    await using collector = new CollectorEnd(1);
    collector.send();
    expect(await collector.stream.close({ deadlineMs: 50 })).toEqual({ batches: 1, flowBytes: collector.txBytes });
  });

  test('an exporter that stops commits what is delivered in the end', async () => {
    await using exporter = await ExporterEnd.start();
    await using collector = new CollectorEnd(exporter.port);
    collector.send();
    await until('the batch', () => exporter.batches.length === 1);
    exporter.receiver.stopAccepting();
    collector.send();
    exporter.commitAll();
    await exporter.receiver.close({ deadlineMs: 1000 });
    await until('the end', () => collector.kept.says('reason=unavailable'));
    expect(exporter.numbers).toEqual([1]);
    expect(collector.outbox.allAfter(0).map((batch) => batch.number)).toEqual([2]);
  });
});

describe("what a collector says of its node's kernel", () => {
  const fine = { accounting: true, timestamps: true, events: 1, counterDecreases: 0, entriesWithoutCounters: 0 };
  const unknown = { ...fine, accounting: undefined, timestamps: undefined, events: undefined };

  test('arrives as it was reported, once, and again when it changes', async () => {
    await using exporter = await ExporterEnd.start();
    await using collector = new CollectorEnd(exporter.port);
    collector.stream.reportHealth(fine);
    await until('the first', () => exporter.healths.length === 1);
    collector.stream.reportHealth({ ...fine });
    const bad = {
      ...{ accounting: false, timestamps: false, events: 2, counterDecreases: 3, entriesWithoutCounters: 4 },
      blindSpots: ['ipvs' as const],
    };
    collector.stream.reportHealth(bad);
    await until('the second', () => exporter.healths.length === 2);
    collector.stream.reportHealth(unknown);
    await until('the third', () => exporter.healths.length === 3);
    expect(exporter.healths).toEqual([
      ['node-a', fine],
      ['node-a', bad],
      ['node-a', unknown],
    ]);
  });

  test("has the node's clock, at once", async () => {
    const clocks: [string, number][] = [];
    const take = (node: string, nodeMs: number) => void clocks.push([node, nodeMs - Date.now()]);
    await using exporter = await ExporterEnd.start({ clocks: { take, aheadOf: () => undefined, forget() {} } });
    await using collector = new CollectorEnd(exporter.port);
    collector.stream.reportHealth(fine);
    await until('the clock', () => clocks.length === 1);
    expect(clocks[0]![0]).toBe('node-a');
    expect(Math.abs(clocks[0]![1])).toBeLessThan(1000);
  });

  test('without a stream the newest counts; every stream gets it; batches go on beside it', async () => {
    await using first = await ExporterEnd.start();
    await using proxy = await listening(first.port);
    proxy.proxy.schedule('cut', 1);
    await using collector = new CollectorEnd(proxy.port);
    for (let counterDecreases = 0; counterDecreases < 50; counterDecreases++)
      collector.stream.reportHealth({ ...fine, counterDecreases });
    const newest = { ...fine, counterDecreases: 49 };
    await until('the newest', () => first.healths.length > 0);
    expect(first.healths).toEqual([['node-a', newest]]);

    await using second = await ExporterEnd.start();
    proxy.proxy.target = second.port;
    proxy.proxy.strike('cut');
    collector.send();
    await until('the newest at the second', () => second.healths.length > 0 && second.batches.length === 1);
    expect(second.healths).toEqual([['node-a', newest]]);
  });
});

describe('stream, with one side restarted', () => {
  test('an exporter that lost its memory gets again what was not committed, in order', async () => {
    await using first = await ExporterEnd.start();
    await using proxy = await listening(first.port);
    await using collector = new CollectorEnd(proxy.port);
    for (let i = 0; i < 4; i++) collector.send();
    await until('the first four', () => first.batches.length === 4);
    first.commitAll();
    await until('their commit', () => collector.outbox.length === 0);
    for (let i = 0; i < 3; i++) collector.send();
    await until('three more', () => first.batches.length === 7);

    await using second = await ExporterEnd.start();
    proxy.proxy.target = second.port;
    proxy.proxy.strike('cut');
    await until('the other exporter', () => second.streams.collectors.length === 1);
    collector.send();
    await until('the second exporter to have all', () => second.batches.length === 4);
    expect(second.numbers).toEqual([5, 6, 7, 8]);
    expect(await metric(collector.registry, 'egressd_collector_batches_resent_total')).toBe(3);
    expect(await metric(second.registry, 'egressd_exporter_receiver_batches_missing_total')).toBe(0);
    second.commitAll();
    await until('all committed', () => collector.outbox.length === 0);
  });

  test('a collector that lost its memory begins a new epoch, which counts anew', async () => {
    await using exporter = await ExporterEnd.start();
    const first = new CollectorEnd(exporter.port);
    first.send();
    first.send();
    await until('two batches', () => exporter.batches.length === 2);
    await first.stream.close({ deadlineMs: 0 });
    await using second = new CollectorEnd(exporter.port, { epoch: { name: 'epoch-2' } });
    second.send();
    await until('the third', () => exporter.batches.length === 3);
    expect(exporter.numbers).toEqual([1, 2, 1]);
    expect(exporter.txBytes).toBe(first.txBytes + second.txBytes);
    exporter.commitAll();
    await until('the commit', () => second.outbox.length === 0);
  });

  test('both restarted: only what neither has is lost', async () => {
    const firstExporter = await ExporterEnd.start();
    const firstCollector = new CollectorEnd(firstExporter.port);
    firstCollector.send();
    await until('the batch', () => firstExporter.batches.length === 1);
    await firstExporter[Symbol.asyncDispose]();
    await firstCollector[Symbol.asyncDispose]();
    await using exporter = await ExporterEnd.start();
    await using collector = new CollectorEnd(exporter.port, { epoch: { name: 'epoch-2' } });
    collector.send();
    await until('the batch', () => exporter.batches.length === 1);
    expect(exporter.txBytes).toBe(collector.txBytes);
  });
});

describe('stream, with faults', () => {
  for (const fault of FAULTS)
    test(`a connection that suffers "${fault}" is replaced, and nothing counts twice`, async () => {
      await using exporter = await ExporterEnd.start();
      await using proxy = await listening(exporter.port);
      proxy.proxy.schedule(fault, 3000);
      await using collector = new CollectorEnd(proxy.port);
      for (let i = 0; i < 5; i++) collector.send(200, 1000);
      await until('all batches', () => exporter.batches.length === 5);
      await until('another connection', () => proxy.proxy.accepted >= 2 && collector.stream.connected);
      exporter.commitAll();
      await until('all committed', () => collector.outbox.length === 0);
      expect(exporter.numbers).toEqual(upTo(5));
      expect(exporter.txBytes).toBe(collector.txBytes);
    });

  const seed = Number(process.env.EGRESSD_SEED ?? Math.floor(Math.random() * 1e9));
  test(`at random points: nothing lost, nothing double (EGRESSD_SEED=${seed})`, async () => {
    const random = seededNumbers(seed);
    await using exporter = await ExporterEnd.start();
    await using proxy = await listening(exporter.port);
    await using collector = new CollectorEnd(proxy.port, { random });
    for (let round = 0; round < 12; round++) {
      proxy.proxy.schedule(FAULTS[Math.floor(random() * FAULTS.length)]!, Math.floor(random() * 20_000));
      proxy.proxy.strike(FAULTS[Math.floor(random() * FAULTS.length)]!);
      for (let i = random() * 8; i > 0; i--) collector.send(Math.floor(random() * 300), 1000);
      if (random() < 0.5) exporter.commitAll();
      const accepted = proxy.proxy.accepted;
      await until('another connection', () => proxy.proxy.accepted > accepted);
    }
    const last = collector.send();
    await until('the last batch', () => exporter.numbers.at(-1) === last);
    expect(exporter.numbers).toEqual(upTo(last));
    expect(exporter.txBytes).toBe(collector.txBytes);
    await until('all committed', () => {
      exporter.commitAll();
      return collector.outbox.length === 0;
    });
    expect(await metric(exporter.registry, 'egressd_exporter_receiver_batches_missing_total')).toBe(0);
  });

  test(`and exporters that lose their memory: what is not committed comes again, nothing else (EGRESSD_SEED=${seed})`, async () => {
    const random = seededNumbers(seed + 1);
    let exporter = await ExporterEnd.start();
    await using proxy = await listening(exporter.port);
    await using collector = new CollectorEnd(proxy.port, { random });
    const applied = new Set<number>();
    for (let round = 0; round < 8; round++) {
      proxy.proxy.schedule(FAULTS[Math.floor(random() * FAULTS.length)]!, 2000 + Math.floor(random() * 20_000));
      const newest = collector.outbox.newest;
      for (let i = random() * 6; i >= 0; i--) collector.send(Math.floor(random() * 300), 1000);
      await until('some of them', () => (exporter.numbers.at(-1) ?? 0) > newest);
      if (random() < 0.7) exporter.commitAll();
      await exporter[Symbol.asyncDispose]();
      for (const number of exporter.numbers) applied.add(number);
      expect(exporter.numbers).toEqual(exporter.numbers.map((_, i) => exporter.numbers[0]! + i));
      exporter = await ExporterEnd.start();
      proxy.proxy.target = exporter.port;
    }
    await using lastExporter = exporter;
    const last = collector.send();
    await until('the last batch', () => lastExporter.numbers.at(-1) === last);
    expect(lastExporter.numbers).toEqual(collector.outbox.allAfter(0).map(({ number }) => number));
    for (const number of lastExporter.numbers) applied.add(number);
    expect([...applied].sort((a, b) => a - b)).toEqual(upTo(last));
  });
});

/** A fault proxy before a port. */
async function listening(target: number): Promise<{ proxy: FaultProxy; port: number } & AsyncDisposable> {
  const proxy = new FaultProxy(target);
  const port = await proxy.listen();
  return { proxy, port, [Symbol.asyncDispose]: () => proxy.close() };
}
