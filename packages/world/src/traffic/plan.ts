import {
  COMMON_LAYOUT,
  DB,
  DNS,
  FAMILIES,
  type Family,
  INTERNET,
  type Layout,
  NODE_A,
  NODE_B,
  type Pod,
  TCP_PORT,
  UDP_PORT,
  WEB,
} from '../network/layout.ts';
import type { Agent } from './agent-process.ts';
import type { Done, TrafficOrder } from './orders.ts';
import type { Random } from './random.ts';

/** Something to be done by the agent of a host. */
export interface Step {
  readonly from: string;
  readonly order: TrafficOrder;
}

const KB = 1000;
/** A port without a listener. */
const CLOSED_PORT = 81;

/** Some short connections, one after the other. */
function shortOnes(from: string, to: string, port: number, connections: number): Step {
  return { from, order: { do: 'tcp', to, port, up: 300, down: 1200, connections, parallel: 4 } };
}

/** One connection with much to say. */
function bulk(from: string, to: string, up: number, down: number, port = TCP_PORT): Step {
  return { from, order: { do: 'tcp', to, port, up, down, connections: 1, parallel: 1 } };
}

/** A connection that says a little now and then. */
function long(from: string, to: string, pieces: number): Step {
  const paced = { pieces, pauseMs: 100 };
  return {
    from,
    order: { do: 'tcp', to, port: TCP_PORT, up: pieces * 4 * KB, down: 9 * KB, connections: 1, parallel: 1, ...paced },
  };
}

/** Every kind of way through the world, by Services and directly, in one family. Sizes are drawn. */
function ways(layout: Layout, family: Family, random: Random): Step[] {
  const size = (least: number, most: number) => random.between(least * KB, most * KB);
  const [web1, cart1, db1, web2, cart2, db2] = podsOf(layout).map((pod) => pod.address[family]) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const internet = INTERNET.address[family];
  const [nodeA, nodeB] = [NODE_A.address[family], NODE_B.address[family]];
  const service = { web: WEB.address[family], db: DB.address[family], dns: DNS.address[family] };
  const nodePort = WEB.nodePort ?? 0;
  return [
    // Within a node, and across zones.
    bulk('web-1', cart1, size(500, 4000), size(500, 4000)),
    bulk('db-1', db2, size(2000, 12_000), size(20, 90)),
    bulk('web-2', db1, size(20, 90), size(4000, 20_000)),
    long('cart-2', web1, random.between(10, 30)),
    // A Service with a backend on either node, one without, and one that is the caller itself.
    shortOnes('cart-1', service.web, WEB.port, random.between(40, 80)),
    shortOnes('cart-2', service.web, WEB.port, random.between(40, 80)),
    bulk('web-2', service.db, size(100, 900), size(100, 900), DB.port),
    bulk('db-1', service.db, size(100, 900), size(100, 900), DB.port),
    // From outside by a node's port, and out masqueraded.
    shortOnes('internet', nodeA, nodePort, random.between(20, 40)),
    shortOnes('internet', nodeB, nodePort, random.between(20, 40)),
    shortOnes('cart-1', nodeA, nodePort, random.between(4, 12)),
    bulk('web-1', internet, size(50, 200), size(2000, 9000)),
    bulk('cart-2', internet, size(1000, 6000), size(20, 90)),
    shortOnes('db-2', internet, TCP_PORT, random.between(100, 200)),
    // Nodes themselves: probes, and a pod that asks the other zone's node.
    shortOnes('node-a', cart1, TCP_PORT, random.between(2, 8)),
    shortOnes('web-1', nodeB, TCP_PORT, random.between(2, 8)),
    // UDP and echo.
    {
      from: 'web-1',
      order: { do: 'udp', to: service.dns, port: DNS.port, datagrams: random.between(50, 300), size: 60, answer: 300 },
    },
    {
      from: 'db-2',
      order: { do: 'udp', to: service.dns, port: DNS.port, datagrams: random.between(50, 300), size: 60, answer: 300 },
    },
    {
      from: 'db-1',
      order: { do: 'udp', to: cart2, port: UDP_PORT, datagrams: random.between(200, 900), size: 1200, answer: 40 },
    },
    {
      from: 'web-2',
      order: { do: 'udp', to: internet, port: UDP_PORT, datagrams: random.between(50, 100), size: 900, answer: 0 },
    },
    { from: 'cart-1', order: { do: 'ping', to: web2, count: random.between(5, 20), size: random.between(16, 1200) } },
    { from: 'db-2', order: { do: 'ping', to: internet, count: random.between(5, 20), size: random.between(16, 1200) } },
  ];
}

function podsOf({ nodes }: Layout): readonly Pod[] {
  return nodes.flatMap(({ pods }) => pods);
}

/** Those that lead somewhere: where pods and Services have no addresses of a family, nodes and the internet are left. */
function possibleWays(layout: Layout, family: Family, random: Random): Step[] {
  const all = ways(layout, family, random);
  if (layout.families.includes(family)) return all;
  const left = [...layout.nodes, INTERNET].map(({ address }) => address[family]);
  return all.filter(({ order }) => left.includes(order.to) && !('port' in order && order.port === WEB.nodePort));
}

/** Connections that leave the kernel's table at once: hardly a dump ever has them, only their DESTROY events do. */
function vanishing(layout: Layout): Step[] {
  const to = podsOf(layout)[0]!.address;
  return layout.families.map((family) => ({
    from: 'cart-2',
    order: { do: 'refused', to: to[family], port: CLOSED_PORT },
  }));
}

/** A fixed amount of everything: the same steps for the same seed. */
export function wholePlan(random: Random, layout: Layout = COMMON_LAYOUT): Step[] {
  return [...lastingPlan(random, layout), ...vanishing(layout)];
}

/** The same without what vanishes at once: the kernel keeps these connections for a while after their end. */
export function lastingPlan(random: Random, layout: Layout = COMMON_LAYOUT): Step[] {
  return FAMILIES.flatMap((family) => possibleWays(layout, family, random));
}

/** Something between two pods, without any translation of addresses: it survives that its connection is deleted. */
export function directStep(random: Random, layout: Layout = COMMON_LAYOUT): Step {
  const family = random.pick(layout.families);
  const pods = podsOf(layout);
  const from = random.pick(pods);
  const to = random.pick(pods.filter((pod) => pod !== from)).address[family];
  const kind = random.between(0, 2);
  if (kind === 0) return long(from.name, to, random.between(5, 20));
  if (kind === 1) return bulk(from.name, to, random.between(20, 6000) * KB, random.between(20, 6000) * KB);
  const datagrams = random.between(50, 500);
  return { from: from.name, order: { do: 'udp', to, port: UDP_PORT, datagrams, size: 700, answer: 100 } };
}

/** Something that may happen next where traffic never ends. */
export function anyStep(random: Random, layout: Layout = COMMON_LAYOUT): Step {
  return random.pick(possibleWays(layout, random.pick(FAMILIES), random));
}

/** Carries out steps, some at a time. @returns the payload that was moved */
export async function carryOut(steps: readonly Step[], agent: (host: string) => Agent, parallel = 6): Promise<Done> {
  const left = [...steps];
  let sent = 0;
  let received = 0;
  let failed = 0;
  const row = async () => {
    for (let step = left.shift(); step !== undefined; step = left.shift()) {
      const done = await agent(step.from).order(step.order);
      sent += done.sent;
      received += done.received;
      failed += done.failed ?? 0;
    }
  };
  await Promise.all(Array.from({ length: parallel }, row));
  return { sent, received, failed };
}
