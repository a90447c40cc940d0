import { parseAddress, parseRange } from '@egressd/flow/address';
import { emptyColumns, type FlowColumns } from '@egressd/flow/columns';
import type { StreamSettings } from '@egressd/flow/stream-settings';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { OwnerRegistry } from '../owners/registry.ts';
import type { ReceivedBatch } from '../receiver/received.ts';
import { collectorOf } from '../receiver/testing.ts';
import type { Endpoint } from './endpoint.ts';
import { enrich } from './enrich.ts';
import { KEPT, VERDICTS } from './verdict.ts';

const address = (text: string): Uint8Array => parseAddress(text)!;

/** source, destination, protocol, tx bytes, rx bytes; packets are a tenth. */
type Row = readonly [string, string, number, number, number];

function columns(rows: readonly Row[]): FlowColumns {
  const texts = [...new Set(rows.flatMap((row) => row.slice(0, 2) as [string, string]))];
  const flows = emptyColumns(rows.length, texts.length);
  for (const [i, text] of texts.entries()) flows.addresses.set(address(text), i * 16);
  rows.forEach(([source, destination, protocol, tx, rx], i) => {
    flows.source[i] = texts.indexOf(source);
    flows.destination[i] = texts.indexOf(destination);
    flows.protocol[i] = protocol;
    [flows.txBytes[i], flows.rxBytes[i]] = [tx, rx];
    [flows.txPackets[i], flows.rxPackets[i]] = [tx / 10, rx / 10];
  });
  return flows;
}

function batch(
  rows: readonly Row[],
  settings: Partial<StreamSettings> = {},
  node = 'n1',
  span = [1000, 2000],
): ReceivedBatch {
  const collector = collectorOf(node, {
    settings: { excludeNamespaces: ['kube-system'], groupPublicIps: false, sendTrafficDelta: undefined, ...settings },
  });
  return { collector, span: { number: 1, fromMs: span[0]!, toMs: span[1]! }, parts: [columns(rows)] };
}

/** The same batch, of connections with another source behind SNAT. */
function withSourceNat(from: ReceivedBatch): ReceivedBatch {
  for (const { sourceNat } of from.parts) sourceNat.fill(1);
  return from;
}

const POD = { addresses: [], hostNetwork: false };

/** n1 and n2 in two zones of a region, n3 elsewhere; a and b on n1, c on n2, d on n3; dns on n1 is excluded. */
function cluster(): OwnerRegistry {
  const owners = new OwnerRegistry(['file']);
  const node = (name: string, zone: string, region: string, ip: string) => ({
    name,
    zone,
    region,
    addresses: [address(ip)],
  });
  const pod = (name: string, namespace: string, on: string, ...ips: string[]) => {
    return { ...POD, key: name, name, namespace, node: on, addresses: ips.map(address) };
  };
  owners.source('file').replace(
    {
      clusterRanges: [parseRange('172.32.0.0/16')!],
      nodes: [
        node('n1', 'z1', 'r1', '192.168.0.1'),
        node('n2', 'z2', 'r1', '192.168.0.2'),
        node('n3', 'z1', 'r2', '192.168.0.3'),
      ],
      pods: [
        pod('a', 'shop', 'n1', '10.0.0.1', 'fd00::1'),
        pod('b', 'shop', 'n1', '10.0.0.2'),
        pod('c', 'shop', 'n2', '10.0.1.1'),
        pod('d', 'shop', 'n3', '10.0.2.1'),
        pod('dns', 'kube-system', 'n1', '10.0.0.53'),
        pod('public', 'shop', 'n2', '172.32.1.1'),
        pod('stray', 'shop', 'nowhere', '10.0.3.1'),
      ],
    },
    0,
  );
  return owners;
}

/** `source > destination protocol tx/rx` of each flow that is kept. */
function flowsOf(from: ReceivedBatch, owners = cluster()): string[] {
  return enrich(from, owners).parts.flatMap(({ flows, endpoints, verdicts }) => {
    const lines: string[] = [];
    const add = (s: number, d: number, row: number, tx: Float64Array, rx: Float64Array) =>
      lines.push(`${nameOf(endpoints[s]!)} > ${nameOf(endpoints[d]!)} ${flows.protocol[row]} ${tx[row]}/${rx[row]}`);
    for (let row = 0; row < flows.rows; row++) {
      const [s, d] = [flows.source[row]!, flows.destination[row]!];
      if (verdicts[s] === KEPT) add(s, d, row, flows.txBytes, flows.rxBytes);
      if (verdicts[d] === KEPT) add(d, s, row, flows.rxBytes, flows.txBytes);
    }
    return lines;
  });
}

