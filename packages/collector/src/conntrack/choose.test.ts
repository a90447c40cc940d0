import { createLog } from '@egressd/daemon/log';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { chooseSource } from './choose.ts';
import type { ConntrackSource, ReadReport } from './source.ts';
import { SourceError, type SourceErrorCode } from './source-error.ts';

const REPORT: ReadReport = {
  complete: true,
  startedNs: 0n,
  entries: 0,
  skipped: { no_counters: 0, undecodable: 0 },
  interrupted: 0,
  overrun: 0,
  durationMs: 0,
};

type Name = ConntrackSource['name'];

/** What the sources do when they are asked. */
let world: { hasMaps: boolean; wasCounting: boolean } & Record<Name, SourceErrorCode | 'works'>;
let now = 0;
let said: string[] = [];
let open: string[] = [];
let forced: boolean | undefined;

beforeEach(() => {
  world = { hasMaps: true, wasCounting: false, cilium: 'works', ebpf: 'works', netfilter: 'works' };
  now = 0;
  said = [];
  open = [];
});

function source(name: Name): ConntrackSource {
  if (world[name] !== 'works') throw new SourceError(world[name], `${name}: ${world[name]}`);
  open.push(name);
  return {
    name,
    async read() {
      if (world[name] !== 'works') throw new SourceError(world[name], `${name}: ${world[name]}`);
      return REPORT;
    },
    sysctls: () => ({ accounting: undefined, timestamps: undefined, events: undefined }),
    nodeAddresses: async () => [],
    async close() {
      open.splice(open.indexOf(name), 1);
    },
    ...(name === 'netfilter' ? { subscribe: () => said.push('subscribed') } : {}),
  };
}

const choose = (mode?: Name) =>
  chooseSource({
    mode,
    openNetfilter: async () => source('netfilter'),
    openCilium: async (isForced) => {
      forced = isForced;
      return source('cilium');
    },
    hasCiliumMaps: () => world.hasMaps,
    openEbpf: async () => source('ebpf'),
    hasEbpfMaps: () => world.wasCounting,
    log: createLog(
      'info',
      (line) => said.push(line.replace(/^time=\S+ level=/, '').trim()),
      () => 0,
    ),
    now: () => now,
  });
const read = (chosen: ConntrackSource) => chosen.read(() => {});

describe('at the start', () => {
  test('nothing of Cilium: netfilter, in one line, and nothing is missing', async () => {
    world.hasMaps = false;
    const chosen = await choose();
    expect(chosen.name).toBe('netfilter');
    expect(said).toEqual([
      `info msg="source of connections" chosen=netfilter seen="no maps of Cilium's" why="it is the only one"`,
    ]);
    expect(chosen.unusable).toEqual([]);
  });

  test('Cilium is active: its maps', async () => {
    const chosen = await choose();
    expect(chosen.name).toBe('cilium');
    expect(said).toEqual([expect.stringMatching(/^info .* chosen=cilium /)]);
    expect([forced, open]).toEqual([false, ['cilium']]);
  });

  test.each<[SourceErrorCode, Name]>([
    ['directions_summed', 'ebpf'],
    ['counters_off', 'ebpf'],
    ['sizes', 'ebpf'],
    ['no_endpoints', 'ebpf'],
    ['stale', 'netfilter'],
    ['permission', 'netfilter'],
  ])('maps that are %s: said with what to do, and %s', async (code, other) => {
    world.cilium = code;
    const chosen = await choose();
    expect(chosen.name).toBe(other);
    expect(chosen.unusable).toEqual([{ source: 'cilium', reason: code }]);
    expect(said).toEqual([
      expect.stringMatching(`^warn .* reason=${code} error="cilium: ${code}"$`),
      expect.stringContaining(` chosen=${other} `),
    ]);
  });

  test('Cilium that is not to be trusted, and no eBPF of ours: both said, and netfilter', async () => {
    Object.assign(world, { cilium: 'directions_summed', ebpf: 'mount' });
    const chosen = await choose();
    expect(chosen.name).toBe('netfilter');
    expect(chosen.unusable).toEqual([
      { source: 'cilium', reason: 'directions_summed' },
      { source: 'ebpf', reason: 'mount' },
    ]);
    expect(said).toContainEqual(
      expect.stringMatching(/^warn msg="cannot count by eBPF" reason=mount error="ebpf: mount"/),
    );
  });

  test('a collector before this one counted by eBPF: so does this one', async () => {
    Object.assign(world, { hasMaps: false, wasCounting: true });
    expect((await choose()).name).toBe('ebpf');
    world.hasMaps = true;
    expect((await choose()).name).toBe('cilium');
  });

  test('eBPF that is asked for and cannot be: why, and netfilter', async () => {
    expect((await choose('ebpf')).name).toBe('ebpf');
    world.ebpf = 'permission';
    const chosen = await choose('ebpf');
    expect([chosen.name, chosen.unusable]).toEqual(['netfilter', [{ source: 'ebpf', reason: 'permission' }]]);
  });

  test('asked for: no other is looked at', async () => {
    expect((await choose('netfilter')).name).toBe('netfilter');
    expect((await choose('cilium')).name).toBe('cilium');
    expect(forced).toBe(true);
  });

  test('asked for without the right to: an error', async () => {
    world.cilium = 'permission';
    await expect(choose('cilium')).rejects.toMatchObject({ code: 'permission' });
  });

  test('none can be read: the error of netfilter', async () => {
    Object.assign(world, { hasMaps: false, netfilter: 'permission' });
    await expect(choose()).rejects.toMatchObject({ code: 'permission' });
  });
});

