import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parseConntrack } from '../reference/conntrack-text.ts';
import { INTERNET, TCP_PORT } from './layout.ts';
import { openWorld, type World } from './world.ts';

const ORDER = { do: 'tcp', port: TCP_PORT, up: 100, down: 200, connections: 1, parallel: 1 } as const;

describe('IPv6 pods with IPv4 egress', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld({ kind: 'dual' });
  });
  afterAll(() => world?.close());

  test('the first pods of both nodes reach IPv4 from the same address, each in the name of its node', async () => {
    for (const { name, address, pods } of world.layout.nodes) {
      const [pod] = pods;
      await world.run(name, 'conntrack', ['-F']);
      const done = world.agent(pod!.name).order({ ...ORDER, to: INTERNET.address.v4 });
      await expect(done).resolves.toMatchObject({ received: 200 });
      const table = await world.run(name, 'conntrack', ['-L', '-p', 'tcp', '-f', 'ipv4']);
      expect([...parseConntrack(table).keys()]).toContain(`169.254.172.2 ${INTERNET.address.v4} 6`);
      expect(table).toContain(`src=${INTERNET.address.v4} dst=${address.v4} sport=${TCP_PORT} `);
    }
  });

  test('no pod reaches another by IPv4', async () => {
    const there = world.layout.nodes[1]!.pods[1]!.address.v4;
    // Its own node has the address too, and the packet stays there.
    const route = await world.run(world.layout.nodes[0]!.name, 'ip', ['route', 'get', there]);
    expect(route).toContain(`dev v4-${world.layout.nodes[0]!.pods[1]!.name}`);
  });
});
