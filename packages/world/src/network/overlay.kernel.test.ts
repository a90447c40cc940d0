import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parseConntrack } from '../reference/conntrack-text.ts';
import { NODE_A, NODE_B, OPS, STREAM_PORT, TCP_PORT, UDP_PORT } from './layout.ts';
import { openWorld, type World } from './world.ts';

const [WEB_1, CART_1] = NODE_A.pods as [(typeof NODE_A.pods)[0], (typeof NODE_A.pods)[0]];
const ORDER = { do: 'tcp', port: TCP_PORT, up: 100, down: 200, connections: 1, parallel: 1 } as const;

describe('an overlay', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld({ kind: 'overlay' });
    await world.agent(OPS.name).order({ do: 'listen', tcp: STREAM_PORT, udp: UDP_PORT + 1 });
  });
  afterAll(() => world?.close());

  /** Bytes between two addresses, in both directions, as a node's conntrack has counted them since it was flushed. */
  async function countedOn(node: string, source: string, destination: string): Promise<number> {
    const all = [...parseConntrack(await world.run(node, 'conntrack', ['-L'])).values()];
    const ends = [source, destination];
    const between = all.filter((one) => ends.includes(one.source) && ends.includes(one.destination));
    return between.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  test.each([
    ['another node: its tunnel', NODE_B, '10.10.2.0'],
    ['its own node: the bridge', NODE_A, '10.10.1.1'],
  ])("the exporter sees the stream come from an address of the node's range, of %s", async (_, node, peer) => {
    await world.run(NODE_A.name, 'conntrack', ['-F']);
    const { exporterAddress, ops } = world.layout;
    const stream = { ...ORDER, to: exporterAddress, port: STREAM_PORT };
    await expect(world.agent(node.name).order(stream)).resolves.toMatchObject({ received: 200 });
    const table = await world.run(NODE_A.name, 'conntrack', ['-L']);
    expect(table).toContain(`src=${ops.address.v4} dst=${peer} sport=${STREAM_PORT} `);
  });

  test.each([
    ['on, conntrack counts what pods of one node send each other', 1],
    ['off, it does not', 0],
  ])('with bridge-nf-call-iptables %s', async (_, value) => {
    const sysctl = `echo ${value} > /proc/sys/net/bridge/bridge-nf-call-iptables`;
    await world.run(NODE_A.name, 'sh', ['-c', sysctl]);
    await world.run(NODE_A.name, 'conntrack', ['-F']);
    await world.agent(WEB_1.name).order({ ...ORDER, to: CART_1.address.v4 });
    const counted = await countedOn(NODE_A.name, WEB_1.address.v4, CART_1.address.v4);
    expect(counted > 0).toBe(value === 1);
  });

  test('the network between the nodes sees no pod', async () => {
    const routes = await world.run('gateway', 'ip', ['route']);
    expect(routes).not.toMatch(/10\.10\./);
  });
});
