import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Daemons, startDaemons } from '@egressd/world/daemons/daemons';
import { runCommand } from '@egressd/world/network/commands';
import { NODE_A, NODES, OPS } from '@egressd/world/network/layout';
import { openWorld, type World } from '@egressd/world/network/world';
import { loadReference } from '@egressd/world/reference/reference';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { renderText } from '../chart/helm.ts';
import { runOnce } from '../demo/once.ts';
import { waitForStreams } from '../demo/streams.ts';
import { buildImages, DAEMONS, type Daemon, imageName } from './build.ts';
import { filesOf } from './contents.ts';
import { installation } from './installation.ts';
import { podman, ROOT, runOne, STORAGE } from './storage.ts';

/** The first build makes a Debian and fetches everything that is built with. */
const BUILD_LIMIT_MS = 2_400_000;
const PROOF_LIMIT_MS = 240_000;

let world: World | undefined;
let daemons: Daemons | undefined;
const output: string[] = [];

beforeAll(async () => {
  await buildImages({ say: () => {} });
  // Where the chart's own settings have it hardest: the exporter behind a Service, streams masqueraded, mutual TLS.
  world = await openWorld({ kind: 'overlay' });
  const here = world;
  for (const { name } of NODES) await loadReference(here, name);
  daemons = await startDaemons(here, { owners: 'kubernetes', install: (chosen) => installation(here, chosen) });
  await waitForStreams(here, daemons);
}, BUILD_LIMIT_MS);

afterAll(async () => {
  await daemons?.stop();
  await world?.close();
}, PROOF_LIMIT_MS);

test(
  'installed by the chart, everything arrives in the database to the byte',
  async () => {
    const exact = await runOnce(world!, daemons!, { seed: 20262, source: 'netfilter' }, (line) => output.push(line));
    expect(exact ? '' : output.join('\n')).toBe('');
  },
  PROOF_LIMIT_MS,
);

/** The process of a daemon: the one in the namespace of its host that is in a container. */
async function processOf(host: string): Promise<string> {
  const name = basename(world!.namespaceFile(host));
  const pids = (await runCommand('ip', ['netns', 'pids', name])).split('\n').filter(Boolean);
  const here = readlinkSync('/proc/self/ns/pid');
  const contained = pids.filter((pid) => readlinkSync(`/proc/${pid}/ns/pid`) !== here);
  expect(contained).toHaveLength(1);
  return `/proc/${contained[0]}`;
}

/** Fields of proc(5) `status` that say what a process may do. */
function rightsOf(process: string): Record<string, string> {
  const status = readFileSync(join(process, 'status'), 'utf8');
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]?.replaceAll('\t', ' ') ?? '';
  return Object.fromEntries(
    ['Uid', 'Gid', 'CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp'].map((name) => [name, field(name)]),
  );
}

/** Whether the root of a process is mounted read-only: proc(5) `mountinfo`. */
function rootOptions(process: string): string {
  const root = readFileSync(join(process, 'mountinfo'), 'utf8')
    .split('\n')
    .find((line) => line.split(' ')[4] === '/');
  return root?.split(' ')[5]?.split(',')[0] ?? '';
}

const NET_ADMIN = (1 << 12).toString(16).padStart(16, '0');
const NOTHING = '0'.repeat(16);

test.each([
  ['collector', NODE_A.name, { Uid: '0 0 0 0', CapEff: NET_ADMIN, CapBnd: NET_ADMIN }],
  [
    'exporter',
    OPS.name,
    { Uid: '10001 10001 10001 10001', Gid: '10001 10001 10001 10001', CapEff: NOTHING, CapBnd: NOTHING },
  ],
])('the %s that runs has the rights of the chart and no more', async (_, host, rights) => {
  const process = await processOf(host);
  // Seccomp 2: a filter, the runtime's own.
  expect(rightsOf(process)).toMatchObject({ ...rights, NoNewPrivs: '1', Seccomp: '2' });
  expect(rootOptions(process)).toBe('ro');
});

interface Inspected {
  readonly Architecture: string;
  readonly Config: {
    readonly User: string;
    readonly Env: readonly string[];
    readonly Entrypoint: readonly string[];
    readonly StopSignal: string;
    readonly Labels: Readonly<Record<string, string>>;
  };
}

/** Runs a program of Node.js in an image. @returns what it printed */
function runIn(daemon: Daemon, program: string): Promise<string> {
  const flags = [
    '--rm',
    '--network',
    'none',
    '--cap-drop',
    'all',
    '--read-only',
    '--entrypoint',
    '/usr/local/bin/node',
  ];
  return runOne(podman('run', ...flags, imageName(daemon), '-e', program));
}

