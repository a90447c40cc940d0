import { readFileSync, writeFileSync } from 'node:fs';
import { addressKey, parseAddress } from '@egressd/flow/address';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type LabelledEnd, labelsOf } from '../../aggregate/labels.ts';
import { otherLabels, type Series, type SeriesLabels } from '../../aggregate/snapshot.ts';
import { SinkState } from '../delivery/sink-state.ts';
import { jsonLines } from '../items/json-lines.ts';
import { STARTED_MS, testSnapshot } from '../testing.ts';
import { labelReaders } from './read-labels.ts';
import { checkLabelChoice, chosenLabels, LABEL_NAMES, LABEL_SETS, type LabelSetName } from './settings.ts';

const SETS = Object.keys(LABEL_SETS) as LabelSetName[];

type Place = LabelledEnd['end']['place'];

function end(ip: string, place: Place, owner: Partial<LabelledEnd['end']['owner']> = {}): LabelledEnd {
  const none = { namespace: '', pod: '', node: '', zone: '', region: '' };
  return { ip, end: { key: addressKey(parseAddress(ip)!), place, owner: { ...none, ...owner } } };
}

function pod(ip: string, namespace: string, pod: string, node: number, workload?: string): LabelledEnd {
  const where = { node: `node-${node}`, zone: `zone-${node % 3}`, region: 'region' };
  const made = workload === undefined ? {} : { workload: { kind: 'Deployment', name: workload } };
  return end(ip, 'owned', { namespace, pod, ...where, ...made });
}

/** Pods of two Deployments in two namespaces, one that nothing made, a node, the internet, what is private and what is not known. */
const ENDS: readonly LabelledEnd[] = [
  pod('10.0.0.1', 'shop', 'cart-7d9-aaaaa', 0, 'cart'),
  pod('10.0.1.1', 'shop', 'cart-7d9-bbbbb', 1, 'cart'),
  pod('10.0.0.2', 'shop', 'web-5f6-aaaaa', 0, 'web'),
  pod('10.0.2.1', 'jobs', 'web-5f6-bbbbb', 2, 'web'),
  pod('10.0.2.2', 'jobs', 'by-hand', 2),
  end('192.168.0.1', 'owned', { node: 'node-0', zone: 'zone-0', region: 'region' }),
  end('192.168.0.2', 'owned', { node: 'node-1' }),
  end('198.51.100.1', 'public'),
  end('172.16.0.1', 'private'),
  end('10.0.9.9', 'unknown'),
];

function series(id: number, source: LabelledEnd, destination: LabelledEnd, protocol = 6): Series {
  return { id, labels: labelsOf(source, destination, protocol) };
}

function identityOf(labelSet: LabelSetName): (labels: SeriesLabels) => string {
  const readers = labelReaders(chosenLabels({ labelSet }));
  return (labels) =>
    readers
      .map(({ name, read }) => [name, read(labels)] as const)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => `${name}="${value}"`)
      .join(',');
}

/** Bytes by identity, as a receiver with this set has them after all snapshots. */
class Receiver {
  readonly #state: SinkState;
  readonly received = new Map<string, number>();

  constructor(labelSet: LabelSetName, maxSeries = 1e6) {
    this.#state = new SinkState({
      ...{ counters: ['txBytes', 'rxBytes'], maxSeries, startedMs: STARTED_MS, intervalMs: 1000, zeroSamples: false },
      identityOf: identityOf(labelSet),
    });
  }

  take(snapshot: ReturnType<typeof testSnapshot>): void {
    this.#state.absorb(snapshot);
    const frame = this.#state.freeze(snapshot.timeMs, 'delta', new Map());
    for (const [row, identity] of frame.identities.entries())
      this.received.set(identity, (this.received.get(identity) ?? 0) + frame.values[2 * row]!);
    this.#state.accepted(frame, 0, frame.kinds.length);
    this.#state.settled();
  }

  /** Bytes in all, and by what every set says of the distance. */
  sums(): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const [identity, bytes] of this.received)
      for (const key of ['all', ...(identity.match(/(dst_ip_type|cross_zone)="\w+"/g) ?? [])])
        sums[key] = (sums[key] ?? 0) + bytes;
    return sums;
  }
}

describe('golden files', () => {
  // UPDATE_GOLDEN=1 rewrites them.
  const all = ENDS.slice(0, 6).flatMap((source, s) =>
    ENDS.filter((_, d) => d !== s).map((destination, d) => series(1 + s * ENDS.length + d, source, destination)),
  );

  test.each(SETS)('%s', (labelSet) => {
    const receiver = new Receiver(labelSet);
    receiver.take(
      testSnapshot(
        1000,
        all,
        all.map(({ id }) => 2 ** (id % 20) + id),
      ),
    );
    const text = [...receiver.received].map(([identity, bytes]) => `{${identity}} ${bytes}\n`).sort();
    const path = new URL(`./testdata/${labelSet}.txt`, import.meta.url);
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, text.join(''));
    expect(text.join('')).toBe(readFileSync(path, 'utf8'));
  });
});

