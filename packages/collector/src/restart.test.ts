import { fromBinary } from '@bufbuild/protobuf';
import { SILENT } from '@egressd/daemon/log';
import { decodePart } from '@egressd/flow/batch-decode';
import { DeliverRequestSchema } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import { Collector } from './collector.ts';
import { FLAG, STRIDE, WORD } from './conntrack/record.ts';
import type { ConntrackSource } from './conntrack/source.ts';
import { createCollectorMetrics } from './metrics.ts';
import { StateDirectory } from './state/directory.ts';
import { Epoch } from './state/epoch.ts';
import type { FrozenBatch } from './state/frozen-batch.ts';
import { createCollectorStateMetrics } from './state/metrics.ts';
import { restore } from './state/restore.ts';
import { MemoryDisk, OPEN } from './state/testing.ts';
import { Outbox } from './stream/outbox.ts';

/**
 * Collectors that are killed at any byte of any write, one after the other, against a kernel and an exporter that are played: what the
 * exporter has in the end is what the kernel counted.
 */
const SECOND = 1000;

/** Connections by tuple: what each counted, and when it was opened. */
class Kernel {
  nowMs = 1_000_000;
  readonly open = new Map<number, { startMs: number; bytes: number }>();
  /** By tuple, of all connections that ever were. */
  readonly truth = new Map<number, number>();
  readonly source: ConntrackSource = {
    name: 'netfilter',
    read: async (onBlock) => {
      onBlock(this.#block());
      const skipped = { no_counters: 0, undecodable: 0, loopback: 0 };
      const entries = this.open.size;
      return { complete: true, startedNs: 0n, entries, skipped, interrupted: 0, overrun: 0, durationMs: 1 };
    },
    sysctls: () => ({ accounting: true, timestamps: true, events: 1 }),
    nodeAddresses: async () => [],
    close: async () => {},
  };

  move(tuple: number, bytes: number): void {
    const connection = this.open.get(tuple) ?? { startMs: this.nowMs, bytes: 0 };
    connection.bytes += bytes;
    this.open.set(tuple, connection);
    this.truth.set(tuple, (this.truth.get(tuple) ?? 0) + bytes);
  }

  #block() {
    const words = new Uint32Array(this.open.size * STRIDE);
    for (const [i, [tuple, { startMs, bytes }]] of [...this.open].entries()) {
      const at = i * STRIDE;
      words[at + WORD.zoneProtocol] = 6 << 16;
      words[at + WORD.originalSource + 3] = 1;
      words[at + WORD.replySource + 3] = tuple;
      words[at + WORD.originalPorts] = tuple;
      const start = BigInt(startMs) * 1_000_000n;
      words[at + WORD.identity] = Number(start & 0xffff_ffffn);
      words[at + WORD.identity + 1] = Number(start >> 32n);
      words[at + WORD.flags] = FLAG.counters | FLAG.start;
      words[at + WORD.originalBytes] = bytes;
    }
    return { words, count: this.open.size };
  }
}

/** Applies batches, in order and once. */
class Exporter {
  readonly applied = new Map<string, number>();
  readonly sums = new Map<number, number>();
  readonly #messages = new Map<string, string>();

