import type { PodDescription } from '@egressd/world/api-server/objects';
import { NODE_A } from '@egressd/world/network/layout';
import { bytesByPod, bytesOf, compareWithGuests, type Guest, readReferences, settle } from '../guests.ts';
import type { Context, Expectation, Row } from '../row.ts';
import { misattributed, visit } from '../visits.ts';

/** Two reads lie so far apart: a Job has long ended when its last bytes are read. */
const READ_INTERVAL = { text: '3s', ms: 3000 };
const RUNS = ['report-1', 'report-2', 'report-3'];
const JOB: Guest = { namespace: 'data', name: '', node: NODE_A, host: NODE_A.pods[1]!, address: '10.10.1.50' };

const described = (name: string): PodDescription => ({
  ...{ namespace: JOB.namespace, name, node: JOB.node.name, ips: [JOB.address] },
  owner: { kind: 'Job', name },
});

/** Runs a Job to its end, whose last bytes go in its last moment. */
async function runJob(context: Context, name: string): Promise<void> {
  const { daemons, pause, random } = context;
  const command = (name: string, pod: PodDescription) => daemons.apiServer?.writeLine(`${name} ${JSON.stringify(pod)}`);
  command('pod', { ...described(name), startedMs: Date.now() });
  await pause(500);
  await visit(context, JOB.address, random.between(3, 12));
  command('pod', { ...described(name), phase: 'Succeeded', startedMs: Date.now() - 5000, finishedMs: Date.now() });
  await pause(random.between(0, 300));
  command('delete', described(name));
}

/** What lies between a Job's first bytes and its kubelet's report of it. */
const REPORT_MS = 2500;
/** A Job that lasts so long has reads of its own. */
const LONG_MS = 3 * READ_INTERVAL.ms;

/** Runs a Job that is reported so long after its first bytes. */
async function runLongJob(context: Context, name: string, reportMs: number): Promise<void> {
  const { daemons, pause, random } = context;
  const report = (more: object) =>
    daemons.apiServer?.writeLine(`pod ${JSON.stringify({ ...described(name), startedMs, ...more })}`);
  const startedMs = Date.now();
  for (let reported = false; Date.now() < startedMs + LONG_MS; ) {
    await visit(context, JOB.address, 1);
    if (!reported && Date.now() >= startedMs + reportMs) {
      report({});
      reported = true;
    }
    await pause(random.between(50, 200));
  }
  report({ phase: 'Succeeded', finishedMs: Date.now() });
}

/**
 * Pairs of Jobs: less than a read lies between the two, and the second is reported late. The first has the address for itself at its
 * start, so that a byte of the second which is given to it is one more than it moved.
 */
async function jobsAtOnce(context: Context): Promise<Expectation> {
  const { world, daemons, pause, random } = context;
  await settle(world, JOB);
  const kernel = new Map<string, number>();
  let before = 0;
  const run = async (name: string, reportMs: number, restMs: number) => {
    await runLongJob(context, name, reportMs);
    await pause(restMs);
    const now = bytesOf(JOB.address, await readReferences(world), NODE_A);
    kernel.set(name, now - before);
    before = now;
  };
  for (const name of RUNS) {
    await run(`${name}-first`, 0, random.between(200, 500));
    await run(`${name}-second`, REPORT_MS, 2 * READ_INTERVAL.ms);
  }
  const wrong = async () => {
    const pods = await bytesByPod(daemons, JOB.address);
    const names = [...kernel.keys()];
    const most = names.find((name) => (pods.get(name) ?? 0) > kernel.get(name)!);
    if (most !== undefined) return `${most} has ${pods.get(most)} bytes, and moved ${kernel.get(most)}`;
    const none = names.find((name) => !pods.has(name));
    return none === undefined ? undefined : `${none} has none of its bytes`;
  };
  return { compare: () => compareWithGuests(world, daemons, [{ node: NODE_A, address: JOB.address }]), wrong };
}

export const JOB_ROWS: readonly Row[] = [
  {
    name: 'job-tail',
    does: 'Jobs end right after their last bytes, and the next one gets the same address: each has all it moved.',
    worlds: ['routed'],
    daemons: { owners: 'kubernetes', readInterval: READ_INTERVAL.text },
    async fault(context) {
      const { world, daemons, pause } = context;
      await settle(world, JOB);
      const kernel: Record<string, number> = {};
      let before = 0;
      for (const name of RUNS) {
        await runJob(context, name);
        const now = bytesOf(JOB.address, await readReferences(world), NODE_A);
        kernel[name] = now - before;
        before = now;
        // Addresses are not assigned again at once.
        await pause(READ_INTERVAL.ms * 2);
      }
      return {
        compare: () => compareWithGuests(world, daemons, [{ node: NODE_A, address: JOB.address }]),
        wrong: () => misattributed(context, JOB.address, kernel),
      };
    },
  },
  {
    name: 'jobs-at-once',
    does: 'Jobs follow each other on one address within less than a read, each reported after it has sent: none has bytes of another.',
    worlds: ['routed'],
    daemons: { owners: 'kubernetes', readInterval: READ_INTERVAL.text },
    fault: jobsAtOnce,
  },
];