const nameOf = ({ owner, place, key }: Endpoint): string =>
  owner.pod || owner.node || `${place}:${[...key].map((unit) => unit.charCodeAt(0).toString(16)).join(':')}`;

describe('which directions are kept', () => {
  test.each<[string, Row, string[]]>([
    ['of a pod of the node', ['10.0.0.1', '10.0.1.1', 6, 10, 20], ['a > c 6 10/20']],
    ['opened by the other end', ['10.0.1.1', '10.0.0.1', 6, 10, 20], ['a > c 6 20/10']],
    [
      'both, where both are pods of the node',
      ['10.0.0.1', '10.0.0.2', 17, 10, 20],
      ['a > b 17 10/20', 'b > a 17 20/10'],
    ],
    [
      'a pod with itself: both, and they are the same flow',
      ['10.0.0.1', '10.0.0.1', 6, 10, 20],
      ['a > a 6 10/20', 'a > a 6 20/10'],
    ],
    ['to a node', ['10.0.0.1', '192.168.0.2', 1, 10, 0], ['a > n2 1 10/0']],
    ['from the node itself', ['192.168.0.1', '10.0.0.1', 6, 10, 20], ['a > n1 6 20/10']],
    ['not of an excluded namespace, but to it', ['10.0.0.53', '10.0.0.1', 17, 10, 20], ['a > dns 17 20/10']],
    ['not of two pods elsewhere', ['10.0.1.1', '10.0.2.1', 6, 10, 20], []],
    ['IPv6', ['fd00::1', '2001:db8::1', 58, 10, 20], ['a > public:2001:db8:0:0:0:0:0:1 58 10/20']],
    ['to the internet', ['10.0.0.1', '198.51.100.7', 6, 10, 20], ['a > public:0:0:0:0:0:ffff:c633:6407 6 10/20']],
    ['from the internet', ['198.51.100.7', '10.0.0.1', 6, 10, 20], ['a > public:0:0:0:0:0:ffff:c633:6407 6 20/10']],
    [
      'to a private address without an owner',
      ['10.0.0.1', '10.9.9.9', 6, 1, 0],
      ['a > private:0:0:0:0:0:ffff:a09:909 6 1/0'],
    ],
    ['to a pod of an unknown node', ['10.0.0.1', '10.0.3.1', 6, 1, 0], ['a > stray 6 1/0']],
  ])('%s', (_, row, expected) => {
    expect(flowsOf(batch([row]))).toEqual(expected);
  });
});

describe('public destinations', () => {
  test.each<[string, boolean, string]>([
    ['198.51.100.7', false, 'public:0:0:0:0:0:ffff:c633:6407'],
    ['198.51.100.7', true, 'public:0:0:0:0:0:ffff:0:0'],
    ['2001:db8::7', true, 'public:0:0:0:0:0:0:0:0'],
    ['0.0.0.0', false, 'public:0:0:0:0:0:ffff:0:0'],
    ['::', false, 'public:0:0:0:0:0:0:0:0'],
    ['10.9.9.9', true, 'private:0:0:0:0:0:ffff:a09:909'],
    ['224.0.0.1', true, 'private:0:0:0:0:0:ffff:e000:1'],
    ['172.32.1.1', true, 'public'],
    ['172.32.9.9', true, 'unknown:0:0:0:0:0:ffff:ac20:909'],
    ['172.33.1.1', true, 'public:0:0:0:0:0:ffff:0:0'],
  ])('%s, folded %s: %s', (ip, groupPublicIps, expected) => {
    const rows: Row[] = [['10.0.0.1', ip, 6, 10, 20]];
    expect(flowsOf(batch(rows, { groupPublicIps }))).toEqual([`a > ${expected} 6 10/20`]);
  });

  test('a pod of the cluster with a public address is private', () => {
    const [part] = enrich(batch([['10.0.0.1', '172.32.1.1', 6, 1, 1]]), cluster()).parts;
    expect(part!.endpoints.map(({ place }) => place)).toEqual(['owned', 'owned']);
  });
});