describe.each(DAEMONS)('the image of the %s', (daemon) => {
  test('holds one program and no distribution', async () => {
    const files = [...(await filesOf(imageName(daemon))).keys()];
    expect(files.filter((path) => /(^|\/)s?bin\//.test(path) && !path.startsWith('app/'))).toEqual([
      'usr/local/bin/node',
    ]);
    // What the build was given to reach npm stays out, and so does what only developers read.
    expect(files.filter((path) => /npmrc|ca-certificates|\.[cm]?ts$|\.map$|\.test\./.test(path))).toEqual([]);
    expect(files).toContain('app/dist/main.js');
    expect(files.includes('app/bpf/count.bpf.o')).toBe(daemon === 'collector');
    expect(files).toContain('usr/share/doc/libc6/copyright');
  });

  test('says what it is, and from which commit', async () => {
    const [image] = JSON.parse(await runOne(podman('image', 'inspect', imageName(daemon)))) as [Inspected];
    const { User, Env, Labels, StopSignal } = image.Config;
    const commit = Labels['org.opencontainers.image.revision'];
    expect(commit).toMatch(/^[0-9a-f]{40}$/);
    expect(Env).toContain(`EGRESSD_COMMIT=${commit}`);
    expect(Env).toContain('NODE_ENV=production');
    expect(User).toBe(daemon === 'exporter' ? '10001:10001' : '0:0');
    expect(StopSignal).toMatch(/^(SIGTERM|15)$/);
    expect(Labels['org.opencontainers.image.title']).toBe(`egressd-${daemon}`);
    const said = await runOne(podman('run', '--rm', '--network', 'none', imageName(daemon), '-version'));
    expect(said).toMatch(
      new RegExp(`^egressd-${daemon} ${Labels['org.opencontainers.image.version']} \\(commit ${commit}, `),
    );
  });

  test('has the Node.js of the lock file, and a bill of what is in it', async () => {
    const bill = JSON.parse(
      await runIn(daemon, `console.log(fs.readFileSync('/usr/share/sbom/egressd-${daemon}.cdx.json', 'utf8'))`),
    ) as {
      readonly components: readonly { readonly name: string; readonly version: string }[];
    };
    const versions = new Map(bill.components.map(({ name, version }) => [name, version]));
    const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>;
    };
    expect(versions.get('node')).toBe(devDependencies.node);
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, `packages/${daemon}/package.json`), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    for (const [name, version] of Object.entries(dependencies))
      if (!name.startsWith('@egressd/')) expect([name, versions.get(name)]).toEqual([name, version]);
    expect(versions.get('libc6')).toMatch(/^2\./);
    expect(versions.has('libbpf1')).toBe(daemon === 'collector');
  });
});

test('-dump-ct prints the connections of a node', async () => {
  const where = ['--network', `ns:${world!.namespaceFile(NODE_A.name)}`, '--cap-drop', 'all', '--cap-add', 'NET_ADMIN'];
  const printed = await runOne(podman('run', '--rm', '--read-only', ...where, imageName('collector'), '-dump-ct'));
  expect(printed).toMatch(/^proto=6 src=10\.10\.1\.\d+:\d+ dst=\S+ tx_bytes=\d+ rx_bytes=\d+ /m);
});

test('whatever program the chart starts is in the image of the exporter', async () => {
  const files = await filesOf(imageName('exporter'));
  const programs = [...(await renderText()).matchAll(/\/(app\/dist\/[\w-]+\.js)/g)].map(([, path]) => path);
  expect(new Set(programs).size).toBeGreaterThan(1);
  expect(programs.filter((path) => !files.has(path!))).toEqual([]);
});

test('every library that the collector may call can be loaded', async () => {
  const program = `
    const { open } = require('/app/node_modules/ffi-rs');
    for (const file of ['libnetfilter_conntrack.so.3', 'libbpf.so.1']) open({ library: file, path: file });
    console.log('loaded');`;
  expect(await runIn('collector', program)).toBe('loaded\n');
});

test(
  'nothing is left: no container, no mount',
  async () => {
    await daemons?.stop();
    daemons = undefined;
    expect(await runOne(podman('ps', '--all', '--quiet'))).toBe('');
    expect(
      readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .filter((line) => line.includes(STORAGE)),
    ).toEqual([]);
    expect(readdirSync(STORAGE).filter((name) => name.startsWith('base-'))).toEqual([]);
  },
  PROOF_LIMIT_MS,
);
