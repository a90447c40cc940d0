import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { daemonCommand } from '@egressd/world/daemons/daemon-command';
import { type NodeCgroups, openNodeCgroups } from '@egressd/world/network/cgroups';
import { makeRunFolder, newRunName, removeRunFolder } from '@egressd/world/network/runs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { findCgroup, inodeOf } from './mounts.ts';

/** The real program with the capabilities that the chart gives it, and with fewer. */
const LIMIT_MS = 20_000;

let folder = '';
let cgroups: NodeCgroups;

beforeAll(async () => {
  const run = await newRunName();
  folder = await makeRunFolder(run);
  cgroups = await openNodeCgroups(run, folder);
});

afterAll(async () => {
  await cgroups.close();
  await removeRunFolder(folder);
});

async function collector(flags: readonly string[], capabilities?: readonly string[]) {
  const bounds = ['-all', ...(capabilities ?? []).map((name) => `+${name}`)].join(',');
  const less = capabilities === undefined ? [] : ['setpriv', `--bounding-set=${bounds}`, '--no-new-privs'];
  const [command = '', ...args] = [
    ...less,
    ...daemonCommand('collector'),
    `-ebpf-bpf-fs=${cgroups.bpfFolder}`,
    ...flags,
  ];
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  return { code, said };
}

const dump = async (capabilities: readonly string[], ...flags: readonly string[]) =>
  collector(['-dump-ct', '-ct-mode=ebpf', `-ebpf-cgroup=${await cgroups.of('node')}`, ...flags], capabilities);

test('BPF and NET_ADMIN are enough to attach, and to go on with what is attached', async () => {
  for (const unit of ['wire', 'super', 'super']) {
    const { code, said } = await dump(['bpf', 'net_admin'], `-ebpf-packets=${unit}`);
    expect(said).toContain('chosen=ebpf');
    expect(code).toBe(0);
  }
  expect(existsSync(`${cgroups.bpfFolder}/egressd`)).toBe(true);
});

test('without BPF it is said, and netfilter is read', async () => {
  const { code, said } = await dump(['net_admin']);
  expect(said).toContain(
    'reason=permission error="counting by eBPF needs the capabilities BPF and NET_ADMIN: missing BPF"',
  );
  expect(said).toContain('chosen=netfilter');
  expect(code).toBe(0);
});

test('-cleanup needs no capability', async () => {
  const { code, said } = await collector(['-cleanup'], []);
  expect(said).toMatch(/removed what counting by eBPF has left.* folders=\S+\/egressd\/pairs-1-super-\d+/);
  expect(code).toBe(0);
  expect(existsSync(`${cgroups.bpfFolder}/egressd`)).toBe(false);
});

test('the root of cgroup v2 is found, also beside version 1', () => {
  expect(inodeOf(findCgroup(undefined, false))).toBe(1);
});
