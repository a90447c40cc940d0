import { readdirSync, readFileSync } from 'node:fs';
import { join, normalize, relative } from 'node:path';
import { describe, expect, test } from '@jest/globals';

/**
 * The map of the house: which room may know which. Data flows one way, and so do imports. A room is a folder or a file under
 * `src`; the longest name that fits counts. `types` are rooms it may import types of: what it is fed, from the room before it.
 */
interface Room {
  readonly packages?: readonly string[];
  readonly rooms?: readonly string[];
  readonly types?: readonly string[];
  /** No clock, no log, no metrics, no I/O. */
  readonly pure?: true;
}

const EVERY_ROOM = ['*'];
/** What sinks are told, which the configuration has to know too. */
const SINK_SETTINGS = [
  'sinks/settings',
  'sinks/http-settings',
  'sinks/remote-write/settings',
  'sinks/http/settings',
  'sinks/file/settings',
  'sinks/stdout/settings',
];

const HOUSE: Readonly<Record<string, Readonly<Record<string, Room>>>> = {
  flow: { '': { packages: ['@bufbuild/protobuf'], rooms: EVERY_ROOM, pure: true } },
  daemon: {
    '': { packages: ['prom-client', '@grpc/grpc-js'], rooms: EVERY_ROOM },
  },
  collector: {
    'conntrack/record': { pure: true },
    'word-table': { pure: true },
    flags: { packages: ['@egressd/daemon'] },
    'conntrack/cilium/layout': { pure: true },
    'conntrack/cilium/clock': { pure: true },
    'conntrack/cilium/btf': { pure: true },
    'conntrack/cilium/endpoints': { rooms: ['word-table'], pure: true },
    'conntrack/cilium/decode': {
      rooms: ['conntrack/record', 'conntrack/cilium/layout', 'conntrack/cilium/endpoints'],
      types: ['conntrack/cilium/clock'],
      pure: true,
    },
    conntrack: {
      packages: ['ffi-rs', 'netlink', '@egressd/flow', '@egressd/daemon'],
      rooms: [
        'conntrack/record',
        'conntrack/cilium/layout',
        'conntrack/cilium/clock',
        'conntrack/cilium/btf',
        'conntrack/cilium/endpoints',
        'conntrack/cilium/decode',
      ],
    },
    'flow-table': { rooms: ['word-table', 'conntrack/record'], pure: true },
    reducer: {
      packages: ['@egressd/flow'],
      rooms: ['word-table', 'conntrack/record'],
      types: ['flow-table'],
      pure: true,
    },
    state: {
      packages: ['@egressd/flow', '@egressd/daemon', '@bufbuild/protobuf', 'ffi-rs', 'prom-client'],
      types: ['flow-table', 'reducer'],
    },
    stream: {
      packages: ['@egressd/flow', '@egressd/daemon', '@grpc/grpc-js', '@bufbuild/protobuf', 'prom-client'],
      types: ['reducer', 'state'],
    },
    'read-times': {},
    'hand-over': { packages: ['@egressd/daemon'], rooms: ['state'], types: ['flow-table', 'stream'] },
    init: { packages: ['@egressd/daemon'], rooms: ['conntrack'] },
    'dump-ct': { packages: ['@egressd/flow'], rooms: ['conntrack', 'conntrack/record'] },
    metrics: { packages: ['prom-client'], types: ['conntrack', 'flow-table', 'reducer'] },
    start: { packages: ['@egressd/daemon'], rooms: EVERY_ROOM },
    collector: { packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'], rooms: EVERY_ROOM },
    main: { packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'], rooms: EVERY_ROOM },
  },
  exporter: {
    flags: { packages: ['@egressd/daemon'] },
    'config/issues': { packages: ['zod', '@egressd/daemon'] },
    'config/yaml': { packages: ['yaml'], rooms: ['config/issues'] },
    config: {
      packages: ['zod', 'yaml', '@egressd/daemon', '@egressd/flow'],
      rooms: ['flags', ...SINK_SETTINGS, 'config/issues', 'config/yaml'],
    },
    receiver: {
      packages: ['@egressd/flow', '@egressd/daemon', '@grpc/grpc-js', '@bufbuild/protobuf', 'prom-client'],
      types: ['state'],
    },
    state: { types: ['receiver', 'aggregate'], pure: true },
    'state/file': {},
    'state/lock': {},
    'state/history': {
      packages: ['@egressd/flow', '@egressd/daemon', 'zod', 'prom-client'],
      rooms: ['state/file'],
      types: ['owners'],
    },
    // What it holds is fed to it by the rooms whose state it is, as plain columns.
    'state/checkpoint': {
      packages: ['@egressd/daemon', 'prom-client'],
      rooms: ['state', 'state/file'],
      types: ['aggregate', 'join', 'sinks'],
    },
    owners: { packages: ['@egressd/flow'], pure: true },
    inventory: {
      packages: ['@egressd/flow', '@egressd/daemon', 'zod', 'yaml', 'prom-client'],
      rooms: ['owners', 'config/issues', 'config/yaml'],
    },
    kube: {
      packages: ['@egressd/flow', '@egressd/daemon', '@kubernetes/client-node', 'prom-client'],
      rooms: ['owners'],
    },
    certificates: { packages: ['@egressd/daemon', 'pkijs', 'asn1js'], rooms: ['kube'] },
    'health/node-health': { types: ['receiver'], pure: true },
    health: {
      packages: ['@egressd/daemon', 'prom-client'],
      rooms: ['health/node-health'],
      types: ['receiver', 'kube'],
    },
    waiting: { packages: ['@egressd/flow'], types: ['receiver', 'owners', 'aggregate'], pure: true },
    'join/verdict': { pure: true },
    join: { packages: ['@egressd/flow'], rooms: ['join/verdict'], types: ['receiver', 'owners'], pure: true },
    aggregate: {
      packages: ['@egressd/flow'],
      rooms: ['join/verdict', 'aggregate/snapshot'],
      types: ['join'],
      pure: true,
    },
    'sinks/settings': { types: SINK_SETTINGS, pure: true },
    'sinks/remote-write/settings': { rooms: ['sinks/http-settings'], pure: true },
    'sinks/http/settings': { types: ['sinks/http-settings'], pure: true },
    'sinks/file/settings': { pure: true },
    'sinks/stdout/settings': { pure: true },
    'sinks/http-settings': { pure: true },
    sinks: {
      packages: ['@egressd/flow', '@egressd/daemon', 'undici', 'snappy', 'prom-client'],
      rooms: ['aggregate/snapshot', ...SINK_SETTINGS],
      types: ['aggregate'],
    },
    'aggregate/snapshot': { pure: true },
    web: {
      packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'],
      rooms: ['aggregate/snapshot'],
      types: ['aggregate'],
    },
    metrics: {
      packages: ['prom-client'],
      rooms: ['join/verdict', 'waiting'],
      types: ['join', 'aggregate', 'owners', 'receiver'],
    },
    'check-install/reading': { pure: true },
    'check-install': { packages: ['@egressd/daemon'], rooms: ['check-install/reading'] },
    exporter: { packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'], rooms: EVERY_ROOM },
    start: { packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'], rooms: EVERY_ROOM },
    main: { packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'], rooms: EVERY_ROOM },
  },
};

const PACKAGES = join(import.meta.dirname, '../..');

interface Import {
  readonly file: string;
  readonly from: string;
  readonly typeOnly: boolean;
}

function sources(name: string): string[] {
  return readdirSync(join(PACKAGES, name, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !/\.test\.ts$|(^|\/)gen\//.test(file),
  );
}

function importsOf(name: string, file: string): Import[] {
  const text = readFileSync(join(PACKAGES, name, 'src', file), 'utf8');
  const statements = text.matchAll(/^(?:import|export)\s+(type\s)?(?:([\w*{}\s,]+?)\s+from\s+)?'([^']+)'/gm);
  return [...statements].map(([, type, names = '', from]) => {
    const listed =
      /\{([^}]*)\}/
        .exec(names)?.[1]
        ?.split(',')
        .filter((part) => part.trim() !== '') ?? [];
    const allTypes =
      listed.length > 0 &&
      !/^\s*\w/.test(names.replace(/^type\b/, '')) &&
      listed.every((part) => part.trim().startsWith('type '));
    return { file, from: from!, typeOnly: type !== undefined || allTypes };
  });
}

/** The room of a file: the longest name in the map that it lies under. */
function roomOf(map: Readonly<Record<string, Room>>, file: string): string | undefined {
  const path = file.replace(/\.ts$/, '');
  const fits = Object.keys(map).filter((room) => room === '' || path === room || path.startsWith(`${room}/`));
  return fits.sort((a, b) => b.length - a.length)[0];
}

/** What is wrong with an import, or undefined. */
function wrong(
  name: string,
  map: Readonly<Record<string, Room>>,
  room: string,
  { file, from, typeOnly }: Import,
): string | undefined {
  const { packages = [], rooms = [], types = [], pure } = map[room]!;
  if (from.startsWith('node:')) return pure ? `${file} is pure and imports ${from}` : undefined;
  if (!from.startsWith('.')) {
    const allowed = packages.some((known) => from === known || from.startsWith(`${known}/`));
    return allowed ? undefined : `${file} imports ${from}`;
  }
  const target = roomOf(map, normalize(join(file, '..', from)));
  if (target === undefined) return `${file} imports ${from}, which is in no room`;
  if (target === room || rooms.includes('*') || rooms.includes(target)) return undefined;
  if (typeOnly && types.some((known) => target === known || target.startsWith(`${known}/`))) return undefined;
  return `${file} imports ${typeOnly ? 'types of' : ''} ${target} (${name})`;
}

describe.each(Object.entries(HOUSE))('%s', (name, map) => {
  const files = sources(name);

  test('every file has a room', () => {
    expect(files.filter((file) => roomOf(map, file) === undefined)).toEqual([]);
  });

  test('every import follows the map', () => {
    const found = files.flatMap((file) =>
      importsOf(name, file).map((one) => wrong(name, map, roomOf(map, file) ?? '', one)),
    );
    expect(found.filter((what) => what !== undefined)).toEqual([]);
  });

  test('pure rooms ask no clock and no process', () => {
    const impure = files.filter((file) => {
      if (map[roomOf(map, file) ?? '']?.pure !== true) return false;
      return /\b(Date\.now|new Date\(\)|performance\.|console\.|process\.|setTimeout|setInterval|Math\.random)/.test(
        readFileSync(join(PACKAGES, name, 'src', file), 'utf8'),
      );
    });
    expect(impure).toEqual([]);
  });
});

test('few files of the collector call foreign functions', () => {
  const callers = sources('collector').filter((file) =>
    importsOf('collector', file).some(({ from }) => from === 'ffi-rs'),
  );
  expect(callers).toEqual([
    'conntrack/ffi-bpf.ts',
    'conntrack/ffi-mount.ts',
    'conntrack/ffi-native.ts',
    'conntrack/ffi.ts',
    'state/flock.ts',
  ]);
});

test('no room has a name that says nothing', () => {
  const folders = Object.keys(HOUSE)
    .flatMap((name) => sources(name).map((file) => relative('.', join(name, file)).split('/')))
    .flat();
  expect(folders.filter((folder) => /^(utils?|helpers?|common|core|types)(\.ts)?$/.test(folder))).toEqual([]);
});

test('the map itself is held: an import against it is found', () => {
  const map = { a: { rooms: ['b'] }, b: { types: ['a'], pure: true as const } };
  const check = (room: string, from: string, typeOnly = false) =>
    wrong('x', map, room, { file: `${room}/file.ts`, from, typeOnly });
  expect(check('a', '../b/x.ts')).toBeUndefined();
  expect(check('b', '../a/x.ts', true)).toBeUndefined();
  expect(check('b', '../a/x.ts')).toBeDefined();
  expect(check('b', 'node:fs')).toBeDefined();
  expect(check('a', 'left-pad')).toBeDefined();
});
