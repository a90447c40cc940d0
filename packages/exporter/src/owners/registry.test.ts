import { addressKey, parseAddress } from '@egressd/flow/address';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MAX_SPANS, ROUNDING_MS } from './ip-history.ts';
import type { OwnersState, PodRecord } from './owner-source.ts';
import type { NodeRecord } from './owners.ts';
import {
  EVICT_AFTER_MS,
  MAX_CHANGED_ADDRESSES,
  MAX_KERNEL_ADDRESS_NODES,
  MAX_UNDECLARED_ADDRESSES,
  OwnerRegistry,
} from './registry.ts';

const address = (text: string): Uint8Array => parseAddress(text)!;

function node(name: string, addresses: string[] = [], zone = `zone-of-${name}`): NodeRecord {
  return { name, zone, region: 'r', addresses: addresses.map(address) };
}

function pod(name: string, on: string, addresses: string[], more: Partial<PodRecord> = {}): PodRecord {
  const bytes = addresses.map(address);
  return { key: name, namespace: 'ns', name, node: on, addresses: bytes, hostNetwork: false, ...more };
}

const state = (nodes: NodeRecord[], pods: PodRecord[] = []): OwnersState => ({ nodes, pods, clusterRanges: [] });

/** `name` of the pod or node, `none`, or `a|b` where it is not known which. */
function who(owners: OwnerRegistry, ip: string, fromMs = 0, toMs = fromMs + 1, seenBy?: string): string {
  const found = owners.ownerBetween(address(ip), 0, fromMs, toMs, seenBy);
  if (found.known === 'none') return 'none';
  const all = found.known === 'owner' ? [found.owner] : found.owners;
  return all
    .map((owner) => owner.pod || owner.node)
    .sort()
    .join('|');
}

function filled(first: OwnersState, atMs = 1000): OwnerRegistry {
  const owners = new OwnerRegistry(['file']);
  owners.source('file').replace(first, atMs);
  return owners;
}

describe('one whole state', () => {
  const owners = filled(
    state(
      [node('n1', ['192.168.0.1']), node('n2', ['192.168.0.2', 'fd00::2'])],
      [
        pod('a', 'n1', ['10.0.0.1', 'fd01::1']),
        pod('host', 'n1', ['192.168.0.1'], { hostNetwork: true }),
        pod('thief', 'n2', ['192.168.0.1']),
        pod('twin-1', 'n1', ['10.0.0.9']),
        pod('twin-2', 'n2', ['10.0.0.9']),
        pod('stray', 'gone', ['10.0.0.5']),
      ],
    ),
  );

  test.each<[string, string, string]>([
    ['a pod', '10.0.0.1', 'a'],
    ['its other address', 'fd01::1', 'a'],
    ['a node', '192.168.0.2', 'n2'],
    ['its other address', 'fd00::2', 'n2'],
    ['of the node, whatever a pod on the host network or any other says', '192.168.0.1', 'n1'],
    ['two pods say it is theirs', '10.0.0.9', 'twin-1|twin-2'],
    ['no owner', '10.0.0.2', 'none'],
    ['a pod of a node that is not known', '10.0.0.5', 'stray'],
  ])('%s: %s', (_, ip, expected) => {
    expect(who(owners, ip)).toBe(expected);
  });

  test('a pod has the zone and region of its node, unknown ones are empty', () => {
    const of = (ip: string) => owners.ownerBetween(address(ip), 0, 0, 1);
    const owner = { kind: 'pod', namespace: 'ns', pod: 'a', node: 'n1', zone: 'zone-of-n1', region: 'r' };
    expect(of('10.0.0.1')).toEqual({ known: 'owner', owner });
    expect(of('10.0.0.5')).toMatchObject({ owner: { node: 'gone', zone: '', region: '' } });
    expect(of('192.168.0.2')).toMatchObject({ owner: { kind: 'node', namespace: '', pod: '', node: 'n2' } });
  });

  test('the same owner is the same object', () => {
    const of = (ip: string) => owners.ownerBetween(address(ip), 0, 0, 1);
    expect(of('10.0.0.1')).toBe(of('fd01::1'));
  });

  test('is known for the time before as well', () => {
    expect(who(owners, '10.0.0.1', -5000)).toBe('a');
  });

  test('counts', () => {
    expect(owners.counts).toEqual({ nodes: 2, pods: 6, addresses: 7 });
    expect(owners.node('n2')?.zone).toBe('zone-of-n2');
    expect(owners.node('gone')).toBeUndefined();
  });
});

