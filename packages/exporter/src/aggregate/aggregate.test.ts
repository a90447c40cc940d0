import { addressKey, parseAddress } from '@egressd/flow/address';
import { emptyColumns } from '@egressd/flow/columns';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Endpoint } from '../enrich/endpoint.ts';
import type { Enriched } from '../enrich/enriched.ts';
import { KEPT, VERDICTS } from '../enrich/verdict.ts';
import { Aggregate, EVICT_IDLE_AFTER_MS } from './aggregate.ts';
import { formatKey, labelsOf, scopeOf } from './labels.ts';
import { COUNTERS, OTHER, type Scope, type Snapshot } from './snapshot.ts';
import { HIGH_UNIT, totalOf } from './totals.ts';

const NO_OWNER = { namespace: '', pod: '', node: '', zone: '', region: '' };

function end(ip: string, owner: Partial<Endpoint['owner']> = {}, place: Endpoint['place'] = 'owned'): Endpoint {
  return { key: addressKey(parseAddress(ip)!), place, owner: { ...NO_OWNER, ...owner } };
}

const A = end('10.0.0.1', { pod: 'a', namespace: 's', node: 'n1', zone: 'z1', region: 'r' });
const B = end('10.0.0.2', { pod: 'b', namespace: 's', node: 'n1', zone: 'z1', region: 'r' });
const C = end('10.0.1.1', { pod: 'c', namespace: 's', node: 'n2', zone: 'z2', region: 'r' });
const NET = end('198.51.100.7', {}, 'public');

/** source, destination, protocol, tx bytes, rx bytes; packets are the bytes and one. */
type Row = readonly [Endpoint, Endpoint, number, number, number];

/** Every endpoint of `local` is one whose flows are kept. */
function joined(rows: readonly Row[], local: readonly Endpoint[] = [A, B]): Enriched {
  const endpoints = [...new Set(rows.flatMap(([source, destination]) => [source, destination] as Endpoint[]))];
  const flows = emptyColumns(rows.length, endpoints.length);
  const indexes = new Map(endpoints.map((endpoint, i) => [endpoint, i]));
  rows.forEach(([source, destination, protocol, tx, rx], i) => {
    flows.source[i] = indexes.get(source)!;
    flows.destination[i] = indexes.get(destination)!;
    flows.protocol[i] = protocol;
    [flows.txBytes[i], flows.rxBytes[i], flows.txPackets[i], flows.rxPackets[i]] = [tx, rx, tx + 1, rx + 1];
  });
  const elsewhere = VERDICTS.indexOf('not_local');
  const verdicts = Uint8Array.from(endpoints, (endpoint) => (local.includes(endpoint) ? KEPT : elsewhere));
  return {
    parts: [{ flows, endpoints, verdicts }],
    dropped: new Map(),
    unknown: { pairs: 0, bytes: 0, packets: 0 },
    unlisted: { pairs: 0, bytes: 0, packets: 0 },
    forwarded: { pairs: 0, bytes: 0, packets: 0 },
  };
}

/** `source > destination protocol tx/rx` a series, bytes. */
function totals({ series, totals }: Snapshot): string[] {
  return series.map(({ labels }, row) => {
    const name = `${labels.src_pod || labels.src_ip} > ${labels.dst_pod || labels.dst_ip} ${labels.protocol}`;
    return `${name} ${totalOf(totals.txBytes, row)}/${totalOf(totals.rxBytes, row)}`;
  });
}

const EMPTY = new Map();
const NONE = { pod: 0, namespace: 0, node: 0, all: 0 };

