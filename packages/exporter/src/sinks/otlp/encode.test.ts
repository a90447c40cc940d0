import { readFileSync, writeFileSync } from 'node:fs';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ExportMetricsServiceRequestSchema } from '@egressd/flow/gen/opentelemetry/v1/otlp_pb';
import { keyOf, type Point, PointLedger, pointsOf } from '@egressd/world/receivers/otlp';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Counter, Series } from '../../aggregate/snapshot.ts';
import { type Frame, type Mode, unitsOf } from '../delivery/frame.ts';
import { SinkState } from '../delivery/sink-state.ts';
import { MAX_REQUEST_BYTES } from '../sink.ts';
import { STARTED_MS, testSeries, testSnapshot } from '../testing.ts';
import { AttributeWriter } from './attributes.ts';
import { MAX_REQUEST_POINTS, MetricsEncoder } from './encode.ts';
import type { OtlpSettings } from './settings.ts';

const GOLDEN = new URL('./testdata/export-request.txt', import.meta.url);
const ALL: readonly Counter[] = ['txBytes', 'txPackets', 'rxBytes', 'rxPackets'];

function setUp(
  changes: Partial<OtlpSettings> = {},
  counters: readonly Counter[] = ['txBytes'],
  origin = 'an-instance',
) {
  const attributes = new AttributeWriter({ attributeNames: 'conventions', regionLabels: false, ...changes });
  const options = { counters, maxSeries: 1e6, startedMs: STARTED_MS, intervalMs: 60_000, startTimes: true, origin };
  const state = new SinkState({ ...options, identityOf: (of) => attributes.identityOf(of) });
  return { state, encoder: new MetricsEncoder(counters, changes.resourceAttributes ?? {}) };
}

type Sent = ReturnType<typeof setUp>;

/** The body of a frame. */
function encodeAll({ encoder }: Sent, frame: Frame): Uint8Array {
  const { bytes, end } = encoder.encode(frame, 0, unitsOf(frame));
  expect(end).toBe(unitsOf(frame));
  return bytes;
}

/** Accepts everything that is sent for a snapshot. @returns its bodies: of the zero samples where there are some, then of the values */
function send(
  sent: Sent,
  afterMs: number,
  series: readonly Series[],
  totals: readonly number[],
  { evicted = [] as readonly Series[], mode = 'counter' as Mode } = {},
): Uint8Array[] {
  sent.state.absorb(testSnapshot(afterMs, series, totals, evicted));
  const frame = sent.state.freeze(STARTED_MS + afterMs, mode, new Map());
  const frames = frame.zeroSamples === undefined ? [frame] : [frame.zeroSamples, frame];
  return frames.map((part) => {
    sent.state.accepted(part, 0, unitsOf(part));
    return encodeAll(sent, part);
  });
}

function decode(bytes: Uint8Array) {
  return fromBinary(ExportMetricsServiceRequestSchema, bytes);
}