describe('what is not kept is counted', () => {
  test.each<[string, Row, string]>([
    ['two pods elsewhere', ['10.0.1.1', '10.0.2.1', 6, 10, 20], 'not_local'],
    ['a pod elsewhere and the internet', ['10.0.1.1', '198.51.100.7', 6, 10, 20], 'not_local'],
    ['a node elsewhere', ['192.168.0.2', '198.51.100.7', 6, 10, 20], 'not_local'],
    ['two of the internet', ['198.51.100.8', '198.51.100.7', 6, 10, 20], 'unknown_source'],
    ['the node itself', ['192.168.0.1', '198.51.100.7', 6, 10, 20], 'host_network'],
    ['to the node itself', ['10.0.1.1', '192.168.0.1', 6, 10, 20], 'host_network'],
    ['an excluded pod', ['10.0.0.53', '198.51.100.7', 17, 10, 20], 'excluded_namespace'],
    ['an excluded pod and the node', ['192.168.0.1', '10.0.0.53', 17, 10, 20], 'excluded_namespace'],
    ['the collector does not know itself', ['::', '::', 0, 10, 20], 'too_many_pairs'],
  ])('%s: %s', (_, row, reason) => {
    const { dropped } = enrich(batch([row]), cluster());
    expect([...dropped]).toEqual([[reason, { pairs: 1, bytes: 30, packets: 3 }]]);
  });

  test('a collector of an unknown node keeps nothing', () => {
    expect(flowsOf(batch([['10.0.0.1', '10.0.1.1', 6, 1, 1]], {}, 'other'))).toEqual([]);
  });

  test('no namespace is excluded where the settings name none', () => {
    const rows: Row[] = [['10.0.0.53', '10.0.1.1', 17, 1, 1]];
    expect(flowsOf(batch(rows, { excludeNamespaces: [] }))).toEqual(['dns > c 17 1/1']);
  });
});

describe('an address that changed hands meanwhile', () => {
  /** `after` takes the address of `before` at 1500. */
  const handedOver = (before: [string, string, string], after: [string, string, string]) => {
    const owners = cluster();
    const pod = ([name, namespace, node]: [string, string, string]) => ({
      ...POD,
      key: name,
      name,
      namespace,
      node,
      addresses: [address('10.0.0.77')],
    });
    owners.source('file').upsertPod(pod(before), 500);
    owners.source('file').upsertPod(pod(after), 1500);
    return owners;
  };
  const end = (owners: OwnerRegistry, row: Row) => enrich(batch([row]), owners).parts[0]!.endpoints[0]!;

  test.each<[string, [string, string, string], [string, string, string], Partial<Endpoint['owner']>]>([
    ['two Jobs', ['j1', 'batch', 'n1'], ['j2', 'batch', 'n1'], { pod: '', namespace: 'batch', node: 'n1', zone: 'z1' }],
    ['of two namespaces', ['j1', 'x', 'n1'], ['j2', 'y', 'n1'], { pod: '', namespace: '', node: 'n1', zone: 'z1' }],
    ['one that came back under its name', ['j', 'x', 'n1'], ['j', 'x', 'n1'], { pod: 'j', namespace: 'x', node: 'n1' }],
  ])('%s: what is true of both is kept, the rest is empty', (_, before, after, expected) => {
    const owners = handedOver(before, after);
    expect(end(owners, ['10.0.0.77', '10.0.1.1', 6, 1, 1]).owner).toMatchObject(expected);
  });

  test('bytes are kept where every owner would be kept, and counted as unknown', () => {
    const enriched = enrich(
      batch([['10.0.0.77', '10.0.1.1', 6, 10, 20]]),
      handedOver(['j1', 'x', 'n1'], ['j2', 'x', 'n1']),
    );
    expect(enriched.unknown).toEqual({ pairs: 1, bytes: 30, packets: 3 });
    expect(enriched.dropped.size).toBe(0);
  });

  test.each<[string, [string, string, string], [string, string, string], string]>([
    ['one of them excluded', ['j1', 'x', 'n1'], ['j2', 'kube-system', 'n1'], 'ambiguous'],
    ['both excluded', ['j1', 'kube-system', 'n1'], ['j2', 'kube-system', 'n1'], 'excluded_namespace'],
    ['both elsewhere', ['j1', 'x', 'n2'], ['j2', 'x', 'n3'], 'not_local'],
  ])('%s: %s', (_, before, after, reason) => {
    const { dropped } = enrich(batch([['10.0.0.77', '198.51.100.7', 6, 10, 20]]), handedOver(before, after));
    expect([...dropped.keys()]).toEqual([reason]);
  });

  test('one of them elsewhere: what its own node sees of the other is its own', () => {
    const owners = handedOver(['j1', 'x', 'n1'], ['j2', 'x', 'n2']);
    const { parts, dropped } = enrich(batch([['10.0.0.77', '198.51.100.7', 6, 10, 20]]), owners);
    expect(dropped.size).toBe(0);
    expect(parts[0]!.endpoints.at(-1)!.owner).toMatchObject({ pod: 'j1', node: 'n1' });
  });

  test('as a destination it is the unknown, in the zone that all of them share', () => {
    const owners = handedOver(['j1', 'x', 'n1'], ['j2', 'y', 'n2']);
    const [part] = enrich(batch([['10.0.0.1', '10.0.0.77', 6, 10, 20]]), owners).parts;
    const owner = { namespace: '', pod: '', node: '', zone: '', region: 'r1' };
    expect(part!.endpoints[1]).toMatchObject({ place: 'unknown', owner });
  });
});