describe('totals', () => {
  test('grow, a series a source, destination and protocol', () => {
    const aggregate = new Aggregate();
    aggregate.add(
      joined([
        [A, C, 6, 10, 20],
        [A, NET, 6, 1, 2],
        [A, C, 17, 5, 0],
      ]),
      1000,
    );
    aggregate.add(joined([[A, C, 6, 1, 1]]), 2000);
    expect(totals(aggregate.snapshot(3000, EMPTY))).toEqual([
      'a > c 6 11/21',
      'a > 198.51.100.7 6 1/2',
      'a > c 17 5/0',
    ]);
  });

  test('who opened the connection is no matter', () => {
    const aggregate = new Aggregate();
    aggregate.add(
      joined([
        [A, C, 6, 10, 20],
        [C, A, 6, 3, 4],
      ]),
      1000,
    );
    expect(totals(aggregate.snapshot(2000, EMPTY))).toEqual(['a > c 6 14/23']);
  });

  test('two pods of the node: a series from each end', () => {
    const aggregate = new Aggregate();
    expect(aggregate.add(joined([[A, B, 6, 10, 20]]), 1000)).toEqual({ flows: 2, folded: NONE });
    expect(totals(aggregate.snapshot(2000, EMPTY))).toEqual(['a > b 6 10/20', 'b > a 6 20/10']);
  });

  test('a pod with itself sent what went both ways, and received it', () => {
    const aggregate = new Aggregate();
    aggregate.add(joined([[A, A, 6, 10, 20]]), 1000);
    const snapshot = aggregate.snapshot(2000, EMPTY);
    expect(totals(snapshot)).toEqual(['a > a 6 30/30']);
    expect(totalOf(snapshot.totals.txPackets, 0)).toBe(32);
    expect(totalOf(snapshot.totals.rxPackets, 0)).toBe(32);
  });

  test('of a snapshot do not change any more', () => {
    const aggregate = new Aggregate();
    aggregate.add(joined([[A, C, 6, 10, 20]]), 1000);
    const first = aggregate.snapshot(2000, EMPTY);
    aggregate.add(
      joined([
        [A, C, 6, 1, 1],
        [A, NET, 6, 1, 1],
      ]),
      2500,
    );
    aggregate.snapshot(3000, EMPTY);
    expect(totals(first)).toEqual(['a > c 6 10/20']);
  });

  test('are exact far beyond 2^53', () => {
    const value = fc.oneof(fc.nat(1000), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), fc.constant(HIGH_UNIT));
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value), { maxLength: 30 }), (steps) => {
        const aggregate = new Aggregate();
        let [tx, rx] = [0n, 0n];
        for (const [sent, got] of steps) {
          aggregate.add(joined([[A, C, 6, sent, got]]), 1000);
          tx += BigInt(sent);
          rx += BigInt(got);
        }
        const { totals } = aggregate.snapshot(2000, EMPTY);
        const whole = (counter: 'txBytes' | 'rxBytes') =>
          BigInt(totals[counter].high[0] ?? 0) * BigInt(HIGH_UNIT) + BigInt(totals[counter].low[0] ?? 0);
        expect([whole('txBytes'), whole('rxBytes')]).toEqual([tx, rx]);
      }),
    );
  });
});

describe('series', () => {
  test('stay the same object, with the position in the snapshot', () => {
    const aggregate = new Aggregate();
    aggregate.add(joined([[A, C, 6, 10, 20]]), 1000);
    const position = new Map([['n1', { epoch: 'x', number: 7 }]]);
    const first = aggregate.snapshot(2000, position);
    aggregate.add(joined([[A, C, 6, 10, 20]]), 2500);
    expect(aggregate.snapshot(3000, EMPTY).series[0]).toBe(first.series[0]);
    expect(first.position).toBe(position);
  });

  test.each<[string, Partial<Endpoint['owner']>]>([
    ['its zone', { zone: 'z3' }],
    ['its region', { region: 'q' }],
    ['its pod', { pod: 'd' }],
    ['its namespace', { namespace: 't' }],
    ['its node', { node: 'n9' }],
  ])('another one when %s changes', (_, change) => {
    const aggregate = new Aggregate();
    aggregate.add(joined([[A, C, 6, 10, 20]]), 1000);
    aggregate.add(joined([[A, { ...C, owner: { ...C.owner, ...change } }, 6, 1, 2]]), 1000);
    aggregate.add(joined([[A, { ...C, owner: { ...C.owner } }, 6, 1, 2]]), 1000);
    const { series, totals } = aggregate.snapshot(2000, EMPTY);
    expect(series.map((_, row) => totalOf(totals.txBytes, row))).toEqual([11, 1]);
    expect(series[0]!.id).not.toBe(series[1]!.id);
  });
});