describe('MetricsEncoder', () => {
  const [A, B] = [
    testSeries(1),
    testSeries(2, { dst_pod: '', dst_ip: '0.0.0.0', dst_ip_type: 'public', protocol: 47, cross_zone: false }),
  ];

  // UPDATE_GOLDEN=1 rewrites the file.
  test('whole requests are as in the golden file', () => {
    const resourceAttributes = { 'k8s.cluster.name': 'blüe', none: '' };
    const all = setUp({ regionLabels: true, resourceAttributes }, ALL);
    const deltas = setUp({ attributeNames: 'labels', resourceAttributes: { 'service.instance.id': 'mine' } });
    const requests: [string, Uint8Array[]][] = [
      ['counters, every metric and attribute: first', send(all, 60_000, [A, B], [1500, 2 ** 53])],
      ['counters, every metric and attribute: later', send(all, 120_000, [B], [2 ** 53 + 2], { evicted: [A] })],
      ['deltas, names of labels: first', send(deltas, 60_000, [A, B], [1500, 7], { mode: 'delta' })],
      ['deltas, names of labels: later', send(deltas, 120_000, [A, B], [1500, 8], { mode: 'delta' })],
    ];
    const show = (_key: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);
    const text = requests
      .flatMap(([name, bodies]) =>
        bodies.map((bytes) => {
          const hex = Buffer.from(bytes)
            .toString('hex')
            .replace(/.{1,120}/g, '  $&\n');
          const points = pointsOf(decode(bytes)).map((point) => `${JSON.stringify(point, show)}\n`);
          const [{ resource } = {}] = decode(bytes).resourceMetrics;
          const attributes = resource?.attributes.map(({ key, value }) => `${key}=${value?.value.value}`);
          return `# ${name}\nresource ${attributes?.join(' ')}\n${points.join('')}${hex}`;
        }),
      )
      .join('\n');
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(GOLDEN, text);
    expect(text).toBe(readFileSync(GOLDEN, 'utf8'));
  });

  test('the bytes are those of protobuf-es, whatever the attributes', () => {
    const label = fc.oneof(fc.string({ unit: 'binary' }), fc.constant('x'.repeat(300)), fc.constant(''));
    fc.assert(
      fc.property(
        fc.array(fc.record({ src_pod: label, dst_zone: label, dst_namespace: label }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 2 ** 53 - 1 }),
        fc.constantFrom('counter' as const, 'delta' as const),
        (changes, total, mode) => {
          const of = setUp({ regionLabels: true, resourceAttributes: { é: 'ü'.repeat(200) } }, ALL);
          const series = changes.map((change, id) => testSeries(id, change));
          const totals = series.map(() => total);
          for (const bytes of [...send(of, 60_000, series, totals, { mode }), ...send(of, 120_000, [], [], { mode })]) {
            const again = toBinary(
              ExportMetricsServiceRequestSchema,
              create(ExportMetricsServiceRequestSchema, decode(bytes)),
            );
            expect(Buffer.from(again).equals(bytes)).toBe(true);
            const [
              {
                scopeMetrics: [{ metrics = [] } = {}],
              } = { scopeMetrics: [] },
            ] = decode(bytes).resourceMetrics;
            const attributes = metrics.flatMap(({ sum }) => sum!.dataPoints.flatMap((point) => point.attributes));
            expect(attributes.every(({ value }) => value!.value.value !== '')).toBe(true);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a value that no int64 holds stays at the largest', () => {
    const of = setUp();
    const [, body] = send(of, 60_000, [A], [2 ** 70]);
    expect(pointsOf(decode(body!)).map(({ value }) => value)).toEqual([2 ** 63 - 1024]);
  });

  test('the names of attributes are all different', () => {
    for (const attributeNames of ['conventions', 'labels'] as const) {
      const of = setUp({ attributeNames, regionLabels: true });
      const [body] = send(of, 60_000, [A], [1]);
      const [{ scopeMetrics } = { scopeMetrics: [] }] = decode(body!).resourceMetrics;
      const names = scopeMetrics[0]!.metrics[0]!.sum!.dataPoints[0]!.attributes.map(({ key }) => key);
      expect(names).toHaveLength(16);
      expect(new Set(names).size).toBe(16);
    }
  });

  test('stops at the limit of points', () => {
    const of = setUp();
    const series = Array.from({ length: MAX_REQUEST_POINTS + 5 }, (_, id) =>
      testSeries(id, { src_node: '', dst_node: '', src_zone: '', dst_zone: '', src_namespace: '', dst_namespace: '' }),
    );
    of.state.absorb(testSnapshot(60_000, series, series.map(() => 1))); // biome-ignore format: one line
    const frame = of.state.freeze(STARTED_MS + 60_000, 'counter', new Map());
    const first = of.encoder.encode(frame, 0, unitsOf(frame));
    expect(first).toMatchObject({ end: MAX_REQUEST_POINTS, points: MAX_REQUEST_POINTS });
    expect(of.encoder.encode(frame, first.end, unitsOf(frame))).toMatchObject({ end: series.length, points: 5 });
  });

  test('stops at the limit of bytes, but takes one point of any size', () => {
    const of = setUp({}, ALL);
    const series = Array.from({ length: 4 }, (_, id) => testSeries(id, { dst_pod: 'x'.repeat(MAX_REQUEST_BYTES / 2) }));
    const huge = testSeries(9, { dst_pod: 'x'.repeat(2 * MAX_REQUEST_BYTES) });
    of.state.absorb(testSnapshot(60_000, [...series, huge], [1, 1, 1, 1, 1]));
    const frame = of.state.freeze(STARTED_MS + 60_000, 'counter', new Map());
    const first = of.encoder.encode(frame, 0, 20);
    expect(first).toMatchObject({ end: 1, points: 1 });
    expect(first.bytes.length).toBeLessThanOrEqual(MAX_REQUEST_BYTES);
    expect(of.encoder.encode(frame, 16, 20)).toMatchObject({ end: 17, points: 1 });
  });

  test('a body is within the limit of bytes', () => {
    const of = setUp({ regionLabels: true }, ALL);
    const series = Array.from({ length: 6000 }, (_, id) => testSeries(id));
    of.state.absorb(testSnapshot(60_000, series, series.map(() => 1))); // biome-ignore format: one line
    const frame = of.state.freeze(STARTED_MS + 60_000, 'counter', new Map());
    for (let from = 0; from < unitsOf(frame); ) {
      const { bytes, end } = of.encoder.encode(frame, from, unitsOf(frame));
      expect(bytes.length).toBeLessThanOrEqual(MAX_REQUEST_BYTES);
      if (end < unitsOf(frame)) expect(bytes.length).toBeGreaterThan(MAX_REQUEST_BYTES - 2000);
      from = end;
    }
  });
});

describe('sums', () => {
  const step = fc.record({
    afterMs: fc.oneof(fc.integer({ min: 2, max: 120_000 }), fc.constant(600_000)),
    moved: fc.array(fc.nat(1000), { minLength: 3, maxLength: 3 }),
    ends: fc.nat(5),
    answer: fc.constantFrom('stored', 'answer lost', 'lost', 'restart'),
  });

  /** Rises of a series' points; after a fall it counts from zero again, as `increase()` does. What the first holds is no rise. */
  function rise(points: readonly Point[]): number {
    let [total, before] = [0, undefined as number | undefined];
    for (const { value } of points) {
      if (value === undefined) continue;
      if (before !== undefined) total += value < before ? value : value - before;
      before = value;
    }
    return total;
  }

  test('what a database like Prometheus has risen by is what was counted, and a start time is that of the point that it rises from', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const ledger = new PointLedger();
        const stored = new Map<string, Point[]>();
        const store = (bytes: Uint8Array) => {
          const points = bytes.length === 0 ? [] : pointsOf(decode(bytes));
          expect(ledger.take(points)).toBeUndefined();
          for (const point of points) {
            const known = stored.get(keyOf(point)) ?? [];
            stored.set(keyOf(point), known);
            if (known.at(-1)?.timeMs !== point.timeMs) known.push(point);
          }
        };
        const ids = [0, 1, 2];
        let [of, runs, nowMs, counted] = [setUp({}, ['txBytes', 'rxBytes'], 'run 0'), 0, 0, 0];
        // By pod: its series, and what it has counted in this process.
        const live = new Map<number, { series: Series; total: number }>();
        for (const { afterMs, moved, ends, answer } of [...steps, ...LAST]) {
          nowMs += afterMs;
          for (const id of ids) {
            const entry = live.get(id) ?? { series: { ...testSeries(id), id: 100 * nowMs + id }, total: 0 };
            live.set(id, { ...entry, total: entry.total + moved[id]! });
          }
          const rows = [...live.values()];
          of.state.absorb(testSnapshot(nowMs, rows.map(({ series }) => series), rows.map(({ total }) => total))); // biome-ignore format: one line
          const frame = of.state.freeze(STARTED_MS + nowMs, 'counter', new Map());
          for (const part of frame.zeroSamples === undefined ? [frame] : [frame.zeroSamples, frame]) {
            const current = part === frame ? of.state.withhold(frame) : part;
            const bytes = encodeAll(of, current);
            if (answer === 'lost') continue;
            store(bytes);
            // A repeat is the same to the byte, and stored as if it had come once.
            if (answer === 'answer lost') store(encodeAll(of, current));
            of.state.accepted(current, 0, unitsOf(current));
          }
          if (answer === 'lost') continue;
          for (const { total } of live.values()) counted += 2 * total;
          const ended = answer === 'stored' ? live.get(ends) : undefined;
          if (answer === 'restart') {
            live.clear();
            of = setUp({}, ['txBytes', 'rxBytes'], `run ${++runs}`);
            of.state.moveStart(nowMs);
          } else {
            for (const { total } of live.values()) counted -= 2 * total;
            if (ended === undefined) continue;
            counted += 2 * ended.total;
            live.delete(ends);
            nowMs += 2;
            const left = [...live.values()];
            send(of, nowMs, left.map(({ series }) => series), left.map(({ total }) => total), { evicted: [ended.series] }).map(store); // biome-ignore format: one line
          }
        }
        for (const { total } of live.values()) counted += 2 * total;
        expect([...stored.values()].reduce((sum, points) => sum + rise(points), 0)).toBe(counted);
        for (const points of stored.values())
          for (const { startMs, timeMs, temporality, monotonic } of points) {
            expect({ temporality, monotonic }).toEqual({ temporality: 'cumulative', monotonic: true });
            expect(startMs).toBeLessThanOrEqual(timeMs);
            expect(points.some((point) => point.timeMs === startMs)).toBe(true);
          }
      }),
      { numRuns: 100 },
    );
  });

  /** All is delivered in the end. */
  const LAST = [60_000, 60_000].map((afterMs) => ({ afterMs, moved: [1, 1, 1], ends: 9, answer: 'stored' as const }));
});
