import { fileURLToPath } from 'node:url';
import { type BpfFolder, openBpfFolder } from '@egressd/world/cilium/bpf-maps';
import { CiliumNode, type LabClock, lifetimeIn, manyKeys, type RawEntry } from '@egressd/world/cilium/cilium-node';
import {
  type DirectedEntry,
  directedBytes,
  summedBytes,
  TUPLE_F,
  type Tuple,
  tupleBytes,
} from '@egressd/world/cilium/entries';
import { Coprocess } from '@egressd/world/coprocess';
import { NODE } from '@egressd/world/daemons/daemon-command';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FlowTable } from '../../flow-table/flow-table.ts';
import { Reducer } from '../../reducer/reducer.ts';
import type { ConnectionBlock } from '../record.ts';
import { recordFields } from '../record-fields.ts';
import type { ConntrackSource } from '../source.ts';
import { openCiliumSource } from './source.ts';

const POD = '10.1.0.1';
const REMOTE = '203.0.113.7';
const HOUR = 3600;
const CYCLE_PROCESS = fileURLToPath(new URL('../../testing/cycle-process.ts', import.meta.url));

let folder: BpfFolder;
const sources: ConntrackSource[] = [];

beforeEach(async () => {
  folder = await openBpfFolder();
});

afterEach(async () => {
  for (const source of sources.splice(0)) await source.close();
  await folder.close();
});

async function open(options: Parameters<typeof openCiliumSource>[0] = {}): Promise<ConntrackSource> {
  const source = await openCiliumSource({ folder: folder.globals, ...options });
  sources.push(source);
  return source;
}

/** The nth connection of a pod with the world, and what both have sent: n packets each way. */
function entry(n: number, part: Partial<Tuple & DirectedEntry> = {}, clock: LabClock = 'jiffies'): RawEntry {
  const tuple = {
    source: POD,
    sourcePort: 1024 + (n % 60_000),
    destination: REMOTE,
    destinationPort: 1 + Math.floor(n / 60_000),
  };
  const value = { rxPackets: n, rxBytes: 1014 * n, txPackets: n, txBytes: 114 * n, lifetime: lifetimeIn(clock, HOUR) };
  return [tupleBytes({ ...tuple, protocol: 6, flags: 0, ...part }), directedBytes({ ...value, ...part })];
}

/** One that only an active Cilium has: UDP's live for a minute. */
const fresh = (clock: LabClock = 'jiffies') => entry(1, { protocol: 17, lifetime: lifetimeIn(clock, 50) });

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** What a read delivers: by port of the source and protocol, the bytes of the original direction. */
async function readAll(source: ConntrackSource) {
  const bytes = new Map<string, number>();
  let records = 0;
  const report = await source.read((block: ConnectionBlock) => {
    records += block.count;
    for (let i = 0; i < block.count; i++) {
      const { protocol, originalPorts, originalDestination, originalBytes } = recordFields(block, i);
      bytes.set(`${protocol} ${originalDestination} ${originalPorts.join()}`, Number(originalBytes));
    }
  });
  return { report, bytes, records };
}

describe.each<LabClock>(['jiffies', 'ktime'])('maps with a counter a direction, lifetimes in %s', (clock) => {
  test('every entry of all four maps, and how long each has left', async () => {
    const node = new CiliumNode(folder, { pods: [POD, 'fd00::1'] });
    const six = { source: 'fd00::1', destination: '2001:db8::7' };
    const entries = range(1, 1001).map((n) => entry(n, {}, clock));
    node.put([...entries, fresh(clock), entry(5, six, clock), entry(6, { ...six, protocol: 17 }, clock)]);
    const source = await open();
    const lefts: (number | undefined)[] = [];
    const report = await source.read((block) => {
      for (let i = 0; i < block.count; i++) lefts.push(recordFields(block, i).timeout);
    });
    expect(report).toMatchObject({ complete: true, entries: 1003, skipped: { no_counters: 0, undecodable: 0 } });
    expect(lefts.filter((left) => left !== undefined && left > HOUR - 60 && left <= HOUR)).toHaveLength(1002);
    const { bytes } = await readAll(source);
    expect(bytes.get(`6 ${REMOTE} 1524,1`)).toBe(500 * 100);
    expect(bytes.get('17 2001:db8::7 1030,1')).toBe(600);
  });
});

