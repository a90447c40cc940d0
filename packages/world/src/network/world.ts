import { type ChildProcess, spawn } from 'node:child_process';
import { Bug } from '@egressd/flow/bug';
import { type Agent, startAgent } from '../traffic/agent-process.ts';
import { runCommand, stopProcess } from './commands.ts';
import { blueprintOf, type WorldKind } from './kinds.ts';
import { HOSTS, type Layout, TCP_PORT, UDP_PORT } from './layout.ts';
import { makeRunFolder, NETNS_FOLDER, newRunName, removeNamespaces, removeRunFolder, sweep } from './runs.ts';
import {
  type Blueprint,
  cableBatch,
  firstSysctls,
  NAMESPACES,
  namespaceBatch,
  routeBatch,
  sysctlScript,
} from './wiring.ts';

/** How long a process of the world may take to end when it is asked to. */
const STOP_LIMIT_MS = 12_000;

/** How to start a process in the world. */
export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdio?: 'ignore' | 'inherit' | 'pipe';
}

/** What can be chosen of a world. */
export interface WorldOptions {
  /** Not set: `routed`. */
  readonly kind?: WorldKind;
}

/**
 * Two nodes of a cluster with their pods, the way out and the internet, in network namespaces of this machine: `layout.ts` has
 * the picture. Nothing of it touches the machine's own network.
 */
export interface World {
  readonly kind: WorldKind;
  /** Who is in it, with which addresses. */
  readonly layout: Layout;
  /** For files of this run; goes with the world. */
  readonly folder: string;
  /** Runs a command to its end in the namespace of `host`. @returns its output */
  run(host: string, command: string, args: readonly string[], input?: string): Promise<string>;
  /** Starts a process in the namespace of `host`; the world's end is its end. */
  spawn(host: string, command: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /** The file of a host's namespace: for processes that enter it in another way. */
  namespaceFile(host: string): string;
  /** The agent of a host: does traffic. */
  agent(host: string): Agent;
  /** Ends everything. Can be called at any time, and again. */
  close(): Promise<void>;
}

/** Builds a world, with agents that listen. First removes what killed runs have left. Needs root. */
export async function openWorld({ kind = 'routed' }: WorldOptions = {}): Promise<World> {
  await sweep();
  const blueprint = blueprintOf(kind);
  const run = await newRunName();
  const ns = (host: string) => `${run}${host}`;
  const agents = new Map<string, Agent>();
  const world: World = { kind, layout: blueprint.layout, ...emptyWorld(ns, await makeRunFolder(run), agents) };
  try {
    await build(blueprint, world, ns);
    for (const { name } of HOSTS) {
      const spawnAgent = (command: string, args: readonly string[]) =>
        world.spawn(name, command, args, { stdio: 'pipe' });
      agents.set(name, startAgent(spawnAgent));
    }
    await Promise.all([...agents.values()].map((agent) => agent.order({ do: 'listen', tcp: TCP_PORT, udp: UDP_PORT })));
  } catch (error) {
    await world.close();
    throw error;
  }
  return world;
}

/** A world of which nothing is there yet. @param ns a host's namespace */
function emptyWorld(
  ns: (host: string) => string,
  folder: string,
  agents: ReadonlyMap<string, Agent>,
): Omit<World, 'kind' | 'layout'> {
  const children = new Set<ChildProcess>();
  return {
    folder,
    run: (host, command, args, input) => runCommand('ip', ['netns', 'exec', ns(host), command, ...args], input),
    spawn(host, command, args, { env = {}, stdio = 'ignore' } = {}) {
      const child = spawn('ip', ['netns', 'exec', ns(host), command, ...args], {
        stdio: [stdio === 'pipe' ? 'pipe' : 'ignore', stdio, stdio],
        env: { ...process.env, ...env },
        // A group of its own: the terminal's Ctrl-C is for the process that opened the world, which ends it in order.
        detached: true,
      });
      children.add(child);
      child.once('exit', () => children.delete(child));
      return child;
    },
    namespaceFile: (host) => `${NETNS_FOLDER}/${ns(host)}`,
    agent(host) {
      const agent = agents.get(host);
      if (agent === undefined) throw new Bug(`${host} has no agent`);
      return agent;
    },
    async close() {
      for (const agent of agents.values()) agent.close();
      await Promise.all([...children].map((child) => stopProcess(child, STOP_LIMIT_MS)));
      await removeNamespaces(NAMESPACES.map(ns));
      await removeRunFolder(folder);
    },
  };
}

/** Fills the new world's namespaces. */
async function build(blueprint: Blueprint, world: World, ns: (host: string) => string): Promise<void> {
  const { layout, podNetwork } = blueprint;
  const setSysctls = (host: string, sysctls: Readonly<Record<string, number>>) =>
    world.run(host, 'sh', ['-s'], sysctlScript(sysctls));
  await runCommand('ip', ['-batch', '-'], namespaceBatch(ns));
  await Promise.all(NAMESPACES.map((host) => setSysctls(host, firstSysctls(layout, host))));
  await runCommand('ip', ['-batch', '-'], cableBatch(blueprint, ns));
  await Promise.all(NAMESPACES.map((host) => world.run(host, 'ip', ['-batch', '-'], routeBatch(blueprint, host))));
  for (const node of layout.nodes) {
    await setSysctls(node.name, podNetwork.sysctls(node));
    const policy = podNetwork.policy?.(node).join('\n') ?? '';
    for (const family of ['-4', '-6']) await world.run(node.name, 'ip', [family, '-batch', '-'], policy);
    const entries = podNetwork.forwarding?.(node) ?? [];
    if (entries.length > 0) await world.run(node.name, 'bridge', ['-batch', '-'], entries.join('\n'));
    await world.run(node.name, 'nft', ['-f', '-'], podNetwork.rules(node));
  }
}