test('synced once every source has delivered its first state', () => {
  const owners = new OwnerRegistry(['file', 'api']);
  owners.source('file').replace(state([]), 0);
  expect(owners.synced).toBe(false);
  owners.source('api').replace(state([]), 0);
  expect(owners.synced).toBe(true);
  expect(new OwnerRegistry([]).synced).toBe(true);
  expect(() => owners.source('other')).toThrow('BUG');
});

describe('over time', () => {
  const start = () => filled(state([node('n1'), node('n2')], [pod('a', 'n1', ['10.0.0.1'])]), 1000);

  test('who is missing in the next state is gone, and its past is kept', () => {
    const owners = start();
    owners.source('file').replace(state([node('n1')], [pod('b', 'n1', ['10.0.0.1'])]), 2000);
    expect(who(owners, '10.0.0.1', 1990, 2000)).toBe('a');
    expect(who(owners, '10.0.0.1', 2000, 2010)).toBe('b');
    expect(who(owners, '10.0.0.1', 1999, 2001)).toBe('a|b');
    expect(owners.node('n2')).toBeUndefined();
  });

  test('who came later is not known for the time before', () => {
    const owners = start();
    owners.source('file').upsertPod(pod('b', 'n1', ['10.0.0.2']), 3000);
    expect(who(owners, '10.0.0.2', 2000, 3000)).toBe('none');
    expect(who(owners, '10.0.0.2', 2000, 3001)).toBe('b');
  });

  test('a source that knows since when says so', () => {
    const owners = filled(state([node('n1')], [pod('a', 'n1', ['10.0.0.1'], { fromMs: 500 })]), 1000);
    expect(who(owners, '10.0.0.1', 499)).toBe('none');
    expect(who(owners, '10.0.0.1', 500)).toBe('a');
  });

  test('a delete that was missed ends when the next one has the address', () => {
    const owners = start();
    owners.source('file').upsertPod(pod('b', 'n2', ['10.0.0.1']), 2000);
    expect(who(owners, '10.0.0.1', 1999)).toBe('a');
    expect(who(owners, '10.0.0.1', 2000)).toBe('b');
  });

  test('a pod that runs is not taken over by one of another node', () => {
    const owners = filled(state([node('n1'), node('n2')], [pod('a', 'n1', ['10.0.0.1'], { running: true })]), 1000);
    const file = owners.source('file');
    file.upsertPod(pod('b', 'n2', ['10.0.0.1'], { running: true }), 5000);
    expect([4999, 5000].map((at) => who(owners, '10.0.0.1', at))).toEqual(['a', 'a|b']);
    file.upsertPod(pod('a', 'n1', ['10.0.0.1']), 6000);
    expect(who(owners, '10.0.0.1', 7000)).toBe('b');
    file.upsertPod(pod('c', 'n2', ['10.0.0.1'], { running: true }), 9000);
    expect(who(owners, '10.0.0.1', 9000)).toBe('c');
  });

  test('a finished pod and a gap: no owner in between', () => {
    const owners = start();
    owners.source('file').endPod('a', 2000);
    owners.source('file').endPod('a', 2500);
    owners.source('file').upsertPod(pod('b', 'n1', ['10.0.0.1']), 3000);
    expect([1999, 2000, 2999, 3000].map((at) => who(owners, '10.0.0.1', at))).toEqual(['a', 'none', 'none', 'b']);
  });

  test.each<[string, number, number, number, boolean]>([
    ['it has it still', 1000, 1500, 0, false],
    ['it ended within', 1500, 2500, 0, true],
    ['another has it since', 1500, 3500, 3000, false],
    ['another comes later', 1500, 2500, 3000, true],
    ['another has ended too', 1500, 5000, 3000, true],
  ])('whether the last owner of a time had it to its end: %s', (_, fromMs, toMs, nextMs, ended) => {
    const owners = start();
    owners.source('file').endPod('a', 2000);
    if (nextMs > 0) owners.source('file').upsertPod(pod('b', 'n1', ['10.0.0.1']), nextMs);
    owners.source('file').endPod('b', 4000);
    expect(owners.ownerBetween(address('10.0.0.1'), 0, fromMs, toMs).known).not.toBe('none');
    expect('ended' in owners.ownerBetween(address('10.0.0.1'), 0, fromMs, toMs)).toBe(ended);
  });

  test('two pods that overlap by no more than their times are rounded: it may have been either', () => {
    const owners = start();
    const [file, t] = [owners.source('file'), 60_000];
    // The one ended at 60.4 s (written: 60, counted up to the next), the other began at 60.9 s (written: 60).
    file.upsertPod(pod('b', 'n1', ['10.0.0.1'], { fromMs: t }), t + 1500);
    file.endPod('a', t + 1000);
    expect([t - 1, t + 500, t + 1000].map((at) => who(owners, '10.0.0.1', at))).toEqual(['a', 'a|b', 'b']);
    // A delete that was seen late is no rounding.
    file.upsertPod(pod('c', 'n1', ['10.0.0.1']), 2 * t);
    file.endPod('b', 2 * t + ROUNDING_MS);
    expect(who(owners, '10.0.0.1', 2 * t)).toBe('c');
  });

  test('a pod gets its addresses later, and loses one', () => {
    const owners = start();
    const file = owners.source('file');
    file.upsertPod(pod('b', 'n1', []), 2000);
    file.upsertPod(pod('b', 'n1', ['10.0.0.2', 'fd00::2']), 3000);
    file.upsertPod(pod('b', 'n1', ['10.0.0.2']), 4000);
    expect([2999, 3000, 4000].map((at) => who(owners, '10.0.0.2', at))).toEqual(['none', 'b', 'b']);
    expect([2999, 3000, 4000].map((at) => who(owners, 'fd00::2', at))).toEqual(['none', 'b', 'none']);
  });

  test('a pod that comes back under its name is to us the same one', () => {
    const owners = start();
    owners.source('file').endPod('a', 2000);
    owners.source('file').upsertPod(pod('a', 'n1', ['10.0.0.1']), 3000);
    expect(owners.ownerBetween(address('10.0.0.1'), 0, 1000, 4000)).toMatchObject({
      known: 'owner',
      owner: { pod: 'a' },
    });
  });

  test('a zone that is learned late is no change of hands', () => {
    const owners = start();
    owners.source('file').upsertNode(node('n1', [], 'better'), 2000);
    const found = owners.ownerBetween(address('10.0.0.1'), 0, 1000, 3000);
    expect(found).toMatchObject({ known: 'owner', owner: { pod: 'a', zone: 'better' } });
  });

  test('an address with very many owners, one after the other, is looked up as fast as any', () => {
    const owners = filled(state([node('n1')]));
    const source = owners.source('file');
    for (let i = 0; i < 20 * MAX_SPANS; i++) {
      source.upsertPod(pod(`p${i}`, 'n1', ['10.1.0.1']), 10_000 + 10 * i);
      source.endPod(`p${i}`, 10_005 + 10 * i);
    }
    const history = owners.history(200_000);
    expect(history.pods.flatMap(({ times }) => times)).toHaveLength(MAX_SPANS);
    expect(who(owners, '10.1.0.1', 10_000 + 10 * (20 * MAX_SPANS - 1))).toBe(`p${20 * MAX_SPANS - 1}`);
    expect([owners.takeDrops(), owners.takeDrops()].map(({ pastOwners }) => pastOwners)).toEqual([19 * MAX_SPANS, 0]);
  });

  test('the past is evicted, with nodes that are not needed any more', () => {
    const owners = start();
    owners.source('file').endPod('a', 2000);
    owners.source('file').endNode('n1', 2000);
    owners.evict(2000 + EVICT_AFTER_MS - 1);
    expect(who(owners, '10.0.0.1', 1500)).toBe('a');
    owners.evict(2000 + EVICT_AFTER_MS);
    expect(who(owners, '10.0.0.1', 1500)).toBe('none');
    expect(owners.counts).toEqual({ nodes: 1, pods: 0, addresses: 0 });
  });
});

