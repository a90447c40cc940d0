import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openBpfFolder } from '../cilium/bpf-maps.ts';
import { CiliumNode, lifetimeIn, manyKeys } from '../cilium/cilium-node.ts';
import { directedBytes } from '../cilium/entries.ts';
import { NODE } from '../daemon-command.ts';
import { Answering } from './answering.ts';
import { compile } from './connections.ts';
import { median } from './numbers.ts';
import { type ReadCost, ROUNDS, WARM_UP } from './reading.ts';

/** As the connections of the other reading: 50 pods that talk to 1,000 others. */
const PODS = Array.from({ length: 50 }, (_, i) => `10.64.0.${i + 2}`);
const OTHERS = Array.from({ length: 1000 }, (_, i) => `10.64.${i >> 8}.${i & 255}`).map((a) =>
  a.replace('.64.', '.65.'),
);
const HOUR = 3600;
const BUSY = 0.1;

/** Costs of reading maps of the size that a node of Cilium's has. */
export interface CiliumResult {
  /** Batches of the kernel, received in C and not decoded. */
  readonly floor: ReadCost;
  /** Read, decoded and reduced; a tenth of the entries moved, and every one. */
  readonly busy: ReadCost;
  readonly all: ReadCost;
  readonly entries: number;
  readonly rows: number;
}

/** Reads maps of so many entries by turns in C and with the collector's own rooms. */
export async function benchCilium(count: number): Promise<CiliumResult> {
  const bpf = await openBpfFolder();
  try {
    const node = new CiliumNode(bpf, { pods: PODS, maxEntries: 2 ** Math.ceil(Math.log2(count * 2)) });
    const keys = manyKeys(count, PODS, OTHERS);
    let packets = 0;
    const move = (share: number) => {
      packets++;
      const counters = { rxPackets: packets, rxBytes: 1500 * packets, txPackets: packets, txBytes: 100 * packets };
      const value = directedBytes({ ...counters, lifetime: lifetimeIn('jiffies', HOUR) });
      node.putMany(keys.subarray(0, Math.floor(count * share) * 14), value);
    };
    move(1);
    const floor = new Answering(await compile('map-floor', dirname(bpf.root), 'bpf'), [
      join(bpf.globals, 'cilium_ct4_global'),
    ]);
    const cycle = new Answering(NODE[0]!, [
      ...NODE.slice(1),
      fileURLToPath(new URL('./cycle-process.ts', import.meta.url)),
      bpf.globals,
    ]);
    return await takeTurns(floor, cycle, move);
  } finally {
    await bpf.close();
  }
}

async function takeTurns(floor: Answering, cycle: Answering, move: (share: number) => void): Promise<CiliumResult> {
  const rounds: Readonly<Record<'floor' | 'busy' | 'all', readonly number[]>>[] = [];
  try {
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
      const ofFloor = await floor.ask();
      move(BUSY);
      const busy = await cycle.ask();
      move(1);
      const turns = { floor: ofFloor, busy, all: await cycle.ask() };
      if (round >= WARM_UP) rounds.push(turns);
    }
  } finally {
    await floor.end();
    await cycle.end();
  }
  const cost = (side: 'floor' | 'busy' | 'all'): ReadCost => ({
    wallMs: median(rounds.map((round) => round[side][0]!)) / 1e6,
    cpuMs: median(rounds.map((round) => round[side][1]!)) / 1e6,
  });
  const [, , entries = 0, rows = 0] = rounds.at(-1)!.all;
  return { floor: cost('floor'), busy: cost('busy'), all: cost('all'), entries, rows };
}
