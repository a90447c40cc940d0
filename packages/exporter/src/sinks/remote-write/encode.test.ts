import { readFileSync, writeFileSync } from 'node:fs';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { WriteRequestSchema } from '@egressd/flow/gen/prometheus/v1/remote_pb';
import { RequestSchema } from '@egressd/flow/gen/prometheus/v2/remote_pb';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Counter, Series } from '../../aggregate/snapshot.ts';
import { type Mode, unitsOf } from '../delivery/frame.ts';
import { SinkState } from '../delivery/sink-state.ts';
import { MAX_REQUEST_BYTES } from '../sink.ts';
import { STARTED_MS, testSeries, testSnapshot } from '../testing.ts';
import { MAX_REQUEST_SERIES, WriteRequestEncoder } from './encode.ts';
import { RequestEncoder } from './encode-v2.ts';
import { type LabelOptions, LabelWriter } from './labels.ts';

const GOLDEN = new URL('./testdata/write-request.txt', import.meta.url);
const ALL: readonly Counter[] = ['txBytes', 'txPackets', 'rxBytes', 'rxPackets'];

function setUp(options: LabelOptions, counters: readonly Counter[] = ['txBytes']) {
  const labels = new LabelWriter(options);
  const state = new SinkState({
    counters,
    maxSeries: 1e6,
    identityOf: (of) => labels.identityOf(of),
    startedMs: STARTED_MS,
    intervalMs: 60_000,
  });
  return { state, encoder: new WriteRequestEncoder(labels, counters) };
}

/** Accepts everything that is sent for a snapshot, and returns its bytes: of the zero samples, then of the values, one behind the other. */
function send(
  { state, encoder }: ReturnType<typeof setUp>,
  afterMs: number,
  series: readonly Series[],
  totals: readonly number[],
  { evicted = [] as readonly Series[], mode = 'counter' as Mode } = {},
): Uint8Array {
  state.absorb(testSnapshot(afterMs, series, totals, evicted));
  const frame = state.freeze(STARTED_MS + afterMs, mode, new Map());
  const bodies = [frame.zeroSamples, frame].map((part) => {
    if (part === undefined) return new Uint8Array(0);
    const encoded = encoder.encode(part, 0, unitsOf(part));
    expect(encoded.end).toBe(unitsOf(part));
    state.accepted(part, 0, unitsOf(part));
    return Uint8Array.from(encoded.bytes);
  });
  // A message behind another is the two merged (https://protobuf.dev/programming-guides/encoding/#last-one-wins).
  return Buffer.concat(bodies);
}

/** A request in the text form of the exposition format, one line a sample. */
function print(bytes: Uint8Array): string {
  const lines = fromBinary(WriteRequestSchema, bytes).timeseries.flatMap(({ labels, samples }) => {
    const pairs = labels.map(({ name, value }) => `${name}=${JSON.stringify(value)}`).join(',');
    return samples.map(({ value, timestamp }) => `{${pairs}} ${value} ${timestamp}\n`);
  });
  return lines.join('');
}

