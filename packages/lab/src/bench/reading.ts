import { fileURLToPath } from 'node:url';
import { NODE } from '../daemon-command.ts';
import { Answering } from './answering.ts';
import { type Connections, compile } from './connections.ts';
import { median } from './numbers.ts';

/** Rounds that are measured, each the floor and the cycle one after the other, and those before that warm both up. */
export const ROUNDS = 9;
export const WARM_UP = 4;

/** What moved between two reads: a busy node's tenth, and the worst there is. */
const BUSY = 0.1;
const ALL = 1;

/** Medians of one side, milliseconds. */
export interface ReadCost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

export interface ReadingResult {
  readonly floor: ReadCost;
  /** A tenth of the connections moved. */
  readonly busy: ReadCost;
  /** Every one moved. */
  readonly all: ReadCost;
  /** Of the last read, in which every one moved. */
  readonly connections: number;
  readonly rows: number;
  readonly batchBytes: number;
}

/** Reads the connections by turns with the floor and with the collector's own rooms. */
export async function benchReading(connections: Connections): Promise<ReadingResult> {
  const enter = ['netns', 'exec', connections.namespace];
  const floor = new Answering('ip', [...enter, await compile('floor', connections.folder)]);
  const cycle = new Answering('ip', [...enter, ...NODE, fileURLToPath(new URL('./cycle-process.ts', import.meta.url))]);
  const rounds: Round[] = [];
  const turn = async (program: Answering, share: number) => {
    await connections.send(share);
    return program.ask();
  };
  await connections.send(ALL);
  try {
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
      const turns = { floor: await turn(floor, BUSY), busy: await turn(cycle, BUSY), all: await turn(cycle, ALL) };
      if (round >= WARM_UP) rounds.push(turns);
    }
  } finally {
    await floor.end();
    await cycle.end();
  }
  const [, , moved = 0, rows = 0, batchBytes = 0] = rounds.at(-1)!.all;
  const [ofFloor, busy, all] = [cost(rounds, 'floor'), cost(rounds, 'busy'), cost(rounds, 'all')];
  return { floor: ofFloor, busy, all, connections: moved, rows, batchBytes };
}

type Round = Readonly<Record<'floor' | 'busy' | 'all', readonly number[]>>;

function cost(rounds: readonly Round[], side: keyof Round): ReadCost {
  return {
    wallMs: median(rounds.map((round) => round[side][0]!)) / 1e6,
    cpuMs: median(rounds.map((round) => round[side][1]!)) / 1e6,
  };
}
