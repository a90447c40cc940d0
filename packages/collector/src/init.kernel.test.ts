import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const run = promisify(execFile);
const NAME = `egressd-init-${process.pid}`;
const INIT = JSON.stringify(new URL('./init.ts', import.meta.url).href);
const LOG = JSON.stringify(new URL('../../daemon/src/log.ts', import.meta.url).href);

/** Runs `runInit` in the namespace, after a shell command there. @returns its exit code, then its log */
async function init(before: string, options: string): Promise<string> {
  const code = `
    const { runInit } = await import(${INIT});
    const { createLog } = await import(${LOG});
    let lines = '';
    const log = createLog('info', (line) => { lines += line; });
    console.log(runInit({ log, ${options} }));
    console.log(lines);`;
  const node = [process.execPath, '--conditions=source', '-e', code];
  const shell = ['sh', '-ec', `${before}\nexec "$@"`, 'sh'];
  return (await run('ip', ['netns', 'exec', NAME, ...shell, ...node])).stdout;
}

beforeEach(async () => {
  await run('ip', ['netns', 'add', NAME]);
});
afterEach(() => run('ip', ['netns', 'del', NAME]));

test('enables what the kernel has, in this namespace', async () => {
  const out = await init('sysctl -qw net.netfilter.nf_conntrack_acct=0', 'cgroupv2: false');
  expect(out).toMatch(/^0\n/);
  expect(out).toMatch(/sysctl=nf_conntrack_acct before=0 now=1/);
  const files = ['acct', 'timestamp', 'events'].map((name) => `/proc/sys/net/netfilter/nf_conntrack_${name}`);
  expect((await run('ip', ['netns', 'exec', NAME, 'cat', ...files])).stdout).toBe('1\n1\n1\n');
});

test('a read-only proc is an error that says what to do', async () => {
  const out = await init('mount -t proc -o ro proc /proc', 'cgroupv2: false');
  expect(out).toMatch(/^1\n/);
  expect(out).toMatch(/level=error .*sysctl=nf_conntrack_acct .*read-only: mount the host's/);
});

test('mounts cgroup v2 where it is not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'egressd-cgroup-'));
  // `ip netns exec` has mounts of its own: they end with it.
  const out = await init('', `cgroupv2: true, cgroupRoots: [${JSON.stringify(join(folder, 'v2'))}]`);
  rmSync(folder, { recursive: true });
  expect(out).toMatch(/^0\n/);
  expect(out).toContain('msg="cgroup v2 mounted"');
});
