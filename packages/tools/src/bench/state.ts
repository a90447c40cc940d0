import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FLAG, STRIDE, WORD } from '@egressd/collector/conntrack/record';
import { FlowTable, type Pairs } from '@egressd/collector/flow-table/flow-table';
import { StateDirectory } from '@egressd/collector/state/directory';
import { FolderDisk } from '@egressd/collector/state/disk';
import type { FrozenBatch } from '@egressd/collector/state/frozen-batch';
import { createCollectorStateMetrics } from '@egressd/collector/state/metrics';
import { restore } from '@egressd/collector/state/restore';
import { SILENT } from '@egressd/daemon/log';
import { Bug } from '@egressd/flow/bug';
import { Registry } from 'prom-client';
import { median } from './numbers.ts';

/** A busy node's tenth moves between two reads. */
const BUSY = 0.1;
/** Hand-overs: five minutes at the default interval. */
const ROUNDS = 60;
const A_MINUTE = 12;
const BLOCK = 4096;
/** Of a row in a batch, on the wire. */
const ROW_BYTES = 12;
const SEED = 1;
const HERE = { node: 'bench', bootId: 'bench' };
const SOURCE = 'bench';
const NOWHERE: Pairs = { pairOf: () => 1, add: () => {} };

/** What a collector's state directory costs. */
interface StateCost {
  /** Milliseconds in which nothing else runs: what changed is copied out. */
  readonly copyMs: number;
  /** Until the batch may be sent, with the flush to the disk. */
  readonly writeMs: number;
  readonly bytesAMinute: number;
  /** Reading the directory, and restoring the flow table. */
  readonly restoreMs: number;
}

/** Hands over again and again, with a tenth of `count` connections moving each time, in the system's temporary folder. */
export async function benchState(count: number): Promise<StateCost> {
  const folder = await mkdtemp(join(tmpdir(), 'egressd-bench-'));
  try {
    const registry = new Registry();
    const disk = new FolderDisk(folder);
    const metrics = createCollectorStateMetrics(registry);
    const state = new StateDirectory({
      disk,
      identity: { ...HERE, epoch: 'one' },
      source: () => SOURCE,
      batches: [],
      restored: false,
      metrics,
      log: SILENT,
    });
    const table = new FlowTable(SEED, 0n);
    move(table, count, 1);
    const rounds = [];
    for (let round = 0; round <= ROUNDS; round++) rounds.push(await turn(table, state, count, round));
    // The first one is whole, and no hand-over as the others are.
    const times = rounds.slice(1);
    const written = (await registry.getSingleMetric('egressd_collector_state_written_bytes_total')!.get()).values[0]!
      .value;
    const began = performance.now();
    const { connections } = await restore(disk, { ...HERE, source: SOURCE });
    const again = new FlowTable(SEED + 1, 0n);
    for (const { words } of connections!.images) again.restore(words);
    const restoreMs = performance.now() - began;
    if (again.size !== count) throw new Bug(`${again.size} of ${count} connections were restored`);
    return {
      copyMs: median(times.map(({ copyMs }) => copyMs)),
      writeMs: median(times.map(({ writeMs }) => writeMs)),
      bytesAMinute: (written / ROUNDS) * A_MINUTE,
      restoreMs,
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function turn(table: FlowTable, state: StateDirectory, count: number, round: number) {
  move(table, Math.floor(count * BUSY), round + 2);
  const number = round + 1;
  const batch = batchOf(number, Math.floor(count * BUSY) * ROW_BYTES);
  const began = performance.now();
  const whole = state.wantsWhole;
  const image = {
    whole,
    number,
    sinceMs: 0,
    firstReadNs: 0n,
    baseline: false,
    counterDecreases: 0,
    words: table.image(whole),
  };
  const written = state.save(batch, image);
  const copyMs = performance.now() - began;
  await written;
  const writeMs = performance.now() - began;
  state.discard([number]);
  await state.close();
  return { copyMs, writeMs };
}

function batchOf(number: number, bytes: number): FrozenBatch {
  return { number, messages: [new Uint8Array(bytes)], bytes, rows: 1, flowBytes: 1, frozenMs: 0 };
}

/** Moves the first so many connections. */
function move(table: FlowTable, count: number, bytes: number): void {
  for (let first = 0; first < count; first += BLOCK)
    table.apply(block(first, Math.min(BLOCK, count - first), bytes), NOWHERE);
}

function block(first: number, count: number, bytes: number) {
  const words = new Uint32Array(count * STRIDE);
  for (let i = 0; i < count; i++) {
    const at = i * STRIDE;
    words[at + WORD.zoneProtocol] = 6 << 16;
    words[at + WORD.originalSource + 3] = first + i;
    words[at + WORD.identity + 1] = 1;
    words[at + WORD.flags] = FLAG.counters | FLAG.start;
    words[at + WORD.originalBytes] = bytes;
  }
  return { words, count };
}
