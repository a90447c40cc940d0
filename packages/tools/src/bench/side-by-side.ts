import type { Coprocess } from '@egressd/world/coprocess';
import { median } from './numbers.ts';

/** Rounds that are measured, and those before them until all code is compiled: that takes processor time too. */
const ROUNDS = 9;
const WARM_UP = 10;
/** What moved between two reads: a busy node's tenth, and the worst there is. */
const SHARES = { busy: 0.1, all: 1 } as const;

/** Of one read, milliseconds: wall clock, and CPU of all threads together. */
interface ReadCost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** The collector's own code beside the floor. All are medians; the ratio is that of the ratios of single rounds. */
export interface Compared {
  readonly floor: ReadCost;
  readonly cycle: ReadCost;
  readonly ratio: { readonly wall: number; readonly cpu: number };
}

/** Costs of a read where a tenth of the connections moved, and where all did. */
export interface SideBySide {
  readonly busy: Compared;
  readonly all: Compared;
  /** The last answer of the cycle, in which everything moved: see `cycle-process.ts`. */
  readonly last: readonly number[];
}

type Round = { readonly floor: readonly number[]; readonly cycle: readonly number[] };

/**
 * Reads by turns with the floor and the cycle, each after the same has moved: a machine that is slow for a while is slow for both.
 * Ends both.
 * @param move moves the counters of a share of the connections
 */
export async function sideBySide(
  floor: Coprocess,
  cycle: Coprocess,
  move: (share: number) => Promise<void> | void,
): Promise<SideBySide> {
  const rounds: Readonly<Record<keyof typeof SHARES, Round[]>> = { busy: [], all: [] };
  const turn = async (program: Coprocess, share: number) => {
    await move(share);
    return program.ask();
  };
  try {
    await move(1);
    for (let round = 0; round < WARM_UP + ROUNDS; round++)
      for (const kind of ['busy', 'all'] as const) {
        const share = SHARES[kind];
        const turns = { floor: await turn(floor, share), cycle: await turn(cycle, share) };
        if (round >= WARM_UP) rounds[kind].push(turns);
      }
  } finally {
    await floor.end();
    await cycle.end();
  }
  return { busy: compare(rounds.busy), all: compare(rounds.all), last: rounds.all.at(-1)!.cycle };
}

function compare(rounds: readonly Round[]): Compared {
  const cost = (side: keyof Round): ReadCost => ({
    wallMs: median(rounds.map((round) => round[side][0]!)) / 1e6,
    cpuMs: median(rounds.map((round) => round[side][1]!)) / 1e6,
  });
  const ratio = (at: 0 | 1) => median(rounds.map(({ floor, cycle }) => cycle[at]! / floor[at]!));
  return { floor: cost('floor'), cycle: cost('cycle'), ratio: { wall: ratio(0), cpu: ratio(1) } };
}