test('every byte of every row is in a flow or counted as dropped, once', () => {
  const ips = [
    ...[
      '10.0.0.1',
      '10.0.0.2',
      '10.0.1.1',
      '10.0.0.53',
      '192.168.0.1',
      '192.168.0.2',
      '10.9.9.9',
      '198.51.100.7',
      '::',
    ],
    ...['fd00::1', '0.0.0.0', '172.32.9.9', '10.0.0.77'],
  ];
  const row = fc.tuple(
    fc.constantFrom(...ips),
    fc.constantFrom(...ips),
    fc.constantFrom(1, 6, 17),
    fc.nat(1e6),
    fc.nat(1e6),
  );
  const owners = cluster();
  for (const [at, node] of [
    [500, 'n1'],
    [1500, 'n2'],
  ] as const)
    owners
      .source('file')
      .upsertPod({ ...POD, key: `j${at}`, name: 'j', namespace: 'x', node, addresses: [address('10.0.0.77')] }, at);
  fc.assert(
    fc.property(fc.array(row, { maxLength: 40 }), fc.boolean(), (rows, groupPublicIps) => {
      const enriched = enrich(batch(rows, { groupPublicIps }), owners);
      let kept = 0;
      for (const { flows, verdicts } of enriched.parts)
        for (let i = 0; i < flows.rows; i++)
          if (verdicts[flows.source[i]!] === KEPT || verdicts[flows.destination[i]!] === KEPT)
            kept += flows.txBytes[i]! + flows.rxBytes[i]!;
      const dropped = [...enriched.dropped.values()].reduce((sum, { bytes }) => sum + bytes, 0);
      expect(kept + dropped).toBe(rows.reduce((sum, [, , , tx, rx]) => sum + tx + rx, 0));
    }),
  );
});

test('kept is the first verdict', () => {
  expect(VERDICTS[KEPT]).toBe('kept');
});