describe('a node that two sources declare', () => {
  const seen = (owners: OwnerRegistry, nowMs: number) => [
    ...['192.168.0.1', '192.168.0.2', '172.17.0.1'].map((ip) => who(owners, ip, nowMs, nowMs + 1, 'n1')),
    owners.node('n1')?.zone,
  ];

  function both(): OwnerRegistry {
    const owners = new OwnerRegistry(['file', 'api']);
    owners.source('file').replace(state([node('n1', ['192.168.0.1'], 'zone-of-file')]), 1000);
    owners.source('api').replace(state([node('n1', ['192.168.0.2'], 'zone-of-api')]), 1000);
    owners.addNodeAddresses('n1', [address('172.17.0.1')], 1000);
    return owners;
  }

  test('has what both say; zone and region of the first that has them, whichever delivered last', () => {
    expect(seen(both(), 2000)).toEqual(['n1', 'n1', 'n1', 'zone-of-file']);
    const without = new OwnerRegistry(['file', 'api']);
    without.source('api').replace(state([node('n1', [], 'zone-of-api')]), 1000);
    without.source('file').replace(state([node('n1', [], '')]), 1000);
    expect(without.node('n1')?.zone).toBe('zone-of-api');
  });

  test.each<[string, string[]]>([
    ['file', ['none', 'n1', 'n1', 'zone-of-api']],
    ['api', ['n1', 'none', 'n1', 'zone-of-file']],
  ])('%s ends it: what the other says stays', (source, expected) => {
    const owners = both();
    owners.source(source).endNode('n1', 2000);
    expect(seen(owners, 3000)).toEqual(expected);
    expect(who(owners, source === 'file' ? '192.168.0.1' : '192.168.0.2', 1500)).toBe('n1');
    owners.source(source).endNode('n1', 3000);
    expect(seen(owners, 4000)).toEqual(expected);
  });

  test('both end it: it is gone', () => {
    const owners = both();
    for (const source of ['file', 'api']) owners.source(source).replace(state([]), 2000);
    expect(seen(owners, 3000)).toEqual(['none', 'none', 'none', undefined]);
  });

  test('after a restart it keeps the addresses of the one that has not delivered yet', () => {
    const owners = new OwnerRegistry(['file', 'api']);
    owners.restore(both().history(2000));
    owners.source('file').replace(state([node('n1', ['192.168.0.1'])]), 3000);
    expect(seen(owners, 4000).slice(0, 3)).toEqual(['n1', 'n1', 'n1']);
    owners.source('api').replace(state([]), 5000);
    expect(seen(owners, 6000).slice(0, 3)).toEqual(['n1', 'none', 'n1']);
  });
});

