import { NODES } from '@egressd/world/network/layout';
import { type Context, prove, type Row } from '../row.ts';

const SMALL_DISKS = { daemons: { stateDirectories: true }, with: { disks: true } } as const;
const ALL = ['exporter', ...NODES.map(({ name }) => name)];
const FULL_MS = 12_000;
/** Longer than a collector waits for its disk. */
const DEGRADED_MS = 40_000;

async function each(names: readonly string[], act: (name: string) => Promise<void>): Promise<void> {
  for (const name of names) await act(name);
}

/** @throws Unproven where a daemon has not noticed that its disk is full */
async function failedWrites({ metric }: Context, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const writes =
      name === 'exporter' ? 'egressd_exporter_checkpoint_writes_total' : 'egressd_collector_state_writes_total';
    const failed = await metric(name, writes, { outcome: 'failed' });
    prove(failed > 0, `no write of ${name} failed`);
  }
}

export const DISK_ROWS: readonly Row[] = [
  {
    name: 'disk-full',
    does: 'The disks of all state directories are full for twelve seconds.',
    ...SMALL_DISKS,
    async fault(context) {
      const { disks, pause } = context;
      await each(ALL, (name) => disks.fill(name));
      await pause(FULL_MS);
      await failedWrites(context, ALL);
      await each(ALL, (name) => disks.free(name));
    },
  },
  {
    name: 'disk-full-killed',
    does: 'The disks of all state directories are full, and all daemons are killed (SIGKILL) and start with their disks full.',
    ...SMALL_DISKS,
    async fault(context) {
      const { disks, pause, random } = context;
      const { exporter, collectors } = context.daemons;
      await each(ALL, (name) => disks.fill(name));
      await pause(random.between(3000, 6000));
      await failedWrites(context, ALL);
      for (const daemon of [exporter, ...collectors]) await daemon.end('SIGKILL');
      await exporter.start();
      await Promise.all(collectors.map((collector) => collector.start()));
      await pause(random.between(3000, 6000));
      await each(ALL, (name) => disks.free(name));
    },
  },
  {
    name: 'disk-full-long',
    does: "The collectors' disks are full for so long that they go on without state; once they have recovered they are killed.",
    ...SMALL_DISKS,
    async fault(context) {
      const { disks, pause, collectors } = context;
      const nodes = NODES.map(({ name }) => name);
      await each(nodes, (name) => disks.fill(name));
      await pause(DEGRADED_MS);
      prove(
        (await collectors('egressd_collector_state_degraded')) === nodes.length,
        'the state of the collectors is not degraded',
      );
      await each(nodes, (name) => disks.free(name));
      await pause(8000);
      prove((await collectors('egressd_collector_state_degraded')) === 0, 'the state is still degraded');
      for (const collector of context.daemons.collectors) {
        await collector.end('SIGKILL');
        await collector.start();
      }
    },
  },
];
