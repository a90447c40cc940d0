import type { DaemonProcess } from '@egressd/world/daemons/daemon-process';
import { NODE_A } from '@egressd/world/network/layout';
import { carryOut, directStep } from '@egressd/world/traffic/plan';
import { countedOn, increaseOn } from '../counted.ts';
import { type Context, type Expectation, prove, type Row } from '../row.ts';
import { SHORT_TIMEOUTS } from '../short-timeouts.ts';

/** Every daemon has a state directory. */
const WITH_STATE = { daemons: { stateDirectories: true } } as const;

/** Transfers that no collector sees, and the time in which the kernel drops connections that have ended. */
const UNSEEN_TRANSFERS = 8;
const DROPPED_MS = 4000;

/** Kills a daemon, and starts it again a little later. */
async function kill(daemon: DaemonProcess, { pause, random }: Context): Promise<void> {
  prove((await daemon.end('SIGKILL')) === 'SIGKILL', 'the daemon had ended before it was killed');
  await pause(random.between(0, 700));
  await daemon.start();
}

/** Kills a daemon at random moments. */
export async function killOften(daemon: DaemonProcess, times: number, context: Context): Promise<undefined> {
  for (let i = 0; i < times; i++) {
    await context.pause(context.random.between(0, 2200));
    await kill(daemon, context);
  }
}

/** Whole transfers begin and end, and leave the table, while a node has no collector. */
async function collectorDown({ world, daemons, traffic, random, pause, metric }: Context): Promise<Expectation> {
  const [collector] = daemons.collectors;
  await traffic.stop();
  await pause(DROPPED_MS);
  await collector?.end('SIGKILL');
  const before = await countedOn(world, NODE_A);
  await carryOut(
    Array.from({ length: UNSEEN_TRANSFERS }, () => directStep(random, world.layout)),
    world.agent,
    3,
  );
  await pause(DROPPED_MS);
  const missing = increaseOn(NODE_A, before, await countedOn(world, NODE_A));
  await collector?.start();
  traffic.start();
  const shown = await metric(NODE_A.name, 'egressd_collector_state_reads_total', { outcome: 'restored' });
  const reason = 'connections that were opened and left the table while no collector ran';
  return {
    bound: async () => ({
      ...missing,
      reason,
      metric: 'egressd_collector_state_reads_total{outcome="restored"}',
      shown,
    }),
  };
}

export const RESTART_ROWS: readonly Row[] = [
  {
    name: 'exporter-killed',
    ebpf: 'all',
    does: 'The exporter is killed (SIGKILL) at twenty random moments.',
    ...WITH_STATE,
    fault: (context) => killOften(context.daemons.exporter, 20, context),
  },
  {
    name: 'exporter-killed-ephemeral',
    does: 'The same ten times, where its directory goes with its pod (-state-ephemeral): it commits only what the database has.',
    daemons: { stateDirectories: true, exporterFlags: ['-state-ephemeral'] },
    fault: (context) => killOften(context.daemons.exporter, 10, context),
  },
  {
    name: 'collector-killed',
    ebpf: 'direct',
    does: 'A collector is killed (SIGKILL) at ten random moments, one or the other.',
    ...WITH_STATE,
    async fault(context) {
      for (let i = 0; i < 10; i++) {
        await context.pause(context.random.between(0, 2500));
        await kill(context.random.pick(context.daemons.collectors), context);
      }
    },
  },
  {
    name: 'both-killed',
    ebpf: 'direct',
    does: 'All collectors and the exporter are killed (SIGKILL) at the same moment, five times.',
    ...WITH_STATE,
    async fault(context) {
      const { exporter, collectors } = context.daemons;
      for (let i = 0; i < 5; i++) {
        await context.pause(context.random.between(0, 3000));
        await Promise.all([exporter, ...collectors].map((daemon) => kill(daemon, context)));
      }
    },
  },
  {
    name: 'collector-upgraded',
    ebpf: 'direct',
    does: 'Each collector is ended (SIGTERM) and a new process goes on with its state, as in a rollout, twice.',
    ...WITH_STATE,
    async fault({ daemons, pause }) {
      for (const collector of [...daemons.collectors, ...daemons.collectors]) {
        prove((await collector.end()) === 0, 'a collector did not end in order');
        await pause(500);
        await collector.start();
        await pause(1500);
      }
    },
  },
  {
    name: 'collector-down',
    ebpf: 'direct',
    does: 'A node has no collector for a while: what was opened and left the table meanwhile is missing, the rest is exact.',
    ...WITH_STATE,
    with: SHORT_TIMEOUTS,
    fault: collectorDown,
  },
  {
    name: 'exporter-upgraded',
    does: 'The exporter is ended (SIGTERM) and a new process goes on with its state, three times.',
    ...WITH_STATE,
    async fault({ daemons: { exporter }, pause }) {
      for (let i = 0; i < 3; i++) {
        prove((await exporter.end()) === 0, 'the exporter did not end in order');
        await pause(1000);
        await exporter.start();
        await pause(3000);
      }
    },
  },
];
