import { setTimeout as pause } from 'node:timers/promises';
import { DaemonFailed } from '@egressd/world/daemons/daemon-process';
import { type Daemons, readMetrics, startDaemons } from '@egressd/world/daemons/daemons';
import { sumOf } from '@egressd/world/daemons/metric-text';
import { NODE_B } from '@egressd/world/network/layout';
import { openWorld, type World } from '@egressd/world/network/world';
import { LiveTraffic } from '../truth/live-traffic.ts';
import { interrupted } from '../truth/run-row.ts';
import { setSysctls } from '../truth/stage.ts';
import { type Sums, sumRows } from '../truth/verdict.ts';
import { startAttack } from './attackers.ts';
import { type Cells, makeCells } from './daemons.ts';
import { compareHonest, loadReferences } from './honest.ts';
import { type Probed, startProbes, together } from './probes.ts';
import type { Aftermath, Done, Row, Target } from './row.ts';
import type { Result } from './verdict.ts';

/** Honest traffic before and after the attack. */
const AROUND_MS = 3_000;
const HTTP = { exporter: 6060, collector: 8008 };
const RESTART_LIMIT_MS = 20_000;
const ASK_AGAIN_MS = 500;

/** How a row is run. */
export interface Run {
  readonly quick: boolean;
  readonly seed: number;
  /** Aborted: the row is abandoned, and nothing is left of it. */
  readonly stop: AbortSignal;
}

/**
 * Runs a row in a world of its own, with each daemon in a cgroup as the chart would have it.
 * @throws Interrupted
 * @throws Error where something failed that was no daemon
 */
export async function runRow(row: Row, run: Run): Promise<Result> {
  const world = await openWorld({ kind: row.world ?? 'routed' });
  const cells = makeCells(row);
  try {
    for (const { name } of world.layout.nodes) await setSysctls(world, name, row.sysctls ?? {});
    await loadReferences(world, row);
    const daemons = await startDaemons(world, cells.options);
    try {
      return await besiege(row, run, world, daemons, cells);
    } finally {
      await daemons.stop();
    }
  } finally {
    await world.close();
    cells[Symbol.dispose]();
  }
}

/** What is known of a row as it goes on. */
interface Seen {
  done: Done;
  sums?: Sums;
  after?: string | undefined;
  ended?: string;
}

async function besiege(row: Row, run: Run, world: World, daemons: Daemons, cells: Cells): Promise<Result> {
  const probes = startAllProbes(world);
  const seen: Seen = { done: {} };
  try {
    await attackBesideTraffic(row, run, world, daemons, seen);
  } catch (error) {
    if (!(error instanceof DaemonFailed)) throw error;
    seen.ended = error.message.split('. Its last lines')[0]!;
  }
  const probed = await probes.stop();
  if (seen.ended === undefined) seen.after = await row.after?.(aftermath(world, daemons), run.quick);
  const { kills, highest } = cells;
  const { done, sums, after, ended } = seen;
  return {
    name: row.name,
    kills,
    memory: highest,
    probes: probed,
    proven: row.isProof(done),
    done,
    sums,
    after,
    ended,
  };
}

async function attackBesideTraffic(row: Row, run: Run, world: World, daemons: Daemons, seen: Seen): Promise<void> {
  const traffic = new LiveTraffic(world, run.seed);
  const ended = interrupted(run.stop);
  const good = <T>(work: Promise<T>): Promise<T> => Promise.race([work, daemons.failed, traffic.broken, ended]);
  traffic.start();
  await good(pause(AROUND_MS));
  const attack = startAttack(world, row, targetOf(world, run.quick));
  try {
    await good(attack.begun);
    await good(pause(row.seconds[run.quick ? 'quick' : 'full'] * 1000));
  } finally {
    seen.done = await attack.stop();
  }
  await good(pause(AROUND_MS));
  await good(traffic.stop());
  seen.sums = sumRows(await good(compareHonest(world, daemons, row)));
}

function targetOf({ layout }: World, quick: boolean): Target {
  return { exporter: layout.ops.address.v4, nodes: layout.nodes.map(({ address }) => address.v4), quick };
}

/** Every daemon from where its kubelet is. */
function startAllProbes(world: World): { stop(): Promise<Result['probes']> } {
  const { ops, nodes } = world.layout;
  const exporter = startProbes(
    world,
    'node' in ops ? ops.node : NODE_B.name,
    `http://${ops.address.v4}:${HTTP.exporter}/healthz`,
  );
  const collectors = nodes.map(({ name, address }) =>
    startProbes(world, name, `http://${address.v4}:${HTTP.collector}/healthz`),
  );
  return {
    async stop() {
      const all: Probed[] = await Promise.all(collectors.map((each) => each.stop()));
      return { collectors: together(all), exporter: await exporter.stop() };
    },
  };
}

function aftermath(world: World, { exporter }: Daemons): Aftermath {
  return {
    world,
    async streams(count) {
      const deadlineMs = performance.now() + RESTART_LIMIT_MS;
      while (performance.now() < deadlineMs) {
        if (sumOf(await readMetrics(world, 'exporter'), 'egressd_exporter_receiver_streams') === count) return true;
        await pause(ASK_AGAIN_MS);
      }
      return false;
    },
    async restartExporter() {
      await exporter.end('SIGKILL');
      const startedMs = performance.now();
      await exporter.start();
      const ms = Math.round(performance.now() - startedMs);
      return ms > RESTART_LIMIT_MS ? `the exporter took ${ms} ms to come up again` : undefined;
    },
  };
}
