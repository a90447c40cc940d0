import { NODE_A } from '@egressd/world/network/layout';
import { carryOut, directStep } from '@egressd/world/traffic/plan';
import { countedOn, increaseOn } from '../counted.ts';
import { type Context, type Expectation, prove, type Row } from '../row.ts';
import { setSysctls } from '../stage.ts';

const ACCOUNTING = 'netfilter/nf_conntrack_acct';
const SYSCTL = { name: 'nf_conntrack_acct' };
const NO_COUNTERS = { reason: 'no_counters' };
/** Transfers that begin and end while nothing is counted. */
const UNCOUNTED_TRANSFERS = 12;

const DELETES = 10;
/** Packets that can be counted between an entry's last counters and its end, at one delete, as it was measured; and the largest packet. */
const PACKETS_A_DELETE = 11;
const LARGEST_PACKET = 65_575;

/** Accounting is off on a node for a while; what begins then also ends then. */
async function accountingOff({ world, traffic, random, metric, pause }: Context): Promise<Expectation> {
  // What has begun before is counted to its end: nothing may begin in the moment between.
  await traffic.stop();
  const before = await countedOn(world, NODE_A);
  await setSysctls(world, NODE_A.name, { [ACCOUNTING]: 0 });
  await carryOut(
    Array.from({ length: UNCOUNTED_TRANSFERS }, () => directStep(random, world.layout)),
    world.agent,
    3,
  );
  await pause(2000);
  const shownValue = await metric(NODE_A.name, 'egressd_collector_conntrack_sysctl', SYSCTL);
  prove(shownValue === 0, 'the collector does not show that accounting is off');
  const shown = await metric(NODE_A.name, 'egressd_collector_conntrack_entries_skipped', NO_COUNTERS);
  const missing = increaseOn(NODE_A, before, await countedOn(world, NODE_A));
  await setSysctls(world, NODE_A.name, { [ACCOUNTING]: 1 });
  traffic.start();
  const reason = 'connections that were opened while nf_conntrack_acct was off have no counters, as long as they live';
  const metricName = 'egressd_collector_conntrack_entries_skipped{reason="no_counters"}';
  return { bound: async () => ({ ...missing, whole: true, reason, metric: metricName, shown }) };
}

/** Connections are deleted while they move. @param args of conntrack */
function deleting(...args: string[]): (context: Context) => Promise<Expectation> {
  return async ({ world, random, pause, metric }) => {
    for (let i = 0; i < DELETES; i++) {
      await world.run(NODE_A.name, 'conntrack', args);
      await pause(random.between(300, 1500));
    }
    const deleted = () => metric(NODE_A.name, 'egressd_collector_conntrack_entries_deleted_total');
    prove((await deleted()) > 0, 'no connection was deleted');
    const packets = DELETES * PACKETS_A_DELETE;
    return {
      bound: async () => ({
        bytes: packets * LARGEST_PACKET,
        packets,
        reason: `packets that pass between the last counters of a deleted entry and its end, at most ${PACKETS_A_DELETE} each of ${DELETES} times`,
        metric: 'egressd_collector_conntrack_entries_deleted_total',
        shown: await deleted(),
      }),
    };
  };
}

export const KERNEL_ROWS: readonly Row[] = [
  {
    name: 'accounting-off',
    does: 'Accounting (nf_conntrack_acct) is off on a node for a while: just what was opened meanwhile is missing.',
    fault: accountingOff,
  },
  {
    name: 'entries-deleted',
    does: 'TCP connections of a node are deleted under load (conntrack -D), ten times.',
    traffic: { step: (random, _, layout) => directStep(random, layout), maxRestMs: 200 },
    fault: deleting('-D', '-p', 'tcp'),
  },
  {
    name: 'entries-flushed',
    does: 'The table of a node is flushed under load (conntrack -F), ten times.',
    traffic: { step: (random, _, layout) => directStep(random, layout), maxRestMs: 200 },
    fault: deleting('-F'),
  },
];
