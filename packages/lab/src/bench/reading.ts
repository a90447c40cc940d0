import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { waitForExit } from '../world/commands.ts';
import { type Connections, compile } from './connections.ts';
import { median, NODE } from './numbers.ts';

/** Rounds that are measured, each the floor and the cycle one after the other, and those before that warm both up. */
const ROUNDS = 9;
const WARM_UP = 4;

/** Medians of one side, milliseconds. */
export interface ReadCost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

export interface ReadingResult {
  readonly floor: ReadCost;
  readonly cycle: ReadCost;
  readonly connections: number;
  readonly rows: number;
  readonly batchBytes: number;
}

/** A program that answers each line with a line of numbers. */
class Answering {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines: Interface = createInterface({ input: this.#child.stdout! });
    this.#lines = lines[Symbol.asyncIterator]();
  }

  async ask(): Promise<number[]> {
    this.#child.stdin!.write('\n');
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.#child.spawnargs.join(' ')} ended before it answered`);
    return String(value).split(' ').map(Number);
  }

  async end(): Promise<void> {
    this.#child.stdin!.end();
    if (!(await waitForExit(this.#child, 5000))) this.#child.kill('SIGKILL');
  }
}

/** Reads the connections by turns with the floor and with the collector's own rooms; between two reads every counter moves. */
export async function benchReading(connections: Connections): Promise<ReadingResult> {
  const enter = ['netns', 'exec', connections.namespace];
  const floor = new Answering('ip', [...enter, await compile('floor', connections.folder)]);
  const cycle = new Answering('ip', [...enter, ...NODE, fileURLToPath(new URL('./cycle-process.ts', import.meta.url))]);
  const rounds: { floor: number[]; cycle: number[] }[] = [];
  try {
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
      await connections.send();
      const ofFloor = await floor.ask();
      await connections.send();
      const ofCycle = await cycle.ask();
      if (round >= WARM_UP) rounds.push({ floor: ofFloor, cycle: ofCycle });
    }
  } finally {
    await floor.end();
    await cycle.end();
  }
  const cost = (side: 'floor' | 'cycle'): ReadCost => ({
    wallMs: median(rounds.map((round) => round[side][0]!)) / 1e6,
    cpuMs: median(rounds.map((round) => round[side][1]!)) / 1e6,
  });
  const [, , moved = 0, rows = 0, batchBytes = 0] = rounds.at(-1)!.cycle;
  return { floor: cost('floor'), cycle: cost('cycle'), connections: moved, rows, batchBytes };
}
