import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterEach, expect, test } from '@jest/globals';
import { waitForExit } from './commands.ts';
import { NODES, PODS } from './layout.ts';
import { sweep } from './runs.ts';
import { openWorld, type World } from './world.ts';

const worlds: World[] = [];
afterEach(() => Promise.all(worlds.splice(0).map((world) => world.close())));

async function open(): Promise<World> {
  const world = await openWorld();
  worlds.push(world);
  return world;
}

/** Namespaces and folders of runs of the process. */
async function traces(pid: number | undefined): Promise<string[]> {
  const names = [...(await readdir('/run/netns').catch(() => [])), ...(await readdir(tmpdir()))];
  return names.filter((name) => name.startsWith(`egd${pid}.`));
}

const OPEN_AND_STAY = `
  const { openWorld } = await import(${JSON.stringify(new URL('./world.ts', import.meta.url).href)});
  await openWorld();
  console.log('open');
  setInterval(() => {}, 1000);
`;

test('a killed run is removed by the next, a live one is not', async () => {
  const live = await open();
  const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning', '--input-type=module-typescript'];
  const killed = spawn(process.execPath, [...flags, '-e', OPEN_AND_STAY], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(killed.stdout, 'data');
  killed.kill('SIGKILL');
  await waitForExit(killed, 5000);
  expect(await traces(killed.pid)).not.toEqual([]);
  await sweep();
  expect(await traces(killed.pid)).toEqual([]);
  const order = { do: 'tcp', port: 8080, up: 10, down: 20, connections: 1, parallel: 1 } as const;
  await expect(live.agent('web-1').order({ ...order, to: PODS[3]!.address.v6 })).resolves.toEqual({
    sent: 10,
    received: 20,
  });
});

test('two worlds do not see each other, and closing leaves nothing', async () => {
  const [one, other] = [await open(), await open()];
  await one.agent('web-1').order({ do: 'ping', to: PODS[3]!.address.v4, count: 3, size: 40 });
  const count = async (world: World) =>
    (await world.run(NODES[0]!.name, 'conntrack', ['-L', '-p', 'icmp'])).split('\n').length - 1;
  expect([await count(one), await count(other)]).toEqual([1, 0]);
  await one.close();
  await other.close();
  expect(await traces(process.pid)).toEqual([]);
});

test('an agent says what it could not do', async () => {
  const world = await open();
  const agent = world.agent('web-1');
  const order = { do: 'tcp', to: PODS[3]!.address.v4, port: 81, up: 1, down: 1, connections: 1, parallel: 1 } as const;
  await expect(agent.order(order)).rejects.toThrow(/ECONNREFUSED/);
  agent.close();
  await expect(agent.order(order)).rejects.toThrow(/has ended/);
});