describe("addresses from the node's own kernel", () => {
  const start = () =>
    filled(
      state([node('n1', ['192.168.0.1']), node('n2')], [pod('a', 'n1', ['10.0.0.1']), pod('b', 'n2', ['10.0.0.2'])]),
    );

  test.each<[string, [string, string[]][], string, string]>([
    ['are the node', [['n2', ['172.16.0.2']]], '172.16.0.2', 'n2'],
    [
      'never of two nodes for sure',
      [
        ['n1', ['192.168.0.9']],
        ['n2', ['192.168.0.9']],
      ],
      '192.168.0.9',
      'n1|n2',
    ],
    ['not what another node has been declared to have', [['n2', ['192.168.0.1']]], '192.168.0.1', 'n1'],
    ['go before a pod of the same node', [['n2', ['10.0.0.2']]], '10.0.0.2', 'n2'],
    ['not before a pod of another', [['n2', ['10.0.0.1']]], '10.0.0.1', 'a'],
    ['do not count for a node that is not declared', [['rogue', ['172.16.0.9']]], '172.16.0.9', 'none'],
  ])('%s', (_, reported, ip, expected) => {
    const owners = start();
    for (const [name, ips] of reported) owners.addNodeAddresses(name, ips.map(address), 2000);
    expect(who(owners, ip)).toBe(expected);
  });

  test('come and go', () => {
    const owners = start();
    owners.addNodeAddresses('n2', [address('172.16.0.1')], 2000);
    owners.addNodeAddresses('n2', [address('172.16.0.2')], 3000);
    expect([1000, 2999, 3000].map((at) => who(owners, '172.16.0.1', at))).toEqual(['n2', 'n2', 'none']);
    expect([2999, 3000].map((at) => who(owners, '172.16.0.2', at))).toEqual(['none', 'n2']);
  });

  test('count as soon as the node is declared, and again after it was gone', () => {
    const owners = start();
    owners.addNodeAddresses('n3', [address('172.16.0.3')], 1500);
    owners.source('file').upsertNode(node('n3'), 2000);
    owners.source('file').endNode('n3', 3000);
    owners.source('file').upsertNode(node('n3'), 4000);
    const seen = [1999, 2000, 3000, 4000].map((at) => who(owners, '172.16.0.3', at));
    expect(seen).toEqual(['none', 'n3', 'none', 'n3']);
  });

  test('are few as long as the node is not declared', () => {
    const owners = filled(state([node('n1', ['192.168.0.1'])]));
    const many = Array.from({ length: 100 }, (_, i) => address(`172.16.9.${i}`));
    owners.addNodeAddresses('n2', many, 2000);
    owners.source('file').upsertNode(node('n2', ['192.168.0.2']), 3000);
    const taken = (n: number) => owners.ownerBetween(many[n]!, 0, 4000, 4001, 'n2').known;
    expect([taken(MAX_UNDECLARED_ADDRESSES - 1), taken(MAX_UNDECLARED_ADDRESSES)]).toEqual(['owner', 'none']);
    expect(owners.takeDrops().undeclaredAddresses).toBe(100 - MAX_UNDECLARED_ADDRESSES);
  });

  test('that come and go without end leave a bounded past', () => {
    const owners = filled(state([node('n1', ['192.168.0.1'])]));
    const before = owners.counts.addresses;
    const report = (round: number) =>
      owners.addNodeAddresses('n1', [address(`172.16.${round >> 8}.${round & 255}`)], 2000);
    for (let round = 0; round < 5000; round++) report(round);
    const after = owners.counts.addresses - before;
    expect(after).toBeLessThan(MAX_CHANGED_ADDRESSES);
    expect(owners.takeDrops().changedReports).toBeGreaterThan(5000 - MAX_CHANGED_ADDRESSES);
    owners.evict(3000);
    report(9000);
    expect(owners.counts.addresses - before).toBe(after + 1);
  });

  test('of too many nodes: the oldest are evicted', () => {
    const owners = start();
    owners.addNodeAddresses('n1', [address('192.168.0.2')], 2000);
    owners.addNodeAddresses('n2', [address('172.16.0.2')], 2000);
    for (let i = 1; i < MAX_KERNEL_ADDRESS_NODES; i++) owners.addNodeAddresses(`unknown-${i}`, [], 3000);
    expect([who(owners, '192.168.0.2', 2999), who(owners, '192.168.0.2', 3000)]).toEqual(['n1', 'none']);
    expect(who(owners, '172.16.0.2', 3000)).toBe('n2');
  });

  test('are nobody’s where hundreds of nodes report them, as those of Services', () => {
    const owners = start();
    const names = Array.from({ length: 100 }, (_, i) => `node-${i}`);
    for (const name of names) owners.source('file').upsertNode(node(name), 1000);
    for (const [i, name] of names.entries())
      owners.addNodeAddresses(name, [address('10.96.0.1'), address(`172.16.1.${i}`)], 2000);
    expect(who(owners, '10.96.0.1', 3000)).toBe('none');
    expect([who(owners, '172.16.1.0', 3000), who(owners, '172.16.1.99', 3000)]).toEqual(['node-0', 'node-99']);
  });

  test('are not what its stream is checked against', () => {
    const owners = start();
    owners.addNodeAddresses('n2', [address('172.16.0.2')], 2000);
    expect(owners.node('n2')?.addresses).toEqual([]);
  });
});

