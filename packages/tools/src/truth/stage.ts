import { setTimeout as pause } from 'node:timers/promises';
import { Bug } from '@egressd/flow/bug';
import { type Daemons, readMetrics } from '@egressd/world/daemons/daemons';
import { sumOf } from '@egressd/world/daemons/metric-text';
import { NODES } from '@egressd/world/network/layout';
import type { World } from '@egressd/world/network/world';
import { seededRandom } from '@egressd/world/traffic/random';
import { type Clock, makeClock } from './faults/clock.ts';
import { type Disks, mountDisks } from './faults/disks.ts';
import { linkOf } from './faults/link.ts';
import { type FaultyReceiver, startReceiver } from './faults/receiver.ts';
import type { LiveTraffic } from './live-traffic.ts';
import type { Context, Row } from './row.ts';

/** What stands between or below the daemons of a row; undefined: it has not asked for it. */
export interface Stage {
  readonly receiver: FaultyReceiver | undefined;
  readonly clock: Clock | undefined;
  readonly disks: Disks | undefined;
}

/** Sets up what a row asks for, before the daemons start. */
export async function setStage(world: World, row: Row): Promise<Stage> {
  const { receiver, ledger = false, second = false, clock, clockOffBy = 0, disks, sysctls = {} } = row.with ?? {};
  for (const { name } of NODES) await setSysctls(world, name, sysctls);
  return {
    receiver: receiver ? await startReceiver(world, { ledger, second }) : undefined,
    clock: clock ? await makeClock(world, clockOffBy) : undefined,
    disks: disks ? await mountDisks(world) : undefined,
  };
}

/** Sets sysctls of one namespace. @param sysctls path under /proc/sys/net -> value */
export async function setSysctls(world: World, host: string, sysctls: Readonly<Record<string, number>>): Promise<void> {
  const lines = Object.entries(sysctls).map(([path, value]) => `echo ${value} > /proc/sys/net/${path}`);
  await world.run(host, 'sh', ['-s'], ['set -e', ...lines].join('\n'));
}

/** What a context is made from. */
export interface Scene {
  readonly world: World;
  readonly daemons: Daemons;
  readonly traffic: LiveTraffic;
  readonly stage: Stage;
  readonly seed: number;
  /** Rejects as soon as something has failed that was not the fault. */
  readonly good: <T>(work: Promise<T>) => Promise<T>;
}

/** What a fault has at hand. */
export function makeContext({ world, daemons, traffic, stage, seed, good }: Scene): Context {
  const metric: Context['metric'] = async (daemon, name, labels) =>
    sumOf(await readMetrics(world, daemon), name, labels);
  const there = <T>(thing: T | undefined, name: string): T => {
    if (thing === undefined) throw new Bug(`the row uses ${name} and has not asked for it`);
    return thing;
  };
  return {
    ...{ world, daemons, traffic, metric },
    random: seededRandom(seed),
    link: linkOf(world),
    get receiver() {
      return there(stage.receiver, 'a receiver');
    },
    get clock() {
      return there(stage.clock, 'a clock');
    },
    get disks() {
      return there(stage.disks, 'disks');
    },
    pause: (ms) => good(pause(ms)),
    async collectors(name, labels) {
      const all = await Promise.all(NODES.map((node) => metric(node.name, name, labels)));
      return all.reduce((sum, each) => sum + each, 0);
    },
  };
}