test.each<[string, Parameters<typeof openCiliumSource>[0]]>([
  ['batches with room for two entries', { batchEntries: 2 }],
  ['key by key', { batches: false }],
])('%s bring the same', async (_, options) => {
  const node = new CiliumNode(folder, { pods: [POD] });
  node.put([...range(1, 2001).map((n) => entry(n)), fresh()]);
  const [whole, parts] = [await readAll(await open()), await readAll(await open(options))];
  expect(parts.report).toMatchObject({ complete: true, entries: 2001 });
  expect(parts.bytes).toEqual(whole.bytes);
});

test("maps of remote clusters are read too, and their connections kept apart from this one's", async () => {
  const node = new CiliumNode(folder, { pods: [POD] });
  node.addMap('cilium_per_cluster_ct_tcp4_3', 14);
  node.putInto('cilium_per_cluster_ct_tcp4_3', [entry(7)]);
  node.put([entry(7), fresh()]);
  const zones: number[] = [];
  await (await open()).read((block) => {
    for (let i = 0; i < block.count; i++) zones.push(recordFields(block, i).zone);
  });
  expect(zones.toSorted()).toEqual([0, 0, 3]);
});

test('250,000 entries, read and reduced: every one once, and what moved to the byte', async () => {
  const node = new CiliumNode(folder, { pods: [POD], maxEntries: 524_288 });
  const keys = manyKeys(250_000, [POD], [REMOTE]);
  const put = (n: number) => {
    const counters = { rxPackets: n, rxBytes: 1014 * n, txPackets: n, txBytes: 114 * n };
    node.putMany(keys, directedBytes({ ...counters, lifetime: lifetimeIn('jiffies', HOUR) }));
  };
  put(1);
  // A process of its own: inside of a test the flow table takes many times as long.
  const turns = new Coprocess(NODE[0]!, [...NODE.slice(1), CYCLE_PROCESS, folder.globals]);
  try {
    const [, , moved, rows] = await turns.ask();
    expect([moved, rows]).toEqual([0, 0]);
    put(3);
    const [, , movedNow, rowsNow, , sent] = await turns.ask();
    expect([movedNow, rowsNow, sent]).toEqual([250_000, 1, 250_000 * 200]);
  } finally {
    await turns.end();
  }
});

describe('a reading that does not come to its end', () => {
  const startedWith = async (entries: number) => {
    const node = new CiliumNode(folder, { pods: [POD], maxEntries: 100_000 });
    node.put([...range(1, entries).map((n) => entry(n)), fresh()]);
    return open({ batchEntries: 64 });
  };

  test('abandoned in its midst, while the kernel is at the next batch: the next one sees all', async () => {
    const source = await startedWith(5000);
    let blocks = 0;
    const givenUp = source.read(() => {
      if (++blocks === 3) throw new Error('no more');
    });
    await expect(givenUp).rejects.toThrow('no more');
    expect((await readAll(source)).report).toMatchObject({ complete: true, entries: 5000 });
  });

  test('closed meanwhile: it ends first, and in full', async () => {
    const source = await startedWith(5000);
    const reading = readAll(source);
    await source.close();
    expect((await reading).report).toMatchObject({ complete: true, entries: 5000 });
    sources.splice(0);
  });
});