test('times of snapshots increase, whatever the clock does, with room between them for a zero sample', () => {
  const aggregate = new Aggregate();
  const times = [5000, 5000, 1000, 5001, 9000].map((now) => aggregate.snapshot(now, EMPTY).timeMs);
  expect(times).toEqual([5000, 5002, 5004, 5006, 9000]);
});

describe('idle series', () => {
  /** a > c grew at 1000, then a snapshot at 2000. */
  const start = () => {
    const aggregate = new Aggregate();
    aggregate.add(joined([[A, C, 6, 10, 20]]), 1000);
    return { aggregate, snapshot: aggregate.snapshot(2000, EMPTY) };
  };

  test('are evicted once every sink has their last value', () => {
    const { aggregate, snapshot } = start();
    expect(aggregate.evictIdle(1000 + EVICT_IDLE_AFTER_MS, 2000)).toBe(0);
    expect(aggregate.evictIdle(1001 + EVICT_IDLE_AFTER_MS, 1000)).toBe(0);
    expect(aggregate.evictIdle(1001 + EVICT_IDLE_AFTER_MS, 2000)).toBe(1);
    const after = aggregate.snapshot(2_000_000, EMPTY);
    expect(after.series).toEqual([]);
    expect(after.evicted).toEqual(snapshot.series);
    expect(aggregate.snapshot(3_000_000, EMPTY).evicted).toEqual([]);
    expect([aggregate.size, aggregate.endpoints]).toEqual([0, 0]);
  });

  test('that grew after the snapshot that was accepted stay', () => {
    const { aggregate } = start();
    // The clock was set back: by its numbers this came before the snapshot.
    aggregate.add(joined([[A, C, 6, 1, 1]]), 500);
    expect(aggregate.evictIdle(10_000_000, 2000)).toBe(0);
    const { timeMs } = aggregate.snapshot(10_000_000, EMPTY);
    expect(aggregate.evictIdle(20_000_000, timeMs)).toBe(1);
  });

  test('come back as others, from zero', () => {
    const { aggregate, snapshot } = start();
    aggregate.evictIdle(10_000_000, 2000);
    aggregate.add(joined([[A, C, 6, 7, 0]]), 10_000_001);
    const after = aggregate.snapshot(10_000_002, EMPTY);
    expect(totals(after)).toEqual(['a > c 6 7/0']);
    expect(after.series[0]!.id).not.toBe(snapshot.series[0]!.id);
  });

  test('leave the rest as it was', () => {
    const aggregate = new Aggregate();
    const others = Array.from({ length: 3000 }, (_, i) => end(`10.1.${i >> 8}.${i & 255}`, { pod: `p${i}` }));
    const rows = others.map((other, i): Row => [A, other, 6, i, 2 * i]);
    aggregate.add(joined(rows), 1000);
    aggregate.snapshot(2000, EMPTY);
    const grown = rows.filter((_, i) => i % 3 === 1);
    aggregate.add(joined(grown), 5_000_000);
    expect(aggregate.evictIdle(5_000_001, 2000)).toBe(2000);
    expect(aggregate.endpoints).toBe(1001);
    expect(totals(aggregate.snapshot(5_000_002, EMPTY))).toEqual(
      grown.map(([, { owner }, , tx, rx]) => `a > ${owner.pod} 6 ${2 * tx}/${2 * rx}`),
    );
  });
});