describe('an address in no list is local to the node that saw it', () => {
  test.each<[string, Row, string[]]>([
    [
      'IPv4 egress of an IPv6 pod',
      ['169.254.172.3', '198.51.100.7', 6, 10, 20],
      ['n1 > public:0:0:0:0:0:ffff:c633:6407 6 10/20'],
    ],
    ['IPv4 egress to another node', ['169.254.172.3', '192.168.0.2', 6, 10, 20], ['n1 > n2 6 10/20']],
    ['IPv4 egress to a pod elsewhere', ['169.254.172.3', '10.0.1.1', 6, 10, 20], ['n1 > c 6 10/20']],
    [
      'a pod and a link-local address: the pod',
      ['169.254.172.3', '10.0.0.1', 6, 10, 20],
      ['a > private:0:0:0:0:0:ffff:a9fe:ac03 6 20/10'],
    ],
    ['what is folded', ['10.9.9.9', '0.0.0.0', 6, 10, 20], ['n1 > public:0:0:0:0:0:ffff:0:0 6 10/20']],
    [
      'opened from the internet',
      ['198.51.100.7', '10.9.9.9', 6, 10, 20],
      ['n1 > public:0:0:0:0:0:ffff:c633:6407 6 20/10'],
    ],
    [
      'of two private ones who opened it',
      ['10.9.9.9', '10.8.8.8', 6, 10, 20],
      ['n1 > private:0:0:0:0:0:ffff:a08:808 6 10/20'],
    ],
    [
      'a pod and a private address: the pod',
      ['10.0.0.1', '10.9.9.9', 6, 1, 0],
      ['a > private:0:0:0:0:0:ffff:a09:909 6 1/0'],
    ],
    ['a pod elsewhere and a private address: not ours', ['10.9.9.9', '10.0.1.1', 6, 1, 0], []],
    ['the node and a private address: the node', ['192.168.0.1', '10.9.9.9', 6, 1, 0], []],
  ])('%s', (_, row, expected) => expect(flowsOf(batch([row]))).toEqual(expected));

  test('with the zone of the node, the share is counted, and other rows of the address stay as they are', () => {
    const rows: Row[] = [
      ['10.9.9.9', '198.51.100.7', 6, 10, 20],
      ['10.0.0.1', '10.9.9.9', 6, 1, 2],
    ];
    const { parts, unlisted, dropped } = enrich(batch(rows), cluster());
    const [{ flows, endpoints }] = parts as [(typeof parts)[number]];
    expect(endpoints[flows.source[0]!]).toMatchObject({ place: 'owned', owner: { pod: '', node: 'n1', zone: 'z1' } });
    expect(endpoints[flows.destination[1]!]).toMatchObject({ place: 'private' });
    expect([unlisted, dropped.size]).toEqual([{ pairs: 1, bytes: 30, packets: 3 }, 0]);
  });

  test('or dropped, where that is asked for', () => {
    const { unlisted, dropped } = enrich(batch([['10.9.9.9', '198.51.100.7', 6, 10, 20]]), cluster(), {
      dropUnlisted: true,
    });
    expect([unlisted.pairs, [...dropped.keys()]]).toEqual([0, ['unknown_source']]);
  });
});

test("a user's own ranges are private, whatever their numbers", () => {
  const { parts } = enrich(batch([['10.0.0.1', '198.51.100.7', 6, 1, 1]]), cluster(), {
    privateRanges: [parseRange('198.51.100.0/24')!],
  });
  expect(parts[0]!.endpoints[1]!.place).toBe('private');
});

describe('addresses that pods of two nodes have', () => {
  /** `one` and `two` on n1 have 10.88.0.2 and 10.88.0.3, so have `three` and `four` on n2, later; 10.88.0.53 is excluded on both. */
  const bridges = () => {
    const owners = cluster();
    for (const [name, node, ip, at] of [
      ['one', 'n1', '10.88.0.2', 100],
      ['two', 'n1', '10.88.0.3', 100],
      ['three', 'n2', '10.88.0.2', 200],
      ['four', 'n2', '10.88.0.3', 200],
    ] as const)
      owners.source('file').upsertPod({ ...POD, key: name, name, namespace: 'x', node, addresses: [address(ip)] }, at);
    for (const [node, at] of [
      ['n1', 100],
      ['n2', 200],
    ] as const) {
      const pod = { ...POD, key: `dns-${node}`, name: `dns-${node}`, namespace: 'kube-system', node };
      owners.source('file').upsertPod({ ...pod, addresses: [address('10.88.0.53')] }, at);
    }
    return owners;
  };
  const INTERNET = 'public:0:0:0:0:0:ffff:c633:6407';

  test.each<[string, string, Row, string[]]>([
    ['n1', 'its own pod and the internet', ['10.88.0.2', '198.51.100.7', 6, 10, 20], [`one > ${INTERNET} 6 10/20`]],
    ['n2', 'its own pod and the internet', ['10.88.0.2', '198.51.100.7', 6, 10, 20], [`three > ${INTERNET} 6 10/20`]],
    ['n1', 'two pods of its own', ['10.88.0.2', '10.88.0.3', 6, 10, 20], ['one > two 6 10/20', 'two > one 6 20/10']],
    [
      'n2',
      'two pods of its own',
      ['10.88.0.2', '10.88.0.3', 6, 10, 20],
      ['three > four 6 10/20', 'four > three 6 20/10'],
    ],
    ['n1', 'its own pod and an excluded one', ['10.88.0.53', '10.88.0.2', 17, 10, 20], ['one > dns-n1 17 20/10']],
    ['n1', 'a pod with itself', ['10.88.0.2', '10.88.0.2', 6, 10, 20], ['one > one 6 10/20', 'one > one 6 20/10']],
  ])('on %s: %s', (node, _, row, expected) => {
    expect(flowsOf(batch([row], {}, node), bridges())).toEqual(expected);
  });

  test('an excluded pod of its own is dropped as one', () => {
    const { dropped } = enrich(batch([['10.88.0.53', '198.51.100.7', 17, 10, 20]]), bridges());
    expect([...dropped.keys()]).toEqual(['excluded_namespace']);
  });
});

