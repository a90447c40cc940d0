import { type ChildProcess, spawn } from 'node:child_process';
import { Bug } from '@egressd/flow/bug';
import { type Agent, startAgent } from '../traffic/agent-process.ts';
import { openNodeCgroups } from './cgroups.ts';
import { runCommand, stopProcess } from './commands.ts';
import { blueprintOf, type WorldKind } from './kinds.ts';
import { HOSTS, type Layout, type Node, podsOn, TCP_PORT, UDP_PORT } from './layout.ts';
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
  /** The processes of each node are in a cgroup of their own. */
  readonly cgroups?: boolean;
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
  /** Where the world has a cgroup for each node: their folders by node, and a BPF file system. */
  readonly cgroups: { readonly folders: ReadonlyMap<string, string>; readonly bpfFolder: string } | undefined;
  /** The file of a host's namespace: for processes that enter it in another way. */
  namespaceFile(host: string): string;
  /** The agent of a host: does traffic. */
  agent(host: string): Agent;
  /** Ends everything. Can be called at any time, and again. */
  close(): Promise<void>;
}

/** Builds a world, with agents that listen. First removes what killed runs have left. Needs root. */
export async function openWorld({ kind = 'routed', cgroups: wantsCgroups = false }: WorldOptions = {}): Promise<World> {
  await sweep();
  const blueprint = blueprintOf(kind);
  const run = await newRunName();
  const ns = (host: string) => `${run}${host}`;
  const agents = new Map<string, Agent>();
  const folder = await makeRunFolder(run);
  const cgroups = wantsCgroups ? await openNodeCgroups(run, folder) : undefined;
  const folders = new Map<string, string>();
  const cgroupOf = (host: string) => folders.get(nodeOf(blueprint.layout, host) ?? '');
  const base = emptyWorld({ ns, folder, agents, cgroupOf, removeCgroups: async () => cgroups?.close() });
  const known = cgroups && { folders, bpfFolder: cgroups.bpfFolder };
  const world: World = { kind, layout: blueprint.layout, ...base, cgroups: known };
  try {
    for (const { name } of blueprint.layout.nodes) if (cgroups !== undefined) folders.set(name, await cgroups.of(name));
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

/** The node that a host is, or that it is a pod of. */
function nodeOf(layout: Layout, host: string): string | undefined {
  const isOn = (node: Node) => node.name === host || podsOn(layout, node).some(({ name }) => name === host);
  return layout.nodes.find(isOn)?.name;
}

/** Starts what follows in a cgroup. */
const IN_CGROUP = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"';

interface Empty {
  /** A host's namespace. */
  readonly ns: (host: string) => string;
  readonly folder: string;
  readonly agents: ReadonlyMap<string, Agent>;
  readonly cgroupOf: (host: string) => string | undefined;
  readonly removeCgroups: () => Promise<void>;
}

/** A world of which nothing is there yet. */
function emptyWorld({
  ns,
  folder,
  agents,
  cgroupOf,
  removeCgroups,
}: Empty): Omit<World, 'kind' | 'layout' | 'cgroups'> {
  const children = new Set<ChildProcess>();
  return {
    folder,
    run: (host, command, args, input) => runCommand('ip', ['netns', 'exec', ns(host), command, ...args], input),
    spawn(host, command, args, { env = {}, stdio = 'ignore' } = {}) {
      const inside = ['netns', 'exec', ns(host), command, ...args];
      const cgroup = cgroupOf(host);
      const wrapped = ['-c', IN_CGROUP, 'sh', cgroup ?? '', 'ip', ...inside];
      const child = spawn(cgroup === undefined ? 'ip' : 'sh', cgroup === undefined ? inside : wrapped, {
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
      await removeCgroups();
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
