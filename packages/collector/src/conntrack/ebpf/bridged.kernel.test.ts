import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { createLog } from '@egressd/daemon/log';
import { type NodeCgroups, openNodeCgroups } from '@egressd/world/network/cgroups';
import { makeRunFolder, newRunName, removeNamespaces, removeRunFolder } from '@egressd/world/network/runs';
import { type Agent, startAgent } from '@egressd/world/traffic/agent-process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { followBlindSpots } from '../../start/blind-spots.ts';
import { chooseSource } from '../choose.ts';
import { openNetfilterSource } from '../netfilter/source.ts';
import { recordFields } from '../record-fields.ts';
import type { ConntrackSource } from '../source.ts';
import { openEbpfSource } from './source.ts';

/** Two pods of a node on a bridge whose packets netfilter does not get: conntrack has no entry of what they say to each other. */
const run = promisify(execFile);
const [ONE, OTHER] = ['10.78.0.1', '10.78.0.2'];
const TRACK = 'table inet t { chain c { type filter hook prerouting priority 0; ct state new accept; }; }';
/** Counts what the bridge forwards, without Ethernet's header. */
const REFERENCE = `table bridge r { counter one {}; counter other {};
  chain f { type filter hook forward priority 0; ip saddr ${ONE} counter name one; ip saddr ${OTHER} counter name other; }; }`;

let name = '';
let folder = '';
let cgroups: NodeCgroups;
let cgroup = '';
const agents: Agent[] = [];
const children: ChildProcess[] = [];

const inside = (pod: string, ...words: readonly string[]) => run('ip', ['netns', 'exec', `${name}${pod}`, ...words]);

async function addPod(number: 1 | 2): Promise<void> {
  const pod = `${name}pod${number}`;
  await run('ip', ['netns', 'add', pod]);
  await inside('node', 'ip', 'link', 'add', `veth${number}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod);
  await inside('node', 'ip', 'link', 'set', `veth${number}`, 'master', 'pods', 'up');
  await inside(`pod${number}`, 'ip', 'addr', 'add', `10.78.0.${number}/24`, 'dev', 'eth0');
  await inside(`pod${number}`, 'ip', 'link', 'set', 'eth0', 'up');
  const agent = startAgent((command, args) => {
    const words = ['ip', 'netns', 'exec', pod, command, ...args];
    const child = spawn('sh', ['-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', cgroup, ...words]);
    children.push(child);
    return child;
  });
  agents.push(agent);
  await agent.order({ do: 'listen', tcp: 8080, udp: 8053 });
}

beforeAll(async () => {
  name = await newRunName();
  folder = await makeRunFolder(name);
  cgroups = await openNodeCgroups(name, folder);
  cgroup = await cgroups.of('node');
  await run('ip', ['netns', 'add', `${name}node`]);
  await inside('node', 'ip', 'link', 'add', 'pods', 'type', 'bridge');
  await inside('node', 'ip', 'addr', 'add', '10.78.0.254/24', 'dev', 'pods');
  await inside('node', 'ip', 'link', 'set', 'pods', 'up');
  await inside('node', 'ip', 'link', 'set', 'lo', 'up');
  await inside(
    'node',
    'sh',
    '-c',
    'sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0 || true',
  );
  await inside('node', 'nft', TRACK);
  await inside('node', 'nft', REFERENCE);
  for (const number of [1, 2] as const) await addPod(number);
}, 30_000);

afterAll(async () => {
  for (const agent of agents) agent.close();
  for (const child of children) child.kill();
  await removeNamespaces(['node', 'pod1', 'pod2'].map((host) => `${name}${host}`));
  await cgroups.close();
  await removeRunFolder(folder);
});

/** Bytes of the pair, from each end. */
async function readPair(source: ConntrackSource): Promise<Record<string, number>> {
  const bytes: Record<string, number> = {};
  await source.read((block) => {
    for (let i = 0; i < block.count; i++) {
      const { originalSource, replySource, originalBytes, replyBytes } = recordFields(block, i);
      if (![ONE, OTHER].includes(originalSource) || ![ONE, OTHER].includes(replySource)) continue;
      bytes[originalSource] = (bytes[originalSource] ?? 0) + Number(originalBytes);
      bytes[replySource] = (bytes[replySource] ?? 0) + Number(replyBytes);
    }
  });
  return bytes;
}

async function reference(): Promise<Record<string, number>> {
  const { stdout } = await inside('node', 'nft', 'list', 'counters', 'table', 'bridge', 'r');
  const of = (counter: string) =>
    Number(new RegExp(`counter ${counter} \\{\\s+packets \\d+ bytes (\\d+)`).exec(stdout)![1]);
  return { [ONE]: of('one'), [OTHER]: of('other') };
}

test('the bridge is seen, eBPF counts from the next read on, and it is what the bridge forwards, to the byte', async () => {
  const lines: string[] = [];
  const log = createLog('info', (line) => lines.push(line));
  const source = await chooseSource({
    mode: undefined,
    openNetfilter: () => openNetfilterSource({ namespace: `/run/netns/${name}node` }),
    openEbpf: () => openEbpfSource({ cgroup, bpfFolder: cgroups.bpfFolder, maxPairs: 64, unit: 'super' }),
    openCilium: () => Promise.reject(new Error('there is no Cilium')),
    hasCiliumMaps: () => false,
    hasEbpfMaps: () => false,
    log,
    now: () => performance.now(),
  });
  const before = await reference();
  try {
    expect(source.name).toBe('netfilter');
    const found: unknown[] = [];
    const podTraffic = { look: () => undefined };
    const { stop } = await followBlindSpots({ source, podTraffic, log, record: ({ bridge }) => found.push(bridge) });
    stop();
    expect(found).toEqual([['pods/ipv4']]);
    expect(await readPair(source)).toEqual({});
    expect(source.name).toBe('ebpf');
    const order = { to: OTHER, up: 900_000, down: 400_000, connections: 5, parallel: 2 };
    await agents[0]!.order({ do: 'tcp', port: 8080, ...order });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const kernel = await reference();
    const moved = { [ONE]: kernel[ONE]! - before[ONE]!, [OTHER]: kernel[OTHER]! - before[OTHER]! };
    expect(moved[ONE]).toBeGreaterThan(5 * 900_000);
    expect(await readPair(source)).toEqual(moved);
    expect(lines.join('')).toContain('chosen=ebpf');
  } finally {
    await source.close();
  }
});