describe('too many series', () => {
  test('are added to one that stands for all others; sums stay', () => {
    const aggregate = new Aggregate({ maxSeries: 2 });
    const rows: Row[] = [
      [A, C, 6, 1, 0],
      [A, NET, 6, 2, 0],
      [B, C, 6, 4, 0],
      [B, NET, 6, 8, 0],
      [A, C, 17, 16, 0],
    ];
    expect(aggregate.add(joined(rows), 1000)).toEqual({ flows: 5, folded: { ...NONE, pod: 1, all: 3 } });
    expect(aggregate.add(joined(rows), 1500)).toEqual({ flows: 5, folded: { ...NONE, all: 4 } });
    const snapshot = aggregate.snapshot(2000, EMPTY);
    expect(totals(snapshot)).toEqual([
      'a > c 6 2/0',
      'a > 0.0.0.0 6 4/0',
      `${OTHER} > ${OTHER} 6 8/0`,
      `${OTHER} > ${OTHER} 6 16/0`,
      `${OTHER} > ${OTHER} 17 32/0`,
    ]);
    const kept = snapshot.series.map(({ labels }) => [labels.dst_ip_type, labels.cross_zone, labels.scope]);
    expect(kept.slice(2, 4)).toEqual([
      ['private', true, 'cross_zone'],
      ['public', false, 'internet'],
    ]);
    expect(aggregate.endpoints).toBe(3);
  });

  test('have room again when others are evicted', () => {
    const aggregate = new Aggregate({ maxSeries: 1 });
    aggregate.add(
      joined([
        [A, C, 6, 1, 0],
        [B, C, 6, 2, 0],
      ]),
      1000,
    );
    aggregate.snapshot(2000, EMPTY);
    expect(aggregate.evictIdle(10_000_000, 2000)).toBe(2);
    expect(
      aggregate.add(
        joined([
          [B, C, 6, 4, 0],
          [A, C, 6, 8, 0],
        ]),
        10_000_001,
      ),
    ).toEqual({ flows: 2, folded: { ...NONE, all: 1 } });
    expect(totals(aggregate.snapshot(10_000_002, EMPTY))).toEqual(['b > c 6 4/0', `${OTHER} > ${OTHER} 6 8/0`]);
  });
});

