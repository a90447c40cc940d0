import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { WORLD_KINDS } from '../network/kinds.ts';
import { INTERNET, NODES, TCP_PORT } from '../network/layout.ts';
import { openWorld, type World } from '../network/world.ts';
import { carryOut, type Step, wholePlan } from '../traffic/plan.ts';
import { seededRandom } from '../traffic/random.ts';
import { parseConntrack, parseConntrackOnce } from './conntrack-text.ts';
import { loadReference, readReference } from './reference.ts';
import { sumTransfers } from './transfers.ts';

const SEED = 20_261;

/** The payload of a ping that no other packet is as small as, and its headers: IPv4 and ICMP. */
const MARK_SIZE = 3;
const HEADERS = 28;

/** From each node, since one has no other packets of this protocol where pods have no IPv4 addresses of each other. */
const PINGS = NODES.map(({ pods }): Step => {
  return { from: pods[0]!.name, order: { do: 'ping', to: INTERNET.address.v4, count: 3, size: 64 } };
});

/** Collects the last words of connections that end. */
async function listenToEnds(world: World, node: string): Promise<() => string> {
  const listener = world.spawn(node, 'conntrack', ['-E', '-e', 'DESTROY'], { stdio: 'pipe' });
  let text = '';
  listener.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  await once(listener, 'spawn');
  // It says nothing when it is ready: it is once it has heard of a connection that we let end.
  while (!text.includes('DESTROY')) {
    const to = NODES.find(({ name }) => name === node)!.address.v4;
    await world.agent(INTERNET.name).order({ do: 'ping', to, count: 1, size: MARK_SIZE });
    await world.run(node, 'conntrack', ['-F']);
  }
  return () => text.slice(text.indexOf('\n', text.lastIndexOf(` bytes=${MARK_SIZE + HEADERS} `)) + 1);
}

/** Deaf for so long: the first SYN is sent again after a second. */
const DEAF_MS = 2500;

/** A connection whose first SYNs are dropped. */
async function connectUntilAnswered(world: World): Promise<void> {
  const [host, address] = ['db-1', NODES[0]!.pods[2]!.address[world.layout.families[0]!]];
  const deaf = 'table inet deaf { chain in { type filter hook input priority 0; tcp flags syn drop; }; }';
  await world.run(host, 'nft', ['-f', '-'], deaf);
  const connection = { do: 'tcp', to: address, port: TCP_PORT, up: 10, down: 10, connections: 1, parallel: 1 } as const;
  const heard = world.agent('cart-2').order(connection);
  await pause(DEAF_MS);
  await world.run(host, 'nft', ['delete', 'table', 'inet', 'deaf']);
  await heard;
}

/** A connection whose ports are used again while the other end, and conntrack, still hold it open: its reset was dropped. */
async function connectOverAnOpenOne(world: World): Promise<void> {
  const [host, address] = ['web-1', NODES[1]!.pods[0]!.address[world.layout.families[0]!]];
  const mute = 'table inet mute { chain out { type filter hook output priority 0; tcp flags rst drop; }; }';
  await world.run(host, 'nft', ['-f', '-'], mute);
  const twice = { fromPort: 40_500, reset: true, connections: 2, parallel: 1 } as const;
  const connected = world.agent(host).order({ do: 'tcp', to: address, port: TCP_PORT, up: 10, down: 10, ...twice });
  await pause(DEAF_MS);
  await world.run(host, 'nft', ['delete', 'table', 'inet', 'mute']);
  await connected;
}

/** A connection whose ports the other end still holds open, while conntrack has forgotten it: the answer to its SYN is a challenge ACK. */
async function connectWhereOnlyTheOtherEndHoldsOn(world: World): Promise<void> {
  const family = world.layout.families[0]!;
  const [host, address] = ['web-1', NODES[1]!.pods[0]!.address[family]];
  const mute = 'table inet mute { chain out { type filter hook output priority 0; tcp flags rst drop; }; }';
  const once = { fromPort: 40_600, reset: true, connections: 1, parallel: 1 } as const;
  const connect = () => world.agent(host).order({ do: 'tcp', to: address, port: TCP_PORT, up: 10, down: 10, ...once });
  await world.run(host, 'nft', ['-f', '-'], mute);
  await connect();
  const ofIt = ['-f', family === 'v4' ? 'ipv4' : 'ipv6', '-p', 'tcp', '--sport', String(once.fromPort)];
  for (const { name } of NODES) await world.run(name, 'conntrack', ['-D', ...ofIt]);
  const connected = connect();
  await pause(DEAF_MS);
  await world.run(host, 'nft', ['delete', 'table', 'inet', 'mute']);
  await connected;
}

describe.each(WORLD_KINDS)(`%s: the reference beside conntrack itself, seed ${SEED}`, (kind) => {
  let world: World;
  const ended = new Map<string, () => string>();
  beforeAll(async () => {
    world = await openWorld({ kind });
    for (const { name } of NODES) {
      ended.set(name, await listenToEnds(world, name));
      await loadReference(world, name);
    }
    await carryOut([...wholePlan(seededRandom(SEED), world.layout), ...PINGS], world.agent);
    await connectUntilAnswered(world);
    await connectOverAnOpenOne(world);
    await connectWhereOnlyTheOtherEndHoldsOn(world);
  });
  afterAll(() => world?.close());

  test.each(NODES.map(({ name }) => name))('%s: every pair, packets and bytes', async (node) => {
    const { counted, passedBy } = await readReference(world, node);
    const alive = await world.run(node, 'conntrack', ['-L']);
    const parse = world.layout.secondPass === undefined ? parseConntrack : parseConntrackOnce;
    const conntrack = parse(`${alive}${ended.get(node)?.()}`);
    expect([...counted.values()].filter(({ protocol }) => protocol === 6).length).toBeGreaterThan(20);
    expect(new Set([...counted.values()].map(({ protocol }) => protocol))).toEqual(new Set([1, 6, 17, 58]));
    expect(passedBy.size > 0).toBe(world.layout.passedBy !== undefined);
    expect(Object.fromEntries(counted)).toEqual(
      Object.fromEntries(sumTransfers([...conntrack.values(), ...passedBy.values()])),
    );
  });
});
