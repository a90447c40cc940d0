import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type HttpServer, startHttp } from '@egressd/daemon/http';
import { createHttpRefusals } from '@egressd/daemon/http-refusals';
import { afterEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import { OTHER, type Series, type SeriesLabels, type Snapshot } from '../aggregate/snapshot.ts';
import { HIGH_UNIT } from '../aggregate/totals.ts';
import { formatLabels } from './exposition.ts';
import { TrafficExposition } from './traffic-exposition.ts';

const END: SeriesLabels['source'] = {
  key: '',
  place: 'owned',
  owner: { namespace: 'shop', pod: 'web', node: 'n1', zone: 'a', region: 'r' },
};
const WEB: SeriesLabels = {
  src_ip: '10.0.0.1',
  src_pod: 'web',
  src_namespace: 'shop',
  src_node: 'n1',
  src_zone: 'a',
  src_region: 'r',
  dst_ip: '10.0.1.1',
  dst_ip_type: 'private',
  dst_pod: 'db',
  dst_namespace: 'shop',
  dst_node: 'n2',
  dst_zone: 'b',
  dst_region: 'r',
  protocol: 6,
  cross_zone: true,
  scope: 'cross_zone',
  source: END,
  destination: END,
};

let nextId = 1;
const series = (labels: Partial<SeriesLabels> = {}): Series => ({ id: nextId++, labels: { ...WEB, ...labels } });

/** A snapshot of series with what they sent and received in all. */
function snapshot(rows: readonly (readonly [Series, number, number])[], evicted: Series[] = []): Snapshot {
  const column = (pick: (row: readonly [Series, number, number]) => number) => ({
    low: Float64Array.from(rows, (row) => pick(row) % HIGH_UNIT),
    high: Float64Array.from(rows, (row) => Math.floor(pick(row) / HIGH_UNIT)),
  });
  const none = column(() => 0);
  const totals = {
    txBytes: column((row) => row[1]),
    txPackets: none,
    rxBytes: column((row) => row[2]),
    rxPackets: none,
  };
  return { timeMs: 1, series: rows.map(([it]) => it), totals, evicted, position: new Map() };
}

const make = (maxGroups?: number, registry = new Registry()) =>
  new TrafficExposition({ registry, ...(maxGroups === undefined ? {} : { maxGroups }) });

/** `src_pod>dst_pod sent/received` a group. */
function shown(exposition: TrafficExposition): string[] {
  const values = new Map<string, string[]>();
  for (const line of [...exposition.text()].join('').split('\n')) {
    const found = /^egressd_(?:transmit|received)_bytes_total\{(.*)\} (\S+)$/.exec(line);
    if (found === null) continue;
    const of = (name: string) => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(found[1]!)?.[1] ?? '';
    const name = `${of('src_pod')}>${of('dst_pod')}`;
    values.set(name, [...(values.get(name) ?? []), found[2]!]);
  }
  return [...values].map(([name, numbers]) => `${name} ${numbers.join('/')}`);
}

describe('groups', () => {
  test('series that differ only in addresses or nodes are one', () => {
    const exposition = make();
    exposition.update(
      snapshot([
        [series(), 10, 1],
        [series({ src_ip: '10.0.0.2', dst_ip: '10.0.1.2', src_node: 'n3' }), 20, 2],
        [series({ dst_pod: 'cache' }), 5, 3],
      ]),
    );
    expect(shown(exposition)).toEqual(['web>db 30/3', 'web>cache 5/3']);
  });

  test('what moved is added once', () => {
    const exposition = make();
    const it = series();
    for (const total of [10, 10, 25]) exposition.update(snapshot([[it, total, 0]]));
    expect(shown(exposition)).toEqual(['web>db 25/0']);
  });

  test('go on when a series behind them is evicted, and when one comes back', () => {
    const exposition = make();
    const [first, second] = [series(), series()];
    exposition.update(
      snapshot([
        [first, 10, 0],
        [second, 1, 0],
      ]),
    );
    exposition.update(snapshot([[second, 2, 0]], [first]));
    expect(shown(exposition)).toEqual(['web>db 12/0']);
    exposition.update(snapshot([], [second]));
    expect(shown(exposition)).toEqual(['web>db 12/0']);
    exposition.update(snapshot([[series(), 3, 0]]));
    expect(shown(exposition)).toEqual(['web>db 15/0']);
  });

  test('are exact beyond 2^53', () => {
    const exposition = make();
    const it = series();
    exposition.update(snapshot([[it, 2 ** 53 - 1, 0]]));
    for (let i = 0; i < 4; i++) exposition.update(snapshot([[series(), 1, 0]]));
    exposition.update(snapshot([[series(), 1, 0]]));
    expect(shown(exposition)).toEqual([`web>db ${2 ** 53 + 4}/0`]);
  });
});

describe('too many', () => {
  const one = (name: string) => series({ src_pod: name });
  const folded = async (registry: Registry) =>
    (await registry.getSingleMetric('egressd_exporter_traffic_metrics_folded_series_total')!.get()).values[0]?.value;

  test('are added to a group that stands for all others, and counted', async () => {
    const registry = new Registry();
    const exposition = make(2, registry);
    const all = ['a', 'b', 'c', 'd'].map(one);
    exposition.update(snapshot(all.map((it) => [it, 10, 1] as const)));
    exposition.update(snapshot(all.map((it) => [it, 11, 2] as const)));
    expect(shown(exposition)).toEqual(['a>db 11/2', 'b>db 11/2', `${OTHER}>${OTHER} 22/4`]);
    expect(await folded(registry)).toBe(2);
  });

  test('a group without a live series makes room, the one that is longest idle first', () => {
    const exposition = make(2);
    const [a, b] = [one('a'), one('b')];
    exposition.update(
      snapshot([
        [a, 1, 0],
        [b, 1, 0],
      ]),
    );
    exposition.update(snapshot([[a, 1, 0]], [b]));
    exposition.update(snapshot([], [a]));
    exposition.update(snapshot([[one('c'), 5, 0]]));
    expect(shown(exposition)).toEqual(['a>db 1/0', 'c>db 5/0']);
  });

  test('what the aggregate folded is shown once', () => {
    const exposition = make(1);
    const other = series({
      src_pod: OTHER,
      src_namespace: OTHER,
      dst_pod: OTHER,
      dst_namespace: OTHER,
      src_zone: '',
      dst_zone: '',
    });
    exposition.update(
      snapshot([
        [one('a'), 1, 0],
        [other, 2, 0],
        [one('b'), 4, 0],
      ]),
    );
    const lines = [...exposition.text()]
      .join('')
      .split('\n')
      .filter((line) => line.startsWith('egressd_transmit'));
    expect(shown(exposition)).toEqual(['a>db 1/0', `${OTHER}>${OTHER} 6/0`]);
    expect(lines).toHaveLength(2);
  });
});

test('nothing is lost or falls, however series come, grow and go', () => {
  const step = fc.tuple(fc.nat(5), fc.nat(4), fc.nat(1000), fc.boolean());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (steps, max) => {
      const exposition = make(max);
      const live = new Map<string, [Series, number, number]>();
      let sum = 0;
      for (const [pod, ip, bytes, retire] of steps) {
        const key = `${pod}/${ip}`;
        const entry = live.get(key) ?? [series({ src_pod: `p${pod}`, src_ip: `10.0.0.${ip}` }), 0, 0];
        if (retire && live.has(key)) {
          live.delete(key);
          exposition.update(snapshot([...live.values()], [entry[0]]));
          continue;
        }
        entry[1] += bytes;
        sum += bytes;
        live.set(key, entry);
        const before = new Map(shown(exposition).map((it) => it.split(' ') as [string, string]));
        exposition.update(snapshot([...live.values()]));
        for (const [name, value] of shown(exposition).map((it) => it.split(' ') as [string, string]))
          expect(Number.parseInt(value, 10)).toBeGreaterThanOrEqual(Number.parseInt(before.get(name) ?? '0', 10));
      }
      const total = shown(exposition).reduce((all, it) => all + Number.parseInt(it.split(' ')[1]!, 10), 0);
      // A group that made room is gone with what it counted.
      if (max > 3 && steps.every(([pod]) => pod < 4)) expect(total).toBe(sum);
      else expect(total).toBeLessThanOrEqual(sum);
    }),
  );
});