describe('later', () => {
  test('Cilium comes: it is used from then on, and the other closed', async () => {
    world.hasMaps = false;
    const chosen = await choose();
    await read(chosen);
    world.hasMaps = true;
    await read(chosen);
    expect(chosen.name).toBe('netfilter');
    now += 60_000;
    await read(chosen);
    expect(chosen.name).toBe('cilium');
    expect(open).toEqual(['cilium']);
  });

  test('Cilium is upgraded to one that adds both directions: eBPF at once', async () => {
    const chosen = await choose();
    world.cilium = 'directions_summed';
    await read(chosen);
    expect([chosen.name, open]).toEqual(['ebpf', ['ebpf']]);
    expect(chosen.unusable).toEqual([{ source: 'cilium', reason: 'directions_summed' }]);
    now += 599_999;
    world.cilium = 'works';
    await read(chosen);
    expect(chosen.name).toBe('ebpf');
    now += 1;
    await read(chosen);
    expect(chosen.name).toBe('cilium');
  });

  test('traffic passes netfilter by: eBPF from the next read on, tried again where it cannot', async () => {
    world.hasMaps = false;
    const chosen = await choose();
    world.ebpf = 'system';
    chosen.passesNetfilterBy('bridge');
    await read(chosen);
    expect([chosen.name, chosen.unusable]).toEqual(['netfilter', [{ source: 'ebpf', reason: 'system' }]]);
    world.ebpf = 'works';
    now += 59_999;
    await read(chosen);
    expect(chosen.name).toBe('netfilter');
    now += 1;
    await read(chosen);
    expect([chosen.name, open, chosen.unusable]).toEqual(['ebpf', ['ebpf'], []]);
  });

  test('what eBPF counts into is removed: netfilter after a while', async () => {
    Object.assign(world, { hasMaps: false, wasCounting: true });
    const chosen = await choose();
    world.ebpf = 'absent';
    await expect(read(chosen)).rejects.toMatchObject({ code: 'absent' });
    now += 30_000;
    await read(chosen);
    expect([chosen.name, open]).toEqual(['netfilter', ['netfilter']]);
  });

  test('asked for netfilter: nothing changes that', async () => {
    const chosen = await choose('netfilter');
    chosen.passesNetfilterBy('bridge');
    await read(chosen);
    expect(chosen.name).toBe('netfilter');
  });

  test('maps that vanish have a while to come back', async () => {
    const chosen = await choose();
    world.cilium = 'absent';
    await expect(read(chosen)).rejects.toMatchObject({ code: 'absent' });
    now += 29_999;
    await expect(read(chosen)).rejects.toMatchObject({ code: 'absent' });
    world.cilium = 'works';
    await read(chosen);
    expect(chosen.name).toBe('cilium');
    world.cilium = 'absent';
    await expect(read(chosen)).rejects.toMatchObject({ code: 'absent' });
    now += 30_000;
    await read(chosen);
    expect(chosen.name).toBe('netfilter');
  });

  test('asked for: it is waited for, and every read says why', async () => {
    world.hasMaps = false;
    const chosen = await choose('cilium');
    expect(chosen.unusable).toEqual([{ source: 'cilium', reason: 'absent' }]);
    await expect(read(chosen)).rejects.toMatchObject({ code: 'absent' });
    world.hasMaps = true;
    await read(chosen);
    expect(open).toEqual(['cilium']);
  });

  test('a subscriber gets the DESTROY events of each source that has them', async () => {
    const chosen = await choose();
    chosen.subscribe({ onDestroy() {}, onEventLoss() {} });
    expect(chosen.deliversDestroyEvents).toBe(false);
    world.cilium = 'stale';
    await read(chosen);
    expect(chosen.deliversDestroyEvents).toBe(true);
    expect(said.filter((line) => line === 'subscribed')).toHaveLength(1);
  });
});
