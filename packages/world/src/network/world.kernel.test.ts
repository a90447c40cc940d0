import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { WORLD_KINDS, type WorldKind } from './kinds.ts';
import { NODES, PODS, TCP_PORT } from './layout.ts';
import { isLeftBehind, sweep } from './runs.ts';
import { openWorld, type World } from './world.ts';

const worlds: World[] = [];
afterEach(() => Promise.all(worlds.splice(0).map((world) => world.close())));

async function open(kind: WorldKind = 'routed'): Promise<World> {
  const world = await openWorld({ kind });
  worlds.push(world);
  return world;
}

/** Namespaces, folders and mounts of runs of the process. */
async function traces(pid: number): Promise<string[]> {
  const names = [...(await readdir('/run/netns').catch(() => [])), ...(await readdir(tmpdir()))];
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
  return [
    ...names.filter((name) => name.startsWith(`egd${pid}.`)),
    ...mounts.filter((line) => line.includes(`/egd${pid}.`)),
  ];
}

const OPEN_AND_STAY = `
  const { openWorld } = await import(${JSON.stringify(new URL('./world.ts', import.meta.url).href)});
  const { folder } = await openWorld();
  const { runCommand } = await import(${JSON.stringify(new URL('./commands.ts', import.meta.url).href)});
  await runCommand('mkdir', [folder + '/disk']);
  await runCommand('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'egressd-lab', folder + '/disk']);
  console.log(process.pid);
  setInterval(() => {}, 1000);
`;
/** Starts a process and becomes one that never notices when it ends: it stays a zombie, as in many containers. */
const NEGLECT = '"$@" & exec sleep 60';

/** The world of another process. @returns its process id */
async function openElsewhere(): Promise<{ pid: number; parent: ChildProcess }> {
  const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning', '--input-type=module-typescript'];
  const args = ['-c', NEGLECT, 'sh', process.execPath, ...flags, '-e', OPEN_AND_STAY];
  const parent = spawn('sh', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  return { pid: Number(line.toString()), parent };
}

test('a killed run is removed by the next, a live one is not', async () => {
  const live = await open();
  const { pid, parent } = await openElsewhere();
  try {
    await sweep();
    expect(await traces(pid)).not.toEqual([]);
    process.kill(pid, 'SIGKILL');
    while ((await isLeftBehind((await traces(pid))[0]!)) === false) await pause(10);
    await sweep();
    expect(await traces(pid)).toEqual([]);
  } finally {
    parent.kill('SIGKILL');
  }
  const order = { do: 'tcp', port: TCP_PORT, up: 10, down: 20, connections: 1, parallel: 1 } as const;
  const done = live.agent('web-1').order({ ...order, to: PODS[3]!.address.v6 });
  await expect(done).resolves.toEqual({ sent: 10, received: 20 });
});

test.each(WORLD_KINDS)('two worlds (%s) do not see each other, and closing leaves nothing', async (kind) => {
  const [one, other] = [await open(kind), await open(kind)];
  await one.agent('web-1').order({ do: 'ping', to: PODS[3]!.address.v6, count: 3, size: 40 });
  const count = async (world: World) =>
    (await world.run(NODES[0]!.name, 'conntrack', ['-L', '-p', 'icmpv6'])).split('\n').length - 1;
  const zones = one.layout.secondPass === undefined ? 1 : 2;
  expect([await count(one), await count(other)]).toEqual([zones, 0]);
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
