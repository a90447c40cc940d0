import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from '@egressd/world/network/commands';
import { makeRunFolder, newRunName, removeNamespaces, sweep } from '@egressd/world/network/runs';

/** Sources and destinations of the connections: 50 pods that talk to 1,000 others, on as many ports as it takes. */
export const SOURCES = 50;
export const DESTINATIONS = 1000;
const TIMEOUT_SECONDS = 3600;
/** No host has it: the packets end at the other end of the wire. */
const GATEWAY = '10.64.255.254';

/** A namespace with a conntrack table of its own, full of real connections. */
export interface Connections {
  readonly namespace: string;
  /** A folder for compiled programs, gone with the rest. */
  readonly folder: string;
  /** Opens a share of the connections (1: all), or where they are open moves their counters. */
  send(share: number): Promise<void>;
  remove(): Promise<void>;
}

/** Makes the namespace and the program that fills it. @param count connections */
export async function makeConnections(count: number): Promise<Connections> {
  await sweep();
  const run = await newRunName();
  const [namespace, peer] = [`${run}bench`, `${run}peer`];
  const folder = await makeRunFolder(run);
  const fill = await compile('fill', folder);
  await runCommand('ip', ['-batch', '-'], `netns add ${namespace}\nnetns add ${peer}\n`);
  await runCommand('ip', [
    'link',
    'add',
    'bench0',
    'netns',
    namespace,
    'type',
    'veth',
    'peer',
    'name',
    'bench1',
    'netns',
    peer,
  ]);
  await runCommand('ip', ['-n', peer, 'link', 'set', 'bench1', 'up']);
  await runCommand('ip', ['-n', namespace, '-batch', '-'], INSIDE);
  await inside(namespace, 'nft', TRACK);
  await inside(namespace, 'sysctl', '-wq', ...settings());
  return {
    namespace,
    folder,
    send: async (share) => {
      await inside(namespace, fill, String(Math.floor(count * share)), String(SOURCES), String(DESTINATIONS));
    },
    async remove() {
      await removeNamespaces([namespace, peer]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const INSIDE = `link set lo up
link set bench0 up
addr add 10.64.0.1/16 dev bench0
neigh add ${GATEWAY} lladdr 02:00:00:00:00:01 nud permanent dev bench0
route add default via ${GATEWAY}
`;

/** Conntrack looks at a namespace only where a rule there asks for it. */
const TRACK =
  'add table inet bench; add chain inet bench out { type filter hook output priority 0; }; add rule inet bench out ct state new accept';

function settings(): string[] {
  const names = ['udp_timeout', 'tcp_timeout_established', 'tcp_timeout_unacknowledged', 'tcp_timeout_max_retrans'];
  const timeouts = names.map((name) => `${name}=${TIMEOUT_SECONDS}`);
  return ['acct=1', 'timestamp=1', ...timeouts].map((setting) => `net.netfilter.nf_conntrack_${setting}`);
}

/** Runs a command in the namespace. */
export function inside(namespace: string, ...command: readonly string[]): Promise<string> {
  return runCommand('ip', ['netns', 'exec', namespace, ...command]);
}

/** Compiles a C program of this folder. @returns the path of the program */
export async function compile(name: string, folder: string, ...libraries: readonly string[]): Promise<string> {
  const program = join(folder, name);
  const source = fileURLToPath(new URL(`./${name}.c`, import.meta.url));
  await runCommand('gcc', ['-O2', '-o', program, source, ...libraries.map((library) => `-l${library}`)]);
  return program;
}