describe('entries that go while they are read', () => {
  test.each<[string, Parameters<typeof openCiliumSource>[0]]>([
    ['in batches', { batchEntries: 64 }],
    ['key by key', { batches: false }],
  ])('%s: those that stay are all there', async (_, options) => {
    const node = new CiliumNode(folder, { pods: [POD], maxEntries: 100_000 });
    const stays = range(0, 5000).map((n) => entry(n + 1));
    const goes = range(30_000, 40_000).map((n) => entry(n));
    node.put([...stays, ...goes, fresh()]);
    const source = await open(options);
    let left = goes.length;
    // Batches are read by another thread while this one deletes; single keys between two deletions.
    const seen = new Set<string>();
    const reading = source.read((block) => {
      for (let i = 0; i < block.count; i++) seen.add(recordFields(block, i).originalPorts.join());
    });
    while (left > 0) {
      for (let i = 0; i < 100; i++) node.remove(goes[--left]![0]);
      await new Promise(setImmediate);
    }
    const report = await reading;
    expect(report.complete).toBe(true);
    expect(stays.filter(([key]) => !seen.has([key.readUInt16BE(10), key.readUInt16BE(8)].join()))).toEqual([]);
  });

  test('a full map that evicts the oldest for the newest', async () => {
    const node = new CiliumNode(folder, { pods: [POD], maxEntries: 2000 });
    node.put([...range(1, 1500).map((n) => entry(n)), fresh()]);
    const source = await open();
    const reading = readAll(source);
    for (let n = 2000; n < 12_000; n += 500) {
      node.put(range(n, n + 500).map((each) => entry(each)));
      await new Promise(setImmediate);
    }
    await reading;
    const { report, records } = await readAll(source);
    expect(report).toMatchObject({ complete: true, skipped: { undecodable: 0 } });
    expect(records).toBeGreaterThan(500);
    expect(records).toBeLessThanOrEqual(2000 + 1);
  });
});

describe('maps that go', () => {
  test('one map: the read is not whole, the next is', async () => {
    const node = new CiliumNode(folder, { pods: [POD] });
    node.put([entry(1), fresh()]);
    const source = await open();
    expect((await readAll(source)).report.complete).toBe(true);
    await folder.unpin('cilium_ct4_global');
    expect((await readAll(source)).report).toMatchObject({ complete: false, entries: 1 });
    expect((await readAll(source)).report.complete).toBe(true);
  });

  test('another map in its place is read', async () => {
    const node = new CiliumNode(folder, { pods: [POD] });
    node.put([entry(1), fresh()]);
    const source = await open();
    await readAll(source);
    await folder.unpin('cilium_ct4_global');
    node.addMap('cilium_ct4_global', 14);
    node.put([entry(2), entry(3)]);
    expect((await readAll(source)).bytes).toEqual(
      new Map([[`17 ${REMOTE} 1025,1`, 100], ...[2, 3].map((n) => [`6 ${REMOTE} ${1024 + n},1`, 100 * n] as const)]),
    );
  });

  test('all of them: the read says so, and goes on when they are back', async () => {
    const node = new CiliumNode(folder, { pods: [POD] });
    node.put([fresh()]);
    const source = await open();
    await readAll(source);
    const names = ['cilium_ct4_global', 'cilium_ct_any4_global', 'cilium_ct6_global', 'cilium_ct_any6_global'];
    for (const name of names) await folder.unpin(name);
    await expect(readAll(source)).rejects.toMatchObject({ code: 'absent' });
    node.addMap('cilium_ct_any4_global', 14);
    node.put([fresh()]);
    expect((await readAll(source)).report.entries).toBe(1);
  });
});