describe('a source that wants all series', () => {
  const SCAN = end('10.0.0.66', { pod: 'scan', namespace: 'evil', node: 'n1', zone: 'z1', region: 'r' });
  const sent = ({ totals: { txBytes }, series }: Snapshot) =>
    series.reduce((sum, _, row) => sum + totalOf(txBytes, row), 0);
  /** A destination of its own for each number. */
  const private_ = (i: number) => end(`172.16.${i >> 8}.${i & 255}`, {}, 'private');
  const toMany = (source: Endpoint, count: number, from = 0) =>
    joined(
      Array.from({ length: count }, (_, i): Row => [source, private_(from + i), 17, 1, 0]),
      [source],
    );

  test('gets a half, keeps its own sums, and leaves the others theirs', () => {
    const aggregate = new Aggregate({ maxSeries: 1000 });
    const { folded } = aggregate.add(toMany(SCAN, 10_000), 1000);
    expect(folded).toEqual({ ...NONE, pod: 9500 });
    expect(aggregate.add(toMany(A, 10), 1100)).toEqual({ flows: 10, folded: NONE });
    const snapshot = aggregate.snapshot(2000, EMPTY);
    expect(sent(snapshot)).toBe(10_010);
    const of = (pod: string) => snapshot.series.filter(({ labels }) => labels.src_pod === pod);
    expect([of('scan').length, of('a').length]).toEqual([501, 10]);
    expect(of('scan').at(-1)!.labels).toMatchObject({
      ...{ src_pod: 'scan', dst_pod: OTHER, dst_namespace: OTHER, dst_ip: '0.0.0.0', dst_ip_type: 'private' },
      scope: 'private',
    });
  });

  test('gets no more by many pods: a namespace or a node has two thirds, whoever its pods are', () => {
    const pods = Array.from({ length: 50 }, (_, i) =>
      end(`10.0.2.${i}`, { pod: `scan-${i}`, namespace: 'evil', node: `n${i}`, zone: 'z1', region: 'r' }),
    );
    const aggregate = new Aggregate({ maxSeries: 3000 });
    for (const pod of pods) aggregate.add(toMany(pod, 1000), 1000);
    const held = aggregate.size;
    expect(held).toBeLessThan(2500);
    expect(aggregate.add(toMany(A, 10), 1100)).toEqual({ flows: 10, folded: NONE });
    expect(sent(aggregate.snapshot(2000, EMPTY))).toBe(50 * 1000 + 10);
  });

  test('of a node that is no pod loses its address, not its node', () => {
    const aggregate = new Aggregate({ maxSeries: 30 });
    const sources = Array.from({ length: 100 }, (_, i) => end(`172.30.0.${i}`, { node: 'n1', zone: 'z1' }));
    aggregate.add(
      joined(
        sources.map((source): Row => [source, NET, 6, 1, 0]),
        sources,
      ),
      1000,
    );
    const { series } = aggregate.snapshot(2000, EMPTY);
    expect(series.at(-1)!.labels).toMatchObject({ src_node: 'n1', src_ip: '0.0.0.0', dst_ip: '0.0.0.0' });
    expect(series.length).toBeLessThan(30);
  });

  test('gives room back when its series are idle, and after a restart has what it had', () => {
    const aggregate = new Aggregate({ maxSeries: 1000 });
    aggregate.add(toMany(SCAN, 10_000), 1000);
    const snapshot = aggregate.snapshot(2000, EMPTY);
    const again = new Aggregate({ maxSeries: 1000 });
    again.restore(aggregate.image(snapshot));
    expect(again.add(toMany(SCAN, 10, 20_000), 2100).folded).toEqual({ ...NONE, pod: 10 });
    again.snapshot(3000, EMPTY);
    again.evictIdle(10_000_000, 3000);
    expect(again.add(toMany(SCAN, 400), 10_000_001).folded).toEqual(NONE);
  });

  test('a restart with a lower limit keeps all sums, and folds what is new', () => {
    const aggregate = new Aggregate({ maxSeries: 1000 });
    aggregate.add(toMany(SCAN, 400), 1000);
    const snapshot = aggregate.snapshot(2000, EMPTY);
    const lower = new Aggregate({ maxSeries: 100 });
    lower.restore(aggregate.image(snapshot));
    expect(lower.add(toMany(SCAN, 10, 5000), 2100).folded).toEqual({ ...NONE, all: 10 });
    expect(sent(lower.snapshot(3000, EMPTY))).toBe(410);
  });
});

test('agrees with a naive model, whatever comes between', () => {
  const ends = [A, B, C, NET, end('fd00::1', { pod: 'a', node: 'n1' }), { ...C, owner: { ...C.owner, zone: 'z9' } }];
  const add = fc.record({
    what: fc.constant('add' as const),
    rows: fc.array(
      fc.tuple(fc.constantFrom(...ends), fc.constantFrom(...ends), fc.constantFrom(1, 6), fc.nat(99), fc.nat(99)),
      { maxLength: 8 },
    ),
  });
  const step = fc.oneof(
    add,
    fc.record({ what: fc.constantFrom('snapshot' as const, 'evict' as const), later: fc.nat(EVICT_IDLE_AFTER_MS) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 40 }), (steps, maxSeries) => {
      const aggregate = new Aggregate({ maxSeries });
      const sums = { txBytes: 0, txPackets: 0, rxBytes: 0, rxPackets: 0 };
      const ended = { ...sums };
      const ids = new Set<number>();
      let [now, accepted] = [1000, 0];
      let last: Snapshot | undefined;
      const take = () => {
        const snapshot = aggregate.snapshot(now, EMPTY);
        for (const { id } of snapshot.evicted) {
          const row = last!.series.findIndex((it) => it.id === id);
          expect(snapshot.series.some((it) => it.id === id)).toBe(false);
          for (const counter of COUNTERS) ended[counter] += totalOf(last!.totals[counter], row);
        }
        for (const { id } of snapshot.series) ids.add(id);
        for (const counter of COUNTERS) {
          const live = snapshot.series.reduce((sum, _, row) => sum + totalOf(snapshot.totals[counter], row), 0);
          expect(live + ended[counter]).toBe(sums[counter]);
        }
        last = snapshot;
        accepted = snapshot.timeMs;
      };
      for (const it of steps) {
        if (it.what === 'add') {
          const local = [A, B, ends[4]!];
          aggregate.add(joined(it.rows, local), now);
          for (const [source, destination, , tx, rx] of it.rows)
            for (const [from, sent, got] of [
              [source, tx, rx],
              [destination, rx, tx],
            ] as const) {
              if (!local.includes(from)) continue;
              sums.txBytes += sent;
              sums.rxBytes += got;
              sums.txPackets += sent + 1;
              sums.rxPackets += got + 1;
            }
        } else {
          now += it.later;
          if (it.what === 'snapshot') take();
          else aggregate.evictIdle(now, accepted);
        }
      }
      take();
      expect(ids.size).toBeGreaterThanOrEqual(last!.series.length);
    }),
    { numRuns: 300 },
  );
});