describe('sums', () => {
  const step = fc.record({
    flows: fc.array(
      fc.tuple(fc.nat(ENDS.length - 1), fc.nat(ENDS.length - 1), fc.constantFrom(6, 17), fc.integer({ max: 2 ** 40 })),
      { maxLength: 12 },
    ),
    evict: fc.array(fc.nat(20), { maxLength: 3 }),
  });

  test.each([1e6, 5, 1])('of every set are those of every other, to the byte, with maxSeries %d', (maxSeries) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        const receivers = SETS.map((labelSet) => new Receiver(labelSet, maxSeries));
        const live = new Map<string, { series: Series; total: number }>();
        let [nextId, sent] = [1, 0];
        for (const [at, { flows, evict }] of steps.entries()) {
          for (const [s, d, protocol, bytes] of flows) {
            const key = `${s} ${d} ${protocol}`;
            const known = live.get(key) ?? { series: series(nextId++, ENDS[s]!, ENDS[d]!, protocol), total: 0 };
            known.total += Math.abs(bytes);
            sent += Math.abs(bytes);
            live.set(key, known);
          }
          const rows = [...live.values()];
          const snapshot = (evicted: readonly Series[]) =>
            testSnapshot(
              at * 2000 + 1000,
              rows.map((row) => row.series),
              rows.map(({ total }) => total),
              evicted,
            );
          for (const receiver of receivers) receiver.take(snapshot([]));
          // What is idle is evicted, and may come back as another series.
          const gone = [...live.keys()].filter((_, i) => evict.includes(i));
          const evicted = gone.map((key) => live.get(key)!.series);
          for (const key of gone) live.delete(key);
          const left = [...live.values()];
          const after = testSnapshot(
            at * 2000 + 2000,
            left.map((row) => row.series),
            left.map(({ total }) => total),
            evicted,
          );
          for (const receiver of receivers) receiver.take(after);
        }
        const [first, ...others] = receivers.map((receiver) => receiver.sums());
        expect(first?.all ?? 0).toBe(sent);
        for (const other of others) expect(other).toEqual(first);
      }),
    );
  });

  test('a set is the sum of the one with more detail, series by series', () => {
    const all = ENDS.flatMap((source, s) => ENDS.map((to, d) => series(1 + s * ENDS.length + d, source, to)));
    const totals = all.map(({ id }) => id ** 3);
    for (const labelSet of SETS) {
      const expected = new Map<string, number>();
      for (const [i, { labels }] of all.entries()) {
        const identity = identityOf(labelSet)(labels);
        expected.set(identity, (expected.get(identity) ?? 0) + totals[i]!);
      }
      const receiver = new Receiver(labelSet);
      receiver.take(testSnapshot(1000, all, totals));
      expect(receiver.received).toEqual(expected);
    }
  });
});

describe('how many series', () => {
  test('1,000 pods of 50 workloads that talk to the 1,000 pods of 50 others', () => {
    const side = (network: number, name: string) =>
      Array.from({ length: 1000 }, (_, i) =>
        pod(`10.${network}.${i >> 8}.${i & 255}`, 'shop', `${name}-${i}`, i % 30, `${name}-${i % 50}`),
      );
    const [clients, servers] = [side(1, 'client'), side(2, 'server')];
    const identities = new Map(SETS.map((labelSet) => [labelSet, new Set<string>()]));
    const identityIn = new Map(SETS.map((labelSet) => [labelSet, identityOf(labelSet)]));
    for (const [c, client] of clients.entries())
      for (let i = 0; i < 50; i++) {
        const { labels } = series(1, client, servers[(c * 17 + i * 13) % servers.length]!);
        for (const labelSet of SETS) identities.get(labelSet)!.add(identityIn.get(labelSet)!(labels));
      }
    const size = (labelSet: LabelSetName) => identities.get(labelSet)!.size;
    expect(size('pods')).toBe(50_000);
    // docs/series.md: pairs of workloads x zones of the one x zones of the other.
    expect(size('workloads')).toBeLessThanOrEqual(50 * 50 * 3 * 3);
    expect(size('namespaces')).toBeLessThanOrEqual(9);
    expect(size('zones')).toBeLessThanOrEqual(9);
  });
});

describe('choices', () => {
  test('labels are added and left out', () => {
    expect(chosenLabels({ labelSet: 'zones', addLabels: ['proto'], omitLabels: ['src_region', 'dst_region'] })).toEqual(
      ['src_zone', 'dst_ip_type', 'dst_zone', 'dst_network', 'proto', 'cross_zone', 'scope'],
    );
  });

  test('every label can be asked for, in every set', () => {
    for (const labelSet of SETS) expect(chosenLabels({ labelSet, addLabels: LABEL_NAMES })).toEqual(LABEL_NAMES);
  });

  test('a label that is not there cannot be left out', () => {
    const issues = checkLabelChoice({ labelSet: 'zones', addLabels: ['proto'], omitLabels: ['src_pod', 'proto'] });
    expect(issues.map(({ path, message }) => `${path.join('.')}: ${message}`)).toEqual([
      'omitLabels: the label set zones has no label src_pod',
      'omitLabels: proto is in addLabels too',
    ]);
  });

  test('what was folded is recognized in every set', () => {
    const { labels } = series(1, ENDS[0]!, ENDS[3]!);
    for (const labelSet of SETS) expect(identityOf(labelSet)(otherLabels(labels))).toContain('="~other"');
  });

  test('a line without any label is JSON', () => {
    const choice = { labelSet: 'zones', omitLabels: chosenLabels({ labelSet: 'zones' }) } as const;
    const format = jsonLines(choice);
    const identities = [format.identityOf(series(1, ENDS[0]!, ENDS[1]!).labels)];
    const [into, values] = [Buffer.alloc(1000), Float64Array.of(1, 2, 3, 4)];
    const frame = { timeMs: STARTED_MS, mode: 'delta', identities, values, width: 4 } as unknown as Parameters<
      typeof format.write
    >[2];
    const line = into.toString('utf8', 0, format.write(into, 0, frame, 0));
    expect(JSON.parse(line)).toMatchObject({ mode: 'delta', tx_bytes: 1 });
  });
});
