import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { daemonCommand } from '@egressd/world/daemons/daemon-command';
import { runCommand } from '@egressd/world/network/commands';
import { newRunName, removeNamespaces } from '@egressd/world/network/runs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

/** The daemons as their users meet them: command lines, exit codes, output. In a namespace without other processes. */
const LIMIT_MS = 20_000;

let namespace = '';
let folder = '';

beforeAll(async () => {
  namespace = `${await newRunName()}programs`;
  folder = await mkdtemp(join(tmpdir(), 'egressd-programs-'));
  await runCommand('ip', ['netns', 'add', namespace]);
  await runCommand('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
});

afterAll(async () => {
  await removeNamespaces([namespace]);
  await rm(folder, { recursive: true });
});

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

/** Runs a daemon in the namespace until it ends; with `until` it gets SIGTERM once its log matches. */
async function run(
  name: 'collector' | 'exporter',
  flags: string[],
  { until, prefix = [] as string[] } = {} as { until?: RegExp; prefix?: string[] },
): Promise<Ended> {
  const child = spawn('ip', ['netns', 'exec', namespace, ...prefix, ...daemonCommand(name), ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, NODE_NAME: 'test' },
  });
  const said = { out: '', error: '' };
  let asked = false;
  child.stdout.on('data', (chunk: Buffer) => {
    said.out += chunk.toString('utf8');
  });
  child.stderr.on('data', (chunk: Buffer) => {
    said.error += chunk.toString('utf8');
    // Once: a second signal would end it at once.
    if (!asked && until?.test(said.error)) asked = child.kill('SIGTERM');
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  return { code, ...said };
}

describe.each(['collector', 'exporter'] as const)('%s', (name) => {
  test('-version and -help', async () => {
    expect(await run(name, ['-version'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(`^egressd-${name} \\d+\\.\\d+\\.\\d+ `),
      error: '',
    });
    expect(await run(name, ['-help'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('-log-level'),
      error: '',
    });
  });

  test('-config-check prints what holds, and ok once', async () => {
    const { code, out } = await run(name, ['-config-check']);
    expect(code).toBe(0);
    expect(out.split('\n').filter((line) => line === 'ok')).toHaveLength(1);
  });

  test('every mistake of a command line at once, exit code 2', async () => {
    const { code, error } = await run(name, ['-log-levle=debug', '-http-listen-port=70000']);
    expect(code).toBe(2);
    expect(error).toContain('-log-levle: unknown flag (did you mean -log-level?)');
    expect(error).toContain('-http-listen-port: is "70000"');
  });
});

describe('collector', () => {
  test('without rights it says which it needs', async () => {
    const { code, error } = await run('collector', [], {
      // Root still: another user might not even read the checkout.
      prefix: ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'],
    });
    expect(code).toBe(1);
    expect(error).toMatch(/level=error .*run as root, or with the capability NET_ADMIN/);
  });

  test('without an exporter it goes on, logs it, and ends in order at SIGTERM', async () => {
    const { code, error } = await run('collector', ['-read-interval=200ms', '-http-listen-port=0'], {
      until: /stream to exporter ended/,
    });
    expect(code).toBe(0);
    expect(error).toMatch(/level=warn .*stream to exporter ended.* exporter=127\.0\.0\.1:6062 reason=unavailable/);
    expect(error).toMatch(/msg=stopping reason=SIGTERM/);
  });

  test('beyond loopback it wants certificates', async () => {
    const { code, error } = await run('collector', ['-exporter-address=192.0.2.1:6062']);
    expect(code).toBe(1);
    expect(error).toContain('set tls-ca-file');
  });

  test('-init enables what counting needs, -dump-ct prints what is there', async () => {
    const init = await run('collector', ['-init']);
    expect(init).toMatchObject({ code: 0 });
    expect(init.error).toMatch(/sysctl=nf_conntrack_acct before=\d now=1/);
    await runCommand('ip', ['netns', 'exec', namespace, 'nft', TRACK]);
    await runCommand('ip', ['netns', 'exec', namespace, process.execPath, '-e', SEND_UDP]);
    const dump = await run('collector', ['-dump-ct', '-log-level=error']);
    expect(dump).toMatchObject({ code: 0, error: '' });
    const forward = /^proto=17 src=10\.9\.8\.7:4000 dst=127\.0\.0\.1:4001 tx_bytes=33 rx_bytes=0 expires=(\d+m)?\d+s$/m;
    const backward =
      /^proto=17 src=127\.0\.0\.1:4001 dst=10\.9\.8\.7:4000 tx_bytes=0 rx_bytes=33 expires=(\d+m)?\d+s$/m;
    expect(dump.out).toMatch(forward);
    expect(dump.out).toMatch(backward);
  });
});

const TRACK =
  'add table inet t; add chain inet t out { type filter hook output priority 0; }; add rule inet t out ct state new accept';
/** From an address that is no loopback one: connections of loopback with itself are left out. */
const SEND_UDP = `
const { execFileSync } = require('node:child_process');
execFileSync('ip', ['addr', 'add', '10.9.8.7/32', 'dev', 'lo']);
const socket = require('node:dgram').createSocket('udp4');
const server = require('node:dgram').createSocket('udp4');
server.bind(4001, '127.0.0.1', () => socket.bind(4000, '10.9.8.7', () => socket.send('hello', 4001, '127.0.0.1', () => { socket.close(); server.close(); })));
`;

describe('exporter', () => {
  const config = async (text: string) => {
    const path = join(folder, 'config.yaml');
    await writeFile(path, text);
    return `-config-path=${path}`;
  };

  test('-config-check: all mistakes with their places, exit code 1', async () => {
    const { code, out } = await run('exporter', [await config('exportInterval: 5\nsink: {}\n'), '-config-check']);
    expect(code).toBe(1);
    expect(out).toContain('line 1: exportInterval: expected a duration');
    expect(out).toContain('line 2: sink: ');
    expect(out).toContain('did you mean sinks');
  });

  test('-config-check: what was read, without secrets', async () => {
    const text =
      'sinks: { db: { prom_remote_write: { url: "http://me:hidden@127.0.0.1:1/write", headers: { X-Key: hidden } } } }\n';
    const { code, out } = await run('exporter', [await config(text), '-config-check']);
    expect(code).toBe(0);
    expect(out).toContain('prom_remote_write');
    expect(out).not.toContain('hidden');
  });

  test('a port that is taken is named, exit code 1', async () => {
    const { code, error } = await run('exporter', ['-http-listen-port=6062', '-grpc-listen-port=6062']);
    expect(code).toBe(1);
    expect(error).toMatch(/6062.*(another process has it|in use|EADDRINUSE)/);
  });

  test('starts without any configuration, and ends in order at SIGTERM', async () => {
    const { code, error } = await run('exporter', ['-http-listen-port=0', '-grpc-listen-port=0'], {
      until: /msg=listening/,
    });
    expect(code).toBe(0);
    expect(error).toContain('neither Kubernetes nor an inventory');
  });

  test('-state-dir: who had which address is there again after a restart, a pod that went meanwhile has ended', async () => {
    const state = join(folder, 'state');
    const flags = [
      await config('inventory: inventory.yaml\n'),
      `-state-dir=${state}`,
      '-http-listen-port=0',
      '-grpc-listen-port=0',
    ];
    const live = async (pods: string) => {
      const nodes = '[{ name: n, addresses: [10.0.0.1] }]';
      await writeFile(join(folder, 'inventory.yaml'), `nodes: ${nodes}\npods: [${pods}]\n`);
      return run('exporter', flags, { until: /msg=listening/ });
    };
    const kept = async () => JSON.parse((await readFile(join(state, 'ip-history'), 'utf8')).split('\n')[1]!);
    expect(await live('{ name: a, namespace: ns, node: n, ips: [10.1.0.1] }')).toMatchObject({ code: 0 });
    expect(await kept()).toMatchObject({ pods: [{ name: 'a', times: [['10.1.0.1', null, null]] }] });
    const { code, error } = await live('');
    expect(code).toBe(0);
    expect(error).toMatch(/msg="IP history restored" .*pods=1/);
    expect(await kept()).toMatchObject({ pods: [{ name: 'a', times: [['10.1.0.1', null, expect.any(Number)]] }] });
  });
});