describe('WriteRequestEncoder', () => {
  const plain: LabelOptions = { labels: {}, regionLabels: false };
  const [A, B] = [
    testSeries(1),
    testSeries(2, { dst_pod: '', dst_ip: '0.0.0.0', dst_ip_type: 'public', protocol: 47 }),
  ];

  // UPDATE_GOLDEN=1 rewrites the file.
  test('whole requests are as in the golden file', () => {
    const all = setUp({ labels: { cluster: 'one', Team: 'ü', zz: 'last', none: '' }, regionLabels: true }, ALL);
    const deltas = setUp(plain);
    const requests: [string, Uint8Array][] = [
      ['counters, every metric and label: first', send(all, 60_000, [A, B], [1500, 2 ** 53])],
      ['counters, every metric and label: later', send(all, 120_000, [B], [2 ** 53 + 2], { evicted: [A] })],
      ['deltas: first', send(deltas, 60_000, [A, B], [1500, 7], { mode: 'delta' })],
      ['deltas: later', send(deltas, 120_000, [A, B], [1500, 8], { mode: 'delta' })],
    ];
    const text = requests
      .map(
        ([name, bytes]) =>
          `# ${name}\n${print(bytes)}${Buffer.from(bytes)
            .toString('hex')
            .replace(/.{1,120}/g, '  $&\n')}`,
      )
      .join('\n');
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(GOLDEN, text);
    expect(text).toBe(readFileSync(GOLDEN, 'utf8'));
  });

  test('a stale marker has the bits of Prometheus', () => {
    const of = setUp(plain);
    send(of, 60_000, [A], [5]);
    const bytes = Buffer.from(send(of, 120_000, [], [], { evicted: [A] }));
    expect(bytes.includes(Buffer.from('09020000000000f07f10', 'hex'))).toBe(true);
  });

  test('the bytes are those of protobuf-es, whatever the labels', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ src_pod: fc.string({ unit: 'binary' }), dst_zone: fc.string({ unit: 'grapheme' }) }), {
          minLength: 1,
          maxLength: 5,
        }),
        fc.integer({ min: 1, max: 2 ** 53 - 1 }),
        (changes, total) => {
          const of = setUp({ labels: { a: 'x'.repeat(300), B: 'y' }, regionLabels: true }, ['txBytes', 'rxBytes']);
          const series = changes.map((change, id) => testSeries(id, change));
          const bytes = send(
            of,
            60_000,
            series,
            series.map(() => total),
          );
          const decoded = fromBinary(WriteRequestSchema, bytes);
          for (const one of decoded.timeseries) {
            const names = one.labels.map(({ name }) => name);
            expect(names).toEqual([...new Set(names)].sort());
            expect(one.labels.every(({ value }) => value !== '')).toBe(true);
          }
          // protobuf-es leaves a zero out; ours writes it. Both are the same message.
          const again = toBinary(WriteRequestSchema, create(WriteRequestSchema, decoded));
          expect(fromBinary(WriteRequestSchema, again)).toEqual(decoded);
          expect(again.length).toBe(bytes.length - 9 * (decoded.timeseries.length / 2));
        },
      ),
      { numRuns: 50 },
    );
  });

  test('2.0 has the same samples as 1.0, whatever the labels, and the same bytes when it is encoded again', () => {
    const name = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ minLength: 100, maxLength: 300 }));
    fc.assert(
      fc.property(fc.array(fc.record({ src_pod: name, dst_zone: name }), { minLength: 1, maxLength: 9 }), (changes) => {
        const labels = new LabelWriter({ labels: { a: 'x'.repeat(300), B: 'y' }, regionLabels: true });
        const identityOf: LabelWriter['identityOf'] = (of) => labels.identityOf(of);
        const state = new SinkState({
          counters: ALL,
          maxSeries: 1e6,
          identityOf,
          startedMs: STARTED_MS,
          intervalMs: 60_000,
        });
        const series = changes.map((change, id) => testSeries(id, change));
        state.absorb(
          testSnapshot(
            60_000,
            series,
            series.map((_, i) => i + 1),
          ),
        );
        const frame = state.freeze(STARTED_MS + 60_000, 'counter', new Map());
        const first = fromBinary(
          WriteRequestSchema,
          new WriteRequestEncoder(labels, ALL).encode(frame, 0, unitsOf(frame)).bytes,
        );
        const encoder = new RequestEncoder(labels, ALL);
        const bytes = Buffer.from(encoder.encode(frame, 0, unitsOf(frame)).bytes);
        const { symbols, timeseries } = fromBinary(RequestSchema, bytes);
        const samples = timeseries.map(({ labelsRefs, samples: [sample] }) => ({
          labels: Array.from({ length: labelsRefs.length / 2 }, (_, i) =>
            [labelsRefs[2 * i]!, labelsRefs[2 * i + 1]!].map((ref) => symbols[ref]),
          ),
          value: sample!.value,
          timestamp: sample!.timestamp,
        }));
        expect(samples).toEqual(
          first.timeseries.map(({ labels: pairs, samples: [sample] }) => ({
            labels: pairs.map((pair) => [pair.name, pair.value]),
            value: sample!.value,
            timestamp: sample!.timestamp,
          })),
        );
        encoder.encode(frame, 1, 3);
        expect(bytes.equals(encoder.encode(frame, 0, unitsOf(frame)).bytes)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test('one metric after the other, or together: the same identity gives the same labels', () => {
    const text = print(send(setUp(plain, ALL), 60_000, [A], [3]));
    const names = [...text.matchAll(/__name__="(\w+)"/g)].map(([, name]) => name);
    expect(new Set(names)).toEqual(
      new Set([
        'egressd_transmit_bytes_total',
        'egressd_transmit_packets_total',
        'egressd_received_bytes_total',
        'egressd_received_packets_total',
      ]),
    );
    expect(new Set(text.split('\n').map((line) => line.replace(/__name__="\w+",|\} .*/g, ''))).size).toBe(2);
  });

  test('stops at the limit of series', () => {
    const { state, encoder } = setUp(plain);
    const series = Array.from({ length: MAX_REQUEST_SERIES + 5 }, (_, id) => testSeries(id));
    state.absorb(
      testSnapshot(
        60_000,
        series,
        series.map(() => 1),
      ),
    );
    const frame = state.freeze(STARTED_MS + 60_000, 'counter', new Map());
    expect(encoder.encode(frame, 0, unitsOf(frame))).toMatchObject({
      end: MAX_REQUEST_SERIES,
      series: MAX_REQUEST_SERIES,
    });
    expect(encoder.encode(frame, MAX_REQUEST_SERIES, unitsOf(frame))).toMatchObject({ end: series.length, series: 5 });
  });

  test('stops at the limit of bytes, but takes one series of any size', () => {
    const { state, encoder } = setUp(plain);
    const series = Array.from({ length: 4 }, (_, id) => testSeries(id, { dst_pod: 'x'.repeat(MAX_REQUEST_BYTES / 2) }));
    const huge = testSeries(9, { dst_pod: 'x'.repeat(2 * MAX_REQUEST_BYTES) });
    state.absorb(testSnapshot(60_000, [...series, huge], [1, 1, 1, 1, 1]));
    const frame = state.freeze(STARTED_MS + 60_000, 'counter', new Map());
    expect(encoder.encode(frame, 0, 5)).toMatchObject({ end: 1, series: 1 });
    expect(encoder.encode(frame, 4, 5)).toMatchObject({ end: 5, series: 1 });
  });
});