describe('labels', () => {
  test('all of them', () => {
    const ends = [A, C].map((it) => ({ end: it, ip: formatKey(it.key) }));
    expect(labelsOf(ends[0]!, ends[1]!, 6)).toEqual({
      src_ip: '10.0.0.1',
      src_pod: 'a',
      src_namespace: 's',
      src_node: 'n1',
      src_zone: 'z1',
      src_region: 'r',
      dst_ip: '10.0.1.1',
      dst_ip_type: 'private',
      dst_pod: 'c',
      dst_namespace: 's',
      dst_node: 'n2',
      dst_zone: 'z2',
      dst_region: 'r',
      protocol: 6,
      cross_zone: true,
      scope: 'cross_zone',
      source: A,
      destination: C,
    });
  });

  test.each(['10.0.0.1', '::', '0.0.0.0', '2001:db8::ff00:42'])('address %s', (ip) => {
    expect(formatKey(addressKey(parseAddress(ip)!))).toBe(ip);
  });

  const at = (zone: string, region: string, place: Endpoint['place'] = 'owned') =>
    end('10.0.0.1', { zone, region }, place);
  test.each<[string, Endpoint, Endpoint, Scope, boolean]>([
    ['one zone', at('z', 'r'), at('z', 'r'), 'same_zone', false],
    ['one zone, no regions', at('z', ''), at('z', ''), 'same_zone', false],
    ['two zones', at('z', 'r'), at('y', 'r'), 'cross_zone', true],
    ['two zones, no regions', at('z', ''), at('y', ''), 'cross_zone', true],
    ['two zones, one region unknown', at('z', 'r'), at('y', ''), 'cross_zone', true],
    ['two regions', at('z', 'r'), at('y', 'q'), 'cross_region', true],
    ['two regions, one name of a zone', at('1', 'r'), at('1', 'q'), 'cross_region', false],
    ['two regions, zones unknown', at('', 'r'), at('', 'q'), 'cross_region', false],
    ['one region, zone unknown', at('z', 'r'), at('', 'r'), 'unknown', false],
    ['source unknown', at('', ''), at('z', 'r'), 'unknown', false],
    ['nothing known', at('', ''), at('', ''), 'unknown', false],
    ['the internet', at('z', 'r'), at('', '', 'public'), 'internet', false],
    ['private, outside the cluster', at('z', 'r'), at('', '', 'private'), 'private', false],
    ['the cluster, whose is unknown', at('z', 'r'), at('', '', 'unknown'), 'unknown', false],
    ['whose is unknown, but in one zone', at('z', 'r'), at('z', 'r', 'unknown'), 'same_zone', false],
  ])('scope: %s', (_, source, destination, scope, crossZone) => {
    expect(scopeOf(source, destination)).toBe(scope);
    const ends = [source, destination].map((it) => ({ end: it, ip: '' }));
    expect(labelsOf(ends[0]!, ends[1]!, 6).cross_zone).toBe(crossZone);
  });
});
