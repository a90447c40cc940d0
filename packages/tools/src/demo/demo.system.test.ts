import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { stopProcess } from '@egressd/world/network/commands';
import { WORLD_KINDS } from '@egressd/world/network/kinds';
import { afterEach, expect, test } from '@jest/globals';

const PROGRAM = fileURLToPath(new URL('./main.ts', import.meta.url));
const LIMIT_MS = 180_000;

const running: ChildProcess[] = [];
afterEach(() => Promise.all(running.splice(0).map((demo) => stopProcess(demo, 30_000))));

interface Demo {
  readonly child: ChildProcess;
  readonly output: () => string;
}

function startDemo(...args: string[]): Demo {
  const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
    });
  running.push(child);
  return { child, output: () => text };
}

/** What a run has left: namespaces and folders carry its process id. */
async function traces({ child }: Demo): Promise<string[]> {
  const names = [...(await readdir('/run/netns').catch(() => [])), ...(await readdir(tmpdir()))];
  return names.filter((name) => name.startsWith(`egd${child.pid}.`));
}

/** Where the exporter knows pods and nodes from. */
const OWNERS = [
  ['an inventory', []],
  ['Kubernetes', ['--kubernetes']],
] as const;

test.each(WORLD_KINDS.flatMap((kind) => OWNERS.map(([owners, flags]) => [kind, owners, flags] as const)))(
  'a fixed amount arrives in the database to the byte, in the world %s with owners from %s',
  async (kind, _, flags) => {
    const demo = startDemo('--once', '--seed', '20261', '--world', kind, ...flags);
    const [code] = await once(demo.child, 'close');
    // The table goes with a failure: it says which pair differs.
    expect(code === 0 ? '' : demo.output()).toBe('');
    expect(demo.output()).toMatch(/^EXACT: \d+ pairs in both directions, .* every difference is zero$/m);
    expect(/, of which [\d,]*[1-9][\d,]* bytes .* passed conntrack by;/.test(demo.output())).toBe(kind === 'offloaded');
    expect(await traces(demo)).toEqual([]);
  },
  LIMIT_MS,
);

test.each(WORLD_KINDS)(
  'counted at the sockets of each node, exact but for what the kernel answers without one, in the world %s',
  async (kind) => {
    const demo = startDemo('--once', '--seed', '20261', '--world', kind, '--source', 'ebpf');
    const [code] = await once(demo.child, 'close');
    expect(code === 0 ? '' : demo.output()).toBe('');
    expect(demo.output()).toMatch(/^EXACT: .* passed sockets by; beyond these every difference is zero$/m);
    const named = demo.output().match(/(echo answered|connection refused) by the kernel: [\d,]+/g) ?? [];
    expect(named.length).toBeGreaterThan(0);
    expect(await traces(demo)).toEqual([]);
  },
  LIMIT_MS,
);

test.each(OWNERS)(
  'the live table shows pods and zones, and Ctrl-C leaves nothing, owners from %s',
  async (_, flags) => {
    const demo = startDemo(...flags);
    const ended = once(demo.child, 'close');
    while (!/shop\/web-\d.*cross_zone/.test(demo.output()) && demo.child.exitCode === null)
      await once(demo.child.stdout ?? demo.child, 'data');
    demo.child.kill('SIGINT');
    const [code] = await ended;
    expect(code === 0 ? '' : demo.output()).toBe('');
    expect(demo.output()).toMatch(/^eu-1a +eu-1b /m);
    expect(await traces(demo)).toEqual([]);
  },
  LIMIT_MS,
);

test('wrong arguments are named, with what is expected', async () => {
  const demo = startDemo('--seed', 'x');
  expect(await once(demo.child, 'close')).toEqual([2, null]);
  expect(demo.output()).toMatch(/--seed: expected a number/);
});