test.each<[Record<string, string>, string]>([
  [{}, ''],
  [{ a: '' }, ''],
  [{ b: '1', a: '2' }, '{a="2",b="1"}'],
  [{ a: 'x"y\\z\nnew' }, '{a="x\\"y\\\\z\\nnew"}'],
])('labels %j', (labels, expected) => {
  expect(formatLabels(labels)).toBe(expected);
});

describe('the whole of /metrics', () => {
  let server: HttpServer | undefined;
  afterEach(() => server?.close());

  /** To write it anew: UPDATE_GOLDEN=1 npm test -- unit traffic-exposition */
  test('is as in testdata/metrics.txt', async () => {
    const registry = new Registry();
    const exposition = make(3, registry);
    exposition.update(
      snapshot([
        [series(), 1500, 40],
        [
          series({
            dst_ip: '0.0.0.0',
            dst_ip_type: 'public',
            dst_pod: '',
            dst_namespace: '',
            dst_zone: '',
            cross_zone: false,
            scope: 'internet',
            protocol: 17,
          }),
          7,
          0,
        ],
        [series({ src_pod: 'a"b\\c\nd', protocol: 132 }), 2 ** 60, 0],
        [series({ src_pod: 'one too many' }), 99, 1],
      ]),
    );
    server = await startHttp({
      port: 0,
      host: '127.0.0.1',
      registry,
      refused: createHttpRefusals(new Registry(), 'exporter'),
      ready: () => [],
      extraMetrics: () => exposition.text(),
    });
    const text = await (await fetch(`http://127.0.0.1:${server.port}/metrics`)).text();
    const golden = join(import.meta.dirname, 'testdata/metrics.txt');
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, text);
    expect(text).toBe(readFileSync(golden, 'utf8'));
  });

  test('a large one comes in pieces', () => {
    const exposition = make();
    exposition.update(snapshot(Array.from({ length: 2000 }, (_, i) => [series({ src_pod: `p${i}` }), 1, 1] as const)));
    const pieces = [...exposition.text()];
    expect(pieces.length).toBeGreaterThan(4);
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(70_000);
    expect(shown(exposition)).toHaveLength(2000);
  });
});