  take(epoch: string, batch: FrozenBatch): void {
    const key = `${epoch} ${batch.number}`;
    const bytes = Buffer.concat(batch.messages).toString('base64');
    // Frozen: what comes again is the same to the byte.
    expect(this.#messages.get(key) ?? bytes).toBe(bytes);
    this.#messages.set(key, bytes);
    const applied = this.applied.get(epoch) ?? 0;
    if (batch.number <= applied) return;
    expect(batch.number).toBe(applied + 1);
    this.applied.set(epoch, batch.number);
    for (const [tuple, sent] of batch.messages.flatMap(rows)) this.sums.set(tuple, (this.sums.get(tuple) ?? 0) + sent);
  }
}

function rows(bytes: Uint8Array): [tuple: number, bytes: number][] {
  const { message } = fromBinary(DeliverRequestSchema, bytes);
  if (message.case !== 'part') throw new Error('not a part');
  const flows = decodePart(message.value);
  const words = new Uint32Array(flows.addresses.slice().buffer);
  return Array.from({ length: flows.rows }, (_, i) => [words[flows.destination[i]! * 4 + 3]!, flows.txBytes[i]!]);
}

const HERE = { node: 'node-a', bootId: 'boot-1', source: 'netfilter net:[1]' };

/** One process, from its start to its kill. */
async function startProcess(kernel: Kernel, disk: MemoryDisk, bootId = HERE.bootId) {
  const here = { ...HERE, bootId };
  const restored = await restore(disk, here);
  const epoch = new Epoch(restored.epoch);
  const registry = new Registry();
  const { source, ...rest } = here;
  const identity = { ...rest, epoch: epoch.name };
  const metrics = createCollectorStateMetrics(registry);
  const timing = { graceMs: 0, retryMs: 0, retryWholeMs: 0 };
  const state = new StateDirectory({
    disk,
    identity,
    source: () => source,
    batches: restored.batches,
    restored: restored.connections !== undefined,
    metrics,
    log: SILENT,
    timing,
  });
  const outbox = new Outbox(undefined, (numbers) => state.discard(numbers));
  outbox.restore(restored.batches, epoch.last);
  const stream = {
    connected: true,
    canFreeze: true,
    wantOriginalDestination: false,
    beginEpoch: (renumber: Parameters<Outbox['beginEpoch']>[0]) => outbox.beginEpoch(renumber),
    send: (batch: FrozenBatch) => outbox.push(batch),
    reportHealth: () => {},
  };
  const collector = new Collector({
    source: kernel.source,
    stream,
    epoch,
    state,
    metrics: createCollectorMetrics(registry, kernel.source),
    log: SILENT,
    maxPairs: 1000,
    readIntervalMs: 5000,
    cleanupIntervalMs: 20 * SECOND,
    seed: 1,
    now: () => kernel.nowMs,
    sinceBoot: () => kernel.nowMs,
  });
  if (restored.connections !== undefined) collector.restore(restored.connections);
  return { restored, epoch, state, outbox, collector, disk };
}

type Process = Awaited<ReturnType<typeof startProcess>>;

/** Waits for the hand-over, or for the kill. */
function settled({ collector, disk }: Process): Promise<void> {
  return Promise.race([collector.handedOver, disk.killed]);
}

/** Everything that is in the outbox, or so many batches. */
function deliver({ outbox, epoch }: Process, exporter: Exporter, batches = Number.POSITIVE_INFINITY): void {
  const applied = exporter.applied.get(epoch.name) ?? 0;
  // What the exporter has was sent from here, as far as is known here.
  expect(applied).toBeLessThanOrEqual(outbox.lastSent);
  for (const batch of outbox.allAfter(0).slice(0, batches)) {
    outbox.markSent(batch.number);
    exporter.take(epoch.name, batch);
  }
}

type Step =
  | { do: 'move'; tuple: number; bytes: number }
  | { do: 'end'; tuple: number }
  | { do: 'turn'; wait: boolean }
  | { do: 'deliver'; batches: number }
  | { do: 'commit' }
  | { do: 'slow' | 'fast' | 'fail' | 'mend' }
  | { do: 'kill'; after: number };

const tuple = fc.integer({ min: 1, max: 6 });
const TRAFFIC: readonly fc.WeightedArbitrary<Step>[] = [
  { weight: 6, arbitrary: fc.record({ do: fc.constant('move'), tuple, bytes: fc.integer({ min: 1, max: 1000 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('end'), tuple }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('turn'), wait: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('deliver'), batches: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'commit' }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: 'slow' }, { do: 'fast' }) },
];
const KILL = { weight: 2, arbitrary: fc.record({ do: fc.constant('kill' as const), after: fc.nat(1500) }) };
const FAILURE = { weight: 2, arbitrary: fc.constantFrom<Step>({ do: 'fail' }, { do: 'mend' }) };

/** Plays the steps. @returns what the exporter has too much or too little, by tuple */
async function play(steps: readonly Step[]): Promise<[tuple: number, expected: number, got: number | undefined][]> {
  const kernel = new Kernel();
  const exporter = new Exporter();
  let process = await startProcess(kernel, new MemoryDisk());
  let release = () => {};
  // Moved since the last hand-over that was kept.
  const moved = new Set<number>();
  const turn = async (wait: boolean) => {
    kernel.nowMs += 5 * SECOND;
    const busy = process.state.writing;
    const before = [...moved];
    await process.collector.read();
    if (!wait) return;
    await settled(process);
    if (!busy && process.disk.budget > 0) for (const tuple of before) moved.delete(tuple);
  };
  const restart = async () => {
    release();
    process = await startProcess(kernel, new MemoryDisk(process.disk.files));
  };
  await turn(true);
  for (const step of steps) {
    if (process.disk.budget <= 0) await restart();
    switch (step.do) {
      case 'move':
        kernel.nowMs++;
        kernel.move(step.tuple, step.bytes);
        moved.add(step.tuple);
        break;
      case 'end':
        // What ends before it was handed over is lost without DESTROY events.
        if (!moved.has(step.tuple)) kernel.open.delete(step.tuple);
        break;
      case 'turn':
        await turn(step.wait && process.disk.gate === OPEN);
        break;
      case 'deliver':
        deliver(process, exporter, step.batches);
        break;
      case 'commit':
        process.outbox.commit(Math.min(exporter.applied.get(process.epoch.name) ?? 0, process.outbox.lastSent));
        break;
      case 'slow':
        release();
        process.disk.gate = new Promise((resolve) => {
          release = resolve;
        });
        break;
      case 'fast':
        release();
        process.disk.gate = OPEN;
        break;
      case 'fail':
        process.disk.failing = new Error('EIO: i/o error');
        break;
      case 'mend':
        process.disk.failing = undefined;
        break;
      case 'kill':
        process.disk.budget = Math.min(process.disk.budget, step.after);
        if (step.after === 0) await restart();
    }
  }
  process.disk.failing = undefined;
  if (process.disk.budget > 0) {
    // A slow disk has time to write, one that failed to be written to once more.
    release();
    process.disk.gate = OPEN;
    await settled(process);
    await turn(true);
  }
  await restart();
  await turn(true);
  deliver(process, exporter);
  return [...kernel.truth]
    .map(([tuple, bytes]) => [tuple, bytes, exporter.sums.get(tuple)] as [number, number, number | undefined])
    .filter(([, bytes, got]) => bytes !== got);
}

test('collectors that are killed at any byte of any write lose nothing, and count nothing twice', async () => {
  const steps = fc.array(fc.oneof(...TRAFFIC, KILL), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(steps, async (some) => expect(await play(some)).toEqual([])),
    { numRuns: 80 },
  );
});

test('a disk that fails costs nothing while the collector lives, and once it works again a kill does neither', async () => {
  const steps = fc.array(fc.oneof(...TRAFFIC, FAILURE), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(steps, async (some) => expect(await play(some)).toEqual([])),
    { numRuns: 40 },
  );
});

describe('an exporter that has more than the state directory knows of', () => {
  /** A process that has handed over 10 bytes of connection 1 in batch 1, and 10 more in batch 2, and delivered both. */
  async function setUp() {
    const kernel = new Kernel();
    const exporter = new Exporter();
    const process = await startProcess(kernel, new MemoryDisk());
    await turn(process, kernel);
    for (const _ of [1, 2]) {
      kernel.move(1, 10);
      await turn(process, kernel);
    }
    deliver(process, exporter);
    return { kernel, exporter, process };
  }

  async function turn({ collector }: Process, kernel: Kernel): Promise<void> {
    kernel.nowMs += 5 * SECOND;
    await collector.read();
    await collector.handedOver;
  }

  /** What the exporter says to Hello. */
  const ahead = ({ outbox, epoch }: Process, exporter: Exporter) =>
    (exporter.applied.get(epoch.name) ?? 0) > outbox.lastSent;

  test('since the disk had failed: what moved since the restart arrives, once', async () => {
    const { kernel, exporter, process } = await setUp();
    process.disk.failing = new Error('ENOSPC');
    kernel.move(1, 10);
    await turn(process, kernel);
    deliver(process, exporter);
    expect(process.disk.files.has('connections')).toBe(false);

    const next = await startProcess(kernel, new MemoryDisk(process.disk.files));
    await turn(next, kernel);
    kernel.move(1, 5);
    kernel.move(2, 70);
    await turn(next, kernel);
    expect(ahead(next, exporter)).toBe(true);
    await next.collector.beginEpoch();
    expect(ahead(next, exporter)).toBe(false);
    await turn(next, kernel);
    deliver(next, exporter);
    expect([...exporter.sums]).toEqual([
      [1, 35],
      [2, 70],
    ]);

    const last = await startProcess(kernel, new MemoryDisk(next.disk.files));
    kernel.move(2, 1);
    await turn(last, kernel);
    deliver(last, exporter);
    expect(exporter.sums.get(2)).toBe(71);
  });

  test('since it was rolled back: nothing is counted twice, and what comes after is exact', async () => {
    const { kernel, exporter, process } = await setUp();
    const copy = new Map(process.disk.files);
    kernel.move(1, 10);
    await turn(process, kernel);
    deliver(process, exporter);

    const next = await startProcess(kernel, new MemoryDisk(copy));
    expect(next.restored.outcome).toBe('restored');
    await turn(next, kernel);
    expect(ahead(next, exporter)).toBe(true);
    await next.collector.beginEpoch();
    kernel.move(1, 3);
    await turn(next, kernel);
    deliver(next, exporter);
    expect([...exporter.sums]).toEqual([[1, 33]]);
  });
});
