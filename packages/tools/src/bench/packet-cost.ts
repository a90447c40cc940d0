import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openLibbpf } from '@egressd/collector/native/bpf';
import { ATTACH, closeFd, linkToCgroup, loadBpfObject } from '@egressd/collector/native/bpf-object';
import { Coprocess } from '@egressd/world/coprocess';
import { NODE } from '@egressd/world/daemons/daemon-command';
import { runCommand } from '@egressd/world/network/commands';
import { removeNamespaces } from '@egressd/world/network/runs';
import { compile } from './connections.ts';
import { median } from './numbers.ts';

const OURS = fileURLToPath(new URL('../../../collector/bpf/count.bpf.o', import.meta.url));
const EMPTY = fileURLToPath(new URL('./empty.bpf.c', import.meta.url));
const HEADERS = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' } as const;
/** So few that a disturbance from beside hits one turn and not a whole kind. */
const PACKETS = 20_000;
const BYTES = 64;
const ROUNDS = 61;
const RECEIVER = '10.99.0.2';
const PORT = 9999;
const LISTEN = `require('node:dgram').createSocket('udp4').bind(${PORT})`;
const IN_CGROUP = 'echo $$ > "$0/cgroup.procs" && exec "$@"';

/** Nanoseconds of processor time a packet of 64 bytes from one namespace to another: medians of the same run. */
export interface PacketCost {
  readonly none: number;
  readonly empty: number;
  readonly ours: number;
  /** What our program does in a hook, beside the hook itself: a packet passes two, where it is sent and where it is received. */
  readonly ownWork: number;
}

/** Sends packets without a program, with an empty one and with ours, by turns. */
export async function packetCost(run: string, folder: string, cgroup: string): Promise<PacketCost> {
  openLibbpf();
  const objects = { empty: await compileEmpty(folder), ours: OURS };
  const [from, to] = [`${run}send`, `${run}receive`];
  await makeNamespaces(from, to);
  const enter = (namespace: string, ...words: string[]) => [
    '-c',
    IN_CGROUP,
    cgroup,
    'ip',
    'netns',
    'exec',
    namespace,
    ...words,
  ];
  const receiver = new Coprocess('sh', enter(to, NODE[0]!, '-e', LISTEN));
  const sender = new Coprocess(
    'sh',
    enter(from, await compile('send-udp', folder), RECEIVER, String(PORT), String(BYTES)),
  );
  try {
    const send = async () => (await sender.ask(String(PACKETS)))[0]! / PACKETS;
    for (let i = 0; i < 3; i++) await send();
    const rounds: { none: number; empty: number; ours: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const none = await send();
      const empty = await attached(objects.empty, cgroup, send);
      rounds.push({ none, empty, ours: await attached(objects.ours, cgroup, send) });
    }
    const of = (what: 'none' | 'empty' | 'ours') => median(rounds.map((round) => round[what]));
    const ownWork = median(rounds.map(({ empty, ours }) => (ours - empty) / 2));
    return { none: of('none'), empty: of('empty'), ours: of('ours'), ownWork };
  } finally {
    await sender.end();
    await removeNamespaces([from, to]);
    await receiver.end().catch(() => {});
  }
}

/** Does something while both programs of an object are attached. */
async function attached<T>(path: string, cgroup: string, work: () => Promise<T>): Promise<T> {
  const maxEntries = path === OURS ? { pairs: 65_536 } : {};
  const object = loadBpfObject({ path, programs: ['sent', 'received'], reuse: {}, maxEntries });
  const descriptor = openSync(cgroup, 'r');
  const links = [
    linkToCgroup(object.programFd('sent'), descriptor, ATTACH.egress),
    linkToCgroup(object.programFd('received'), descriptor, ATTACH.ingress),
  ];
  try {
    return await work();
  } finally {
    links.forEach(closeFd);
    closeSync(descriptor);
    object.close();
  }
}

async function compileEmpty(folder: string): Promise<string> {
  const object = join(folder, 'empty.bpf.o');
  const headers = `-I/usr/include/${HEADERS[process.arch as keyof typeof HEADERS]}`;
  await runCommand('clang', ['-target', 'bpf', headers, '-O2', '-g', '-c', EMPTY, '-o', object]);
  return object;
}

/** Two namespaces, each with an end of a cable. */
async function makeNamespaces(from: string, to: string): Promise<void> {
  await runCommand('ip', ['netns', 'add', from]);
  await runCommand('ip', ['netns', 'add', to]);
  const cable = ['link', 'add', 's0', 'netns', from, 'type', 'veth', 'peer', 'name', 'r0', 'netns', to];
  await runCommand('ip', cable);
  await runCommand('ip', ['-n', from, '-batch', '-'], 'addr add 10.99.0.1/24 dev s0\nlink set s0 up\n');
  await runCommand('ip', ['-n', to, '-batch', '-'], `addr add ${RECEIVER}/24 dev r0\nlink set r0 up\n`);
}