describe('maps that cannot be read are refused, each for its reason', () => {
  const summed = (part: Partial<Tuple> = {}, counted = { packets: 9, bytes: 9000 }): RawEntry => [
    entry(1, { ...part, protocol: 17 })[0],
    summedBytes({ ...counted, lifetime: lifetimeIn('jiffies', 50) }),
  ];

  test.each<[string, string, (node: CiliumNode) => void]>([
    [
      'both directions together',
      'directions_summed',
      (node) => node.put([summed({ source: REMOTE, destination: POD, flags: TUPLE_F.in })]),
    ],
    [
      'counting is off',
      'counters_off',
      (node) => node.put([summed({}, { packets: 0, bytes: 0 }), summed({ flags: 1 }, { packets: 0, bytes: 0 })]),
    ],
    [
      'an upgrade in between',
      'directions_summed',
      (node) =>
        node.put([
          ...range(1, 1000).map((n) => entry(n)),
          ...range(1, 10).map((sourcePort) => summed({ sourcePort, flags: 1 })),
        ]),
    ],
    ['no entries', 'undetermined', () => {}],
    [
      'entries that show nothing',
      'undetermined',
      (node) => node.put([entry(1, { protocol: 17, rxPackets: 0, rxBytes: 0 })]),
    ],
    ['numbers of no known kind', 'layout_unknown', (node) => node.put([entry(1, { rxBytes: 5 })])],
    ['left from a removed Cilium', 'stale', (node) => node.put(range(1, 50).map((n) => entry(n)))],
    [
      'left long ago',
      'stale',
      (node) => node.put(range(1, 50).map((n) => entry(n, { lifetime: lifetimeIn('jiffies', -HOUR) }))),
    ],
  ])('%s: %s', async (_, code, fill) => {
    fill(new CiliumNode(folder, { pods: [POD] }));
    await expect(open()).rejects.toMatchObject({ code });
  });

  test('maps of unknown sizes', async () => {
    new CiliumNode(folder, { valueBytes: 64 });
    await expect(open()).rejects.toMatchObject({ code: 'sizes', message: expect.stringContaining('values of 64') });
  });

  test('without the map of endpoints', async () => {
    new CiliumNode(folder).put([fresh()]);
    await folder.unpin('cilium_lxc');
    await expect(open()).rejects.toMatchObject({ code: 'no_endpoints' });
  });

  test('no maps, no folder', async () => {
    await expect(open()).rejects.toMatchObject({ code: 'absent' });
    await expect(open({ folder: '/nowhere' })).rejects.toMatchObject({ code: 'absent' });
  });

  test('Cilium is upgraded while its maps are read', async () => {
    const node = new CiliumNode(folder, { pods: [POD] });
    node.put([...range(1, 1000).map((n) => entry(n)), fresh()]);
    const source = await open();
    await readAll(source);
    node.put(range(2000, 2010).map((sourcePort) => summed({ sourcePort, source: REMOTE, destination: POD, flags: 1 })));
    await expect(readAll(source)).rejects.toMatchObject({ code: 'directions_summed' });
    await expect(readAll(source)).rejects.toMatchObject({ code: 'directions_summed' });
  });

  test('an active Cilium though nothing but TCP shows it', async () => {
    const node = new CiliumNode(folder, { pods: [POD] });
    node.put([entry(1)]);
    let n = 2;
    const timer = setInterval(() => node.put([entry(n++)]), 50);
    const source = await open().finally(() => clearInterval(timer));
    expect((await readAll(source)).records).toBeGreaterThan(1);
  });
});

test('forced: waits for entries that show the layout, and takes what is left from a removed one', async () => {
  const node = new CiliumNode(folder, { pods: [POD] });
  const source = await open({ forced: true });
  expect((await readAll(source)).report).toMatchObject({ complete: true, entries: 0 });
  node.put([entry(1, { lifetime: lifetimeIn('jiffies', -10 * HOUR) })]);
  expect((await readAll(source)).report).toMatchObject({ complete: true, entries: 1 });
});

test('a recreated entry counts in full, and is not counted as a decrease of counters', async () => {
  const node = new CiliumNode(folder, { pods: [POD] });
  node.put([entry(100, { sourcePort: 5 }), fresh()]);
  const source = await open();
  const table = new FlowTable(1, 0n);
  const reducer = new Reducer({ maxPairs: 1024, seed: 1, originalDestination: false });
  const turn = async () => table.endRead((await source.read((block) => table.apply(block, reducer))).complete);
  await turn();
  node.put([entry(3, { sourcePort: 5 })]);
  expect(await turn()).toBe(1);
  expect([table.recreated, table.counterDecreases, reducer.freeze().txBytes[0]]).toEqual([1, 0, 300]);
});
