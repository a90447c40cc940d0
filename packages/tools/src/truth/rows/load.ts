import { type Both, NODE_A, PODS, UDP_PORT } from '@egressd/world/network/layout';
import { anyStep, type Step } from '@egressd/world/traffic/plan';
import { fillTable } from '../faults/full-table.ts';
import { repeatedSyns } from '../faults/repeated-syns.ts';
import { connections, type TrafficOptions } from '../live-traffic.ts';
import { type Bound, type Context, prove, type Row } from '../row.ts';
import { SHORT_TIMEOUTS } from '../short-timeouts.ts';

/** Many connections come and go between two reads. */
const SELDOM = '10s';
const RUSH_MS = 20_000;
const STOPPED_MS = 8000;
/** The table stays full for so long. */
const FULL_SECONDS = 15;

const address = (name: string): Both => PODS.find((pod) => pod.name === name)!.address;

/** Who opens connections to whom, a row of traffic each: within a node, across nodes, in both families. */
const WAYS: readonly (readonly [string, string])[] = [
  ['web-1', address('cart-1').v4],
  ['cart-1', address('web-2').v6],
  ['web-2', address('cart-2').v6],
  ['cart-2', address('web-1').v4],
];
/** Of IPv6, with all options that Linux sends. */
const LARGEST_SYN = 80;
/** Connections a second, over all ways. */
const RATE = 2000;

/** Short connections at that rate, in transfers of a second. */
const RUSH: TrafficOptions = {
  parallel: WAYS.length,
  maxRestMs: 0,
  step(_, row): Step {
    const [from, to] = WAYS[row]!;
    const perSecond = RATE / WAYS.length;
    return connections(from, to, { connections: perSecond, perSecond, parallel: 16, lenient: true });
  },
};

/** The same two ends over and over, beside usual traffic: TCP that is reset at its end, UDP that rests longer than its timeout. */
const SAME_TUPLE: TrafficOptions = {
  parallel: 3,
  maxRestMs: 2500,
  step(random, row, layout): Step {
    if (row === 0)
      return connections('web-1', address('cart-2').v4, {
        connections: random.between(5, 100),
        fromPort: 40_000,
        reset: true,
      });
    if (row > 1) return anyStep(random, layout);
    const datagrams = random.between(1, 40);
    const order = { do: 'udp', to: address('db-2').v6, port: UDP_PORT, datagrams, size: 900, answer: 60 } as const;
    return { from: 'cart-1', order: { ...order, fromPort: 40_001 } };
  },
};

/** Traffic that gets by without connections for a while. */
const PATIENT: TrafficOptions = {
  parallel: 4,
  step(random, row): Step {
    const [from, to] = WAYS[row]!;
    const count = random.between(5, 40);
    return connections(from, to, { up: 20_000, down: 60_000, connections: count, parallel: 4, lenient: true });
  },
};

/** @throws Unproven where fewer connections were made than the row claims, or some were not made at all */
async function rush({ traffic, pause }: Context, ms: number): Promise<undefined> {
  const before = traffic.connections;
  const startedMs = performance.now();
  await pause(ms);
  const seconds = (performance.now() - startedMs) / 1000;
  const rate = (traffic.connections - before) / seconds;
  prove(
    rate > RATE * 0.75,
    `only ${Math.round(rate)} connections a second were made; is the machine busy with something else?`,
  );
  prove(traffic.failed === 0, `${traffic.failed} connections were not made`);
}

/** The collectors stand still while connections come and go. */
const STOPPED: Pick<Row, 'traffic' | 'with' | 'fault'> = {
  traffic: RUSH,
  with: SHORT_TIMEOUTS,
  async fault(context) {
    const { collectors } = context.daemons;
    for (const collector of collectors) collector.signal('SIGSTOP');
    try {
      await rush(context, STOPPED_MS);
    } finally {
      for (const collector of collectors) collector.signal('SIGCONT');
    }
    return undefined;
  },
};

/** Their transfers are those of pods with addresses of both families. */
const BOTH_FAMILIES = { worlds: ['routed', 'overlay', 'zones'] } as const;

/**
 * A full table refuses the tunnel's outer packets too, when what is in them has been counted: a SYN that is lost so is sent again, which
 * conntrack does not count (docs/accuracy.md).
 */
function lostInTunnel(repeated: number): Bound {
  // On both nodes, where the first one was lost behind the second.
  const packets = 2 * repeated;
  const reason = `SYNs that are sent again pass uncounted: ${repeated}, each on two nodes at the most`;
  return { bytes: packets * LARGEST_SYN, packets, reason, metric: 'TCPSynRetrans of the pods', shown: repeated };
}

export const LOAD_ROWS: readonly Row[] = [
  {
    name: 'short-connections',
    ebpf: 'all',
    does: "Two thousand connections a second come and go between two reads: only the kernel's DESTROY events report them.",
    ...BOTH_FAMILIES,
    daemons: { readInterval: SELDOM },
    traffic: RUSH,
    with: SHORT_TIMEOUTS,
    fault: (context) => rush(context, RUSH_MS),
  },
  {
    name: 'same-tuple',
    ebpf: 'all',
    does: 'Connections with the same addresses and ports follow each other, faster than they are read.',
    ...BOTH_FAMILIES,
    quick: true,
    traffic: SAME_TUPLE,
    with: SHORT_TIMEOUTS,
    async fault({ pause, traffic }) {
      const before = traffic.transfers;
      await pause(12_000);
      prove(traffic.transfers > before + 5, 'hardly any connection was made');
    },
  },
  {
    name: 'collector-stopped',
    does: 'The collectors stand still (SIGSTOP) for eight seconds at two thousand connections a second: all are made, none is lost.',
    ...BOTH_FAMILIES,
    ...STOPPED,
  },
  {
    name: 'collector-stopped-lossless',
    does: 'The same where the kernel is asked to lose no event (-conntrack-events=lossless), and may keep connections for the collector.',
    ...BOTH_FAMILIES,
    ...STOPPED,
    daemons: { collectorFlags: ['-conntrack-events=lossless'] },
  },
  {
    name: 'table-full',
    does: "A node's conntrack table is full for a quarter of a minute: it takes no new connection, and drops what it may.",
    ...BOTH_FAMILIES,
    traffic: PATIENT,
    async fault({ world, pause, metric }) {
      const before = await repeatedSyns(world);
      await fillTable(world, NODE_A.name, FULL_SECONDS);
      await pause(FULL_SECONDS * 1000 + 3000);
      const statistics = await world.run(NODE_A.name, 'conntrack', ['-S']);
      const refused = [...statistics.matchAll(/(?<!early_)drop=(\d+)/g)].reduce(
        (sum, [, count]) => sum + Number(count),
        0,
      );
      prove(refused > 0, 'the table refused no connection');
      prove((await metric(NODE_A.name, 'egressd_conntrack_entries')) < 200_000, 'the table is still full');
      if (world.kind !== 'overlay') return undefined;
      return { bound: async () => lostInTunnel((await repeatedSyns(world)) - before) };
    },
  },
];
