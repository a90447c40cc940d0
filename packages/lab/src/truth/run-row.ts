import { setTimeout as pause } from 'node:timers/promises';
import { type Daemons, readMetrics, startDaemons } from '../demo/daemons.ts';
import { waitForStandstill } from '../demo/once.ts';
import { loadReference } from '../reference/reference.ts';
import { seededRandom } from '../traffic/random.ts';
import { NODES } from '../world/layout.ts';
import { openWorld, type World } from '../world/world.ts';
import { type Clock, makeClock } from './faults/clock.ts';
import { type Disks, mountDisks } from './faults/disks.ts';
import { linkOf } from './faults/link.ts';
import { type FaultyReceiver, RECEIVER_PORT, startReceiver } from './faults/receiver.ts';
import { startTraffic } from './live-traffic.ts';
import { type HighestMemory, watchMemory } from './memory.ts';
import { sumOf } from './metric-text.ts';
import type { Context, Row } from './row.ts';
import { judge, type Sums, sumRows, type Verdict } from './verdict.ts';

/** Traffic before and after the fault: several reads and exports. */
const AROUND_MS = 3000;
/** Pairs that any traffic of a row makes. */
const LEAST_PAIRS = 4;
/** A sink that failed for a while may rest half a minute before it tries again. */
const LATE_MS = 45_000;

/** What came of a row. */
export interface Result {
  readonly name: string;
  readonly seed: number;
  readonly sums: Sums;
  readonly memory: HighestMemory;
  readonly verdict: Verdict;
}

/** What stands between or below the daemons of a row. */
interface Stage {
  readonly receiver: FaultyReceiver | undefined;
  readonly clock: Clock | undefined;
  readonly disks: Disks | undefined;
}

/** Runs a row in a world of its own. @throws Error where something failed that was not the fault */
export async function runRow(row: Row, seed: number): Promise<Result> {
  const world = await openWorld();
  try {
    for (const { name } of NODES) await loadReference(world, name);
    const stage = await setStage(world, row);
    const daemons = await startDaemons(world, {
      owners: 'inventory',
      ...row.daemons,
      ...(stage.receiver && { sink: { url: `http://127.0.0.1:${RECEIVER_PORT}/api/v1/write`, ...row.daemons?.sink } }),
      ...(stage.clock && { environment: stage.clock.environment }),
    });
    try {
      return await perform(row, seed, world, daemons, stage);
    } finally {
      await daemons.stop();
    }
  } finally {
    await world.close();
  }
}

async function setStage(world: World, row: Row): Promise<Stage> {
  return {
    receiver: row.with?.receiver ? await startReceiver(world) : undefined,
    clock: row.with?.clock ? await makeClock(world) : undefined,
    disks: row.with?.disks ? await mountDisks(world) : undefined,
  };
}

/** Traffic, the fault in its midst, and the comparison when everything is still. */
async function perform(row: Row, seed: number, world: World, daemons: Daemons, stage: Stage): Promise<Result> {
  const memory = watchMemory(daemons);
  const traffic = startTraffic(world, seed, row.traffic);
  const good = <T>(work: Promise<T>): Promise<T> => Promise.race([work, daemons.failed, traffic.broken]);
  const metric: Context['metric'] = async (daemon, name, labels) =>
    sumOf(await readMetrics(world, daemon), name, labels);
  // Onto the stage, not over it: what is on it says itself where it is missing.
  const context: Context = Object.assign(asked(stage), {
    ...{ world, daemons, traffic, metric },
    random: seededRandom(seed),
    link: linkOf(world),
    pause: (ms: number) => good(pause(ms)),
    collectors: async (name: string, labels?: Readonly<Record<string, string>>) => {
      const all = await Promise.all(NODES.map((node) => metric(node.name, name, labels)));
      return all.reduce((sum, each) => sum + each, 0);
    },
  });
  try {
    await context.pause(AROUND_MS);
    await good(row.fault(context));
    await context.pause(AROUND_MS);
  } finally {
    await traffic.stop();
  }
  const read = row.compare === undefined ? {} : { read: () => row.compare!(context) };
  const sums = sumRows(await good(waitForStandstill(world, daemons, { lateMs: LATE_MS, ...read })));
  const verdict = judge(sums, await row.bound?.(context), LEAST_PAIRS);
  return { name: row.name, seed, sums, memory: memory.stop(), verdict };
}

/** What is on the stage; who uses what he has not asked for is told. */
function asked({ receiver, clock, disks }: Stage): Pick<Context, 'receiver' | 'clock' | 'disks'> {
  const there = <T>(thing: T | undefined, name: string): T => {
    if (thing === undefined) throw new Error(`BUG: the row uses ${name} and has not asked for it`);
    return thing;
  };
  return {
    get receiver() {
      return there(receiver, 'a receiver');
    },
    get clock() {
      return there(clock, 'a clock');
    },
    get disks() {
      return there(disks, 'disks');
    },
  };
}
