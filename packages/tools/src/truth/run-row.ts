import { once } from 'node:events';
import { type Daemons, type DaemonsOptions, startDaemons } from '@egressd/world/daemons/daemons';
import { ebpfEnvironment } from '@egressd/world/daemons/ebpf-flags';
import { waitForStandstill } from '@egressd/world/daemons/standstill';
import type { WorldKind } from '@egressd/world/network/kinds';
import type { Layout } from '@egressd/world/network/layout';
import { openWorld, type World } from '@egressd/world/network/world';
import { loadReference } from '@egressd/world/reference/reference';
import { anyStep, directStep } from '@egressd/world/traffic/plan';
import type { Random } from '@egressd/world/traffic/random';
import type { Source } from './arguments.ts';
import { RECEIVER_PORT } from './faults/receiver.ts';
import { LiveTraffic, type TrafficOptions } from './live-traffic.ts';
import { type HighestMemory, watchMemory } from './memory.ts';
import type { Context, Expectation, Row } from './row.ts';
import { makeContext, type Scene, type Stage, setStage } from './stage.ts';
import { judge, type Sums, sumRows, type Verdict } from './verdict.ts';

/** Traffic before and after the fault: several reads and exports. */
const AROUND_MS = 3000;
/** Pairs that the traffic of any row makes. */
const LEAST_PAIRS = 4;
/** A sink that failed for a while may back off for half a minute. */
const LATE_MS = 45_000;

/** In what the rows are run. */
export interface Where {
  readonly kind: WorldKind;
  readonly source: Source;
}

/** What came of a row. */
export interface Result {
  readonly name: string;
  readonly seed: number;
  readonly sums: Sums;
  readonly memory: HighestMemory;
  readonly verdict: Verdict;
}

/** The run was interrupted. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/**
 * Runs a row in a world of its own.
 * @param where which world, and where its collectors count
 * @param stop aborted: the row is abandoned, and nothing is left of it
 * @throws Interrupted
 * @throws Error where something failed that was not the fault
 */
export async function runRow(row: Row, { kind, source }: Where, seed: number, stop: AbortSignal): Promise<Result> {
  const world = await openWorld({ kind, cgroups: source === 'ebpf' });
  try {
    for (const { name } of world.layout.nodes) await loadReference(world, name);
    const stage = await setStage(world, row);
    const daemons = await startDaemons(world, daemonsOf(row, stage, world));
    try {
      return await perform(row, seed, world, daemons, stage, stop);
    } finally {
      await daemons.stop();
    }
  } finally {
    await world.close();
  }
}

function daemonsOf(row: Row, { receiver, clock }: Stage, world: World): DaemonsOptions {
  const { clockOf } = row.with ?? {};
  const url = receiver && { url: `http://127.0.0.1:${RECEIVER_PORT}/api/v1/write` };
  return {
    owners: 'inventory',
    ...row.daemons,
    sink: { ...url, ...row.daemons?.sink },
    environment: (daemon) => ({
      ...(clock && (clockOf === undefined || clockOf === daemon) ? clock.environment : {}),
      ...(world.cgroups === undefined ? {} : ebpfEnvironment(world, daemon)),
    }),
  };
}

/** Traffic, the fault in its midst, and the comparison when everything is still. */
async function perform(
  row: Row,
  seed: number,
  world: World,
  daemons: Daemons,
  stage: Stage,
  stop: AbortSignal,
): Promise<Result> {
  const memory = watchMemory(daemons);
  const traffic = new LiveTraffic(world, seed, world.cgroups === undefined ? row.traffic : trafficAtSockets(row));
  const ended = interrupted(stop);
  const good: Scene['good'] = (work) => Promise.race([work, daemons.failed, traffic.broken, ended]);
  const context = makeContext({ world, daemons, traffic, stage, seed, good });
  try {
    await good(row.before?.(context) ?? Promise.resolve());
    traffic.start();
    const expected = await good(inItsMidst(row, context));
    await good(traffic.stop());
    const compare = expected?.compare === undefined ? {} : { read: expected.compare };
    const sums = sumRows(await good(waitForStandstill(world, daemons, { lateMs: LATE_MS, ...compare })));
    return { name: row.name, seed, sums, verdict: await reach(sums, expected), memory: memory.stop() };
  } finally {
    memory.stop();
  }
}

/** What the row's traffic is where sockets are counted: none that a kernel answers without one. */
function trafficAtSockets({ traffic, ebpf }: Row): TrafficOptions {
  const draw = traffic?.step ?? ((random: Random, _: number, layout: Layout) => anyStep(random, layout));
  const step: TrafficOptions['step'] = (random, row, layout) => {
    if (ebpf === 'direct') return directStep(random, layout);
    for (;;) {
      const drawn = draw(random, row, layout);
      if (drawn.order.do !== 'ping' && drawn.order.do !== 'refused') return drawn;
    }
  };
  return { ...traffic, step };
}

async function inItsMidst(row: Row, context: Context): Promise<Expectation | undefined> {
  await context.pause(AROUND_MS);
  const expected = await row.fault(context);
  await context.pause(AROUND_MS);
  return expected;
}

async function reach(sums: Sums, expected: Expectation | undefined): Promise<Verdict> {
  const why = await expected?.wrong?.();
  return why === undefined ? judge(sums, await expected?.bound?.(), LEAST_PAIRS) : { outcome: 'failed', why };
}

/** Rejects when the run is interrupted. */
export function interrupted(stop: AbortSignal): Promise<never> {
  const ended = (async () => {
    if (!stop.aborted) await once(stop, 'abort');
    throw new Interrupted('interrupted');
  })();
  ended.catch(() => {}); // waits race it
  return ended;
}