describe('what a node forwards in its own name to a pod elsewhere', () => {
  test.each<[string, Row, string[]]>([
    ['is of the internet', ['198.51.100.7', '10.0.1.1', 6, 10, 20], ['c > public:0:0:0:0:0:ffff:c633:6407 6 20/10']],
    ['is private', ['10.99.0.1', '10.0.1.1', 6, 10, 20], ['c > private:0:0:0:0:0:ffff:a63:1 6 20/10']],
    ['comes from its own pod: masquerade-all', ['10.0.0.1', '10.0.1.1', 6, 10, 20], ['a > c 6 10/20', 'c > a 6 20/10']],
    ['comes from a third node: a NodePort', ['10.0.2.1', '10.0.1.1', 6, 10, 20], ['c > d 6 20/10']],
    ['not what the node itself sends', ['192.168.0.1', '10.0.1.1', 6, 10, 20], []],
    ['not to another node', ['198.51.100.7', '192.168.0.2', 6, 10, 20], []],
    [
      'a pod of the node is seen once',
      ['198.51.100.7', '10.0.0.1', 6, 10, 20],
      ['a > public:0:0:0:0:0:ffff:c633:6407 6 20/10'],
    ],
    ['what goes out is not forwarded to a pod', ['10.0.1.1', '198.51.100.7', 6, 10, 20], []],
  ])('%s', (_, row, expected) => {
    expect(flowsOf(withSourceNat(batch([row])))).toEqual(expected);
  });

  test('only behind SNAT: else the node of the pod sees the client itself', () => {
    const row: Row = ['198.51.100.7', '10.0.1.1', 6, 10, 20];
    expect(flowsOf(batch([row]))).toEqual([]);
    expect(enrich(batch([row]), cluster()).forwarded).toEqual({ pairs: 0, bytes: 0, packets: 0 });
    expect(enrich(withSourceNat(batch([row])), cluster()).forwarded).toEqual({ pairs: 1, bytes: 30, packets: 3 });
  });

  test('not of a namespace that is left out', () => {
    const from = withSourceNat(batch([['198.51.100.7', '10.0.1.1', 6, 10, 20]], { excludeNamespaces: ['shop'] }));
    const { dropped, forwarded } = enrich(from, cluster());
    expect(dropped.get('excluded_namespace')?.bytes).toBe(30);
    expect(forwarded.bytes).toBe(0);
  });
});

test("direct return: what a pod answers from a Service's address is its node's, and of the internet", () => {
  const { parts, unlisted, unknown } = enrich(batch([['172.32.0.1', '198.51.100.7', 6, 1000, 0]]), cluster());
  const [{ flows, endpoints, verdicts }] = parts as [(typeof parts)[0]];
  const [source, destination] = [flows.source[0]!, flows.destination[0]!];
  expect([verdicts[source], endpoints[source]!.owner.node, endpoints[source]!.owner.pod]).toEqual([KEPT, 'n1', '']);
  expect([endpoints[destination]!.place, unlisted.bytes, unknown.bytes]).toEqual(['public', 1000, 0]);
});
