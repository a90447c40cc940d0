import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseConntrack } from '../reference/conntrack-text.ts';
import { GATEWAY, INTERNET, NODE_A, NODE_B, type Pod, TCP_PORT } from './layout.ts';
import { openWorld, type World } from './world.ts';

/** A Service's address, on the loopback of a pod of the other node. */
const VIP = '10.96.0.99';
const POD = NODE_B.pods[0] as Pod;
const POD_MAC = '02:00:00:00:00:bb';
/** Of the tunnel. */
const PORT = '4790';
const BYTES = 20_000;

/** IPVS in tunnel mode, with VXLAN in place of IPIP: the entry node sends on what is for the address as it is, and the pod answers itself. */
async function balance(world: World): Promise<void> {
  const ip = (host: string, command: string) => world.run(host, 'ip', command.split(' '));
  const [entry, pod] = [NODE_A.address.v4, POD.address.v4];
  await ip(NODE_A.name, `link add dr type vxlan id 77 local ${entry} remote ${pod} dstport ${PORT}`);
  await ip(NODE_A.name, 'link set dr up');
  await ip(NODE_A.name, `route add ${VIP}/32 dev dr`);
  await ip(NODE_A.name, `neigh add ${VIP} lladdr ${POD_MAC} dev dr nud permanent`);
  await ip(POD.name, `link add dr type vxlan id 77 local ${pod} remote ${entry} dstport ${PORT}`);
  await ip(POD.name, `link set dr address ${POD_MAC} up`);
  await ip(POD.name, `addr add ${VIP}/32 dev lo`);
  await ip(GATEWAY, `route add ${VIP}/32 via ${entry}`);
}

let world: World;
beforeAll(async () => {
  world = await openWorld({ kind: 'routed' });
  await balance(world);
});
afterAll(() => world?.close());

test("direct return: the pod's node sees the Service's address alone in what the pod answers, and the pod's in the tunnel", async () => {
  await world.run(NODE_B.name, 'conntrack', ['-F']);
  const order = { do: 'tcp', to: VIP, port: TCP_PORT, up: 100, down: BYTES, connections: 1, parallel: 1 } as const;
  await expect(world.agent(INTERNET.name).order(order)).resolves.toMatchObject({ received: BYTES });
  const seen = parseConntrack(await world.run(NODE_B.name, 'conntrack', ['-L']));
  expect(seen.get(`${VIP} ${INTERNET.address.v4} 6`)?.bytes).toBeGreaterThan(BYTES);
  expect(seen.get(`${NODE_A.address.v4} ${POD.address.v4} 17`)?.bytes).toBeGreaterThan(0);
  expect(seen.has(`${POD.address.v4} ${INTERNET.address.v4} 6`)).toBe(false);
});
