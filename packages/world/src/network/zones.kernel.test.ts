import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MASQUERADE_MARK } from './kube-proxy.ts';
import { DB, INTERNET, NODE_A, NODE_B, type Node, type Pod, TCP_PORT, WEB } from './layout.ts';
import { openWorld, type World } from './world.ts';
import { LOOP_OUT } from './zones.ts';

const [WEB_1, CART_1, DB_1] = NODE_A.pods as [Pod, Pod, Pod];
const [WEB_2, CART_2] = NODE_B.pods as [Pod, Pod];
const ORDER = { do: 'tcp', up: 100, down: 200, connections: 1, parallel: 1 } as const;
const ANTREA = '65520';

const ENTRY =
  /src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+) packets=(\d+) bytes=(\d+) src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+) packets=(\d+) bytes=(\d+)(?:.* zone=(\d+))?/;

/** What became of one connection in one zone. */
interface Seen {
  /** Who opened it, as this zone has it. */
  readonly source: string;
  /** To whom the answer goes. */
  readonly asker: string;
  readonly zone: string;
  /** Its destination is not who answered. */
  readonly dnat: boolean;
  /** The answer does not go to who asked. */
  readonly snat: boolean;
  /** Packets and bytes of both directions. */
  readonly counters: string;
}

describe('two zones', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld({ kind: 'zones' });
  });
  afterAll(() => world?.close());

  /** Opens one connection. @returns its entries on a node, by zone */
  async function connect(from: string, to: string, port: number, node: Node): Promise<Seen[]> {
    await world.run(node.name, 'conntrack', ['-F']);
    await expect(world.agent(from).order({ ...ORDER, to, port })).resolves.toMatchObject({ received: 200 });
    const lines = (await world.run(node.name, 'conntrack', ['-L', '-p', 'tcp'])).split('\n');
    const seen = lines.flatMap((line): Seen[] => {
      const [, source, destination, , , ...rest] = ENTRY.exec(line) ?? [];
      const [packets, bytes, answerer, asker, , , replyPackets, replyBytes, zone = '0'] = rest;
      if (source === undefined) return [];
      const counters = [packets, bytes, replyPackets, replyBytes].join(' ');
      return [{ zone, source, asker: asker!, dnat: destination !== answerer, snat: source !== asker, counters }];
    });
    return seen.toSorted((a, b) => Number(a.zone) - Number(b.zone));
  }

  const [v4, v6] = [(pod: Pod) => pod.address.v4, (pod: Pod) => pod.address.v6];
  const plain = (zone: string) => ({ zone, dnat: false, snat: false });
  test.each([
    ['a zone for each of two pods of a node', WEB_1.name, v4(CART_1), TCP_PORT, NODE_A, [plain('10'), plain('20')]],
    ['IPv6', WEB_1.name, v6(CART_1), TCP_PORT, NODE_A, [plain('10'), plain('20')]],
    ["the pod's zone, then the host's", WEB_1.name, v4(CART_2), TCP_PORT, NODE_A, [plain('0'), plain('10')]],
    [
      "on the other node the host's, then the one of all pods",
      WEB_1.name,
      v6(CART_2),
      TCP_PORT,
      NODE_B,
      [plain('0'), plain(ANTREA)],
    ],
    ['one zone of all pods is passed once', WEB_2.name, v4(CART_2), TCP_PORT, NODE_B, [plain(ANTREA)]],
    ['a pod and its own node', CART_1.name, NODE_A.address.v6, TCP_PORT, NODE_A, [plain('0'), plain('20')]],
    ['a node and its own pod', NODE_B.name, v4(CART_2), TCP_PORT, NODE_B, [plain('0'), plain(ANTREA)]],
    [
      'a Service is translated in the first zone only',
      CART_1.name,
      DB.address.v4,
      DB.port,
      NODE_A,
      [{ ...plain('20'), dnat: true }, plain('30')],
    ],
    [
      'what leaves the cluster is masqueraded in the second only',
      CART_2.name,
      INTERNET.address.v4,
      TCP_PORT,
      NODE_B,
      [{ ...plain('0'), snat: true }, plain(ANTREA)],
    ],
    [
      'a pod that reaches itself by a Service passes its zone once',
      DB_1.name,
      DB.address.v6,
      DB.port,
      NODE_A,
      [{ zone: '30', dnat: true, snat: true }],
    ],
  ] as const)('%s', async (_, from, to, port, node, expected) => {
    const seen = await connect(from, to, port, node);
    expect(seen.map(({ zone, dnat, snat }) => ({ zone, dnat, snat }))).toEqual(expected);
    expect(new Set(seen.map(({ counters }) => counters)).size).toBe(1);
  });

  test('a source port that is taken behind the first zone is another one in the second', async () => {
    // To the pod itself, and by the Service, whose backends come in turn.
    await world.run(NODE_A.name, 'conntrack', ['-F']);
    const open = async (to: string, port: number, fromPort: number) =>
      void (await world.agent(CART_1.name).order({ ...ORDER, to, port, fromPort }));
    for (const fromPort of [41_001, 41_002]) {
      await open(v4(WEB_1), TCP_PORT, fromPort);
      await open(WEB.address.v4, WEB.port, fromPort);
    }
    const lines = (await world.run(NODE_A.name, 'conntrack', ['-L', '-p', 'tcp', '-s', v4(CART_1)])).split('\n');
    const entries = lines.flatMap((line) => {
      const [, , to, port, , , , , , , behind, , , zone] = ENTRY.exec(line) ?? [];
      return to === undefined ? [] : [{ to, port, behind, zone }];
    });
    const first = entries.find(({ to, port, behind }) => to === WEB.address.v4 && port !== behind);
    expect(first).toMatchObject({ zone: '20' });
    expect(entries).toContainEqual({ to: v4(WEB_1), port: first?.behind, behind: first?.behind, zone: '10' });
  });

  test("what comes by a node's port is translated where it comes in, and passes the pod's zone as it is", async () => {
    // The backends in turn, and the other one is on the other node.
    for (let turn = 0; turn < WEB.backends.length; turn++) {
      const seen = await connect(INTERNET.name, NODE_A.address.v4, WEB.nodePort ?? 0, NODE_A);
      const here = [{ ...plain('0'), dnat: true }, plain('10')];
      const passing = [{ zone: '0', dnat: true, snat: true }];
      expect([here, passing]).toContainEqual(seen.map(({ zone, dnat, snat }) => ({ zone, dnat, snat })));
    }
  });

  test('what is masqueraded before its second zone has another source there', async () => {
    // As kube-proxy does for NodePorts on Antrea without proxyAll: in the host's zone, on the way to the pod's.
    const rule = `oifname ${LOOP_OUT} meta mark & ${MASQUERADE_MARK} != 0 masquerade`;
    await world.run(NODE_A.name, 'nft', [
      'insert',
      'rule',
      'inet',
      'kube-proxy',
      'nat-postrouting',
      ...rule.split(' '),
    ]);
    const turns: Seen[][] = [];
    for (let turn = 0; turn < WEB.backends.length; turn++)
      turns.push(await connect(INTERNET.name, NODE_A.address.v4, WEB.nodePort ?? 0, NODE_A));
    const [host, pod] = turns.find((seen) => seen.length === 2) ?? [];
    expect(host).toMatchObject({ zone: '0', source: INTERNET.address.v4, dnat: true, snat: true });
    expect(pod).toMatchObject({ zone: '10', source: host?.asker, dnat: false, snat: false });
    expect(pod?.counters).toBe(host?.counters);
    expect(host?.asker).not.toBe(INTERNET.address.v4);
  });
});