test('agrees with a naive model that looks at every moment for itself', () => {
  type Entry = { ip: number; ipOwner: string; on: string; rank: 'node' | 'pod' | 'kernel'; from: number; to: number };
  // A kernel reports the first three, of which the other node believes none, and the others are declared.
  const ips = ['10.0.1.1', '10.0.2.1', '10.0.3.1', '10.1.0.1', '10.1.0.2', '10.1.0.3'];
  /** Two overlap by one step, or by more than times are rounded. */
  const STEP_MS = ROUNDING_MS - 500;
  const ipSet = fc.uniqueArray(fc.nat(2), { maxLength: 2 });
  const step = fc.oneof(
    fc.record({
      what: fc.constant('pod' as const),
      name: fc.nat(3),
      on: fc.nat(1),
      ips: fc.uniqueArray(fc.nat(5), { maxLength: 2 }),
    }),
    fc.record({ what: fc.constant('endPod' as const), name: fc.nat(3) }),
    fc.record({ what: fc.constant('node' as const), on: fc.nat(1), ips: ipSet.map((all) => all.map((ip) => ip + 3)) }),
    fc.record({ what: fc.constant('fromKernel' as const), on: fc.nat(1), ips: ipSet }),
  );
  const at = (list: Entry[], ip: number, t: number, seenBy: string): string[] => {
    const here = list.filter((it) => it.ip === ip && it.from <= t && t < it.to);
    const nodes = here.filter((it) => it.rank === 'node');
    const pods = here.filter((it) => it.rank === 'pod');
    const newest = (entries: Entry[]) => entries.filter((it) => entries.every((other) => other.from <= it.from));
    const newestPods = (entries: Entry[]) => {
      const last = Math.max(...entries.map((it) => it.from));
      return entries.filter((it) => it.from === last || it.to - last < ROUNDING_MS);
    };
    if (nodes.length > 0) return newest(nodes).map((it) => it.ipOwner);
    const fromKernel = here.filter((it) => it.rank === 'kernel' && it.ipOwner === seenBy).map((it) => it.ipOwner);
    if (pods.length === 0) return fromKernel;
    return newestPods(pods).map((it) => (fromKernel.includes(it.on) ? it.on : it.ipOwner));
  };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const owners = new OwnerRegistry(['api']);
      owners.source('api').replace(state([node('n0', ['192.168.0.1']), node('n1', ['192.168.0.2'])]), 0);
      const api = owners.source('api');
      const model: Entry[] = [];
      const podNode = new Map<string, string>();
      const set = (ipOwner: string, on: string, rank: Entry['rank'], wanted: number[], now: number, from = now) => {
        const open = model.filter((it) => it.ipOwner === ipOwner && it.rank === rank && it.to === Infinity);
        for (const it of open) if (!wanted.includes(it.ip)) it.to = now;
        for (const ip of wanted)
          if (!open.some((it) => it.ip === ip)) model.push({ ip, ipOwner, on, rank, from, to: Infinity });
      };
      const fromKernel = new Set<number>();
      steps.forEach((it, i) => {
        const now = (i + 1) * STEP_MS;
        const bytes = 'ips' in it ? it.ips.map((ip) => ips[ip]!) : [];
        if (it.what === 'pod') {
          // A pod does not move; a new one of its name would have another key.
          const on = podNode.get(`p${it.name}`) ?? `n${it.on}`;
          podNode.set(`p${it.name}`, on);
          api.upsertPod(pod(`p${it.name}`, on, bytes), now);
          set(`p${it.name}`, on, 'pod', it.ips, now);
        } else if (it.what === 'endPod') {
          api.endPod(`p${it.name}`, now);
          set(`p${it.name}`, '', 'pod', [], now);
        } else if (it.what === 'node') {
          api.upsertNode(node(`n${it.on}`, [`192.168.0.${it.on + 1}`, ...bytes]), now);
          set(`n${it.on}`, '', 'node', it.ips, now);
        } else {
          owners.addNodeAddresses(`n${it.on}`, bytes.map(address), now);
          set(`n${it.on}`, '', 'kernel', it.ips, now, fromKernel.has(it.on) ? now : -Infinity);
          fromKernel.add(it.on);
        }
      });
      for (let ip = 0; ip < ips.length; ip++)
        for (let from = 0; from <= steps.length * STEP_MS; from += STEP_MS)
          for (const length of [1, 2, 7].map((count) => count * STEP_MS))
            for (const seenBy of ['n0', 'n1']) {
              const all = new Set<string>();
              for (let t = from; t < from + length; t += STEP_MS)
                for (const ipOwner of at(model, ip, t, seenBy)) all.add(ipOwner);
              expect(who(owners, ips[ip]!, from, from + length, seenBy)).toBe([...all].sort().join('|') || 'none');
            }
    }),
    { numRuns: 300 },
  );
});

test('20,000 pods and 5,000 nodes fit', () => {
  const nodes = Array.from({ length: 5000 }, (_, i) => node(`node-${i}`, [`192.168.${i >> 8}.${i & 255}`], 'z'));
  const pods = Array.from({ length: 20_000 }, (_, i) =>
    pod(`pod-${i}`, `node-${i % 5000}`, [`10.0.${i >> 8}.${i & 255}`]),
  );
  const owners = filled(state(nodes, pods));
  expect(owners.counts).toEqual({ nodes: 5000, pods: 20_000, addresses: 25_000 });
  expect(who(owners, '10.0.78.31')).toBe('pod-19999');
  expect(addressKey(address('10.0.78.31'))).toHaveLength(8);
});
