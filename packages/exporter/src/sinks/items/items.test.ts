import { readFileSync, writeFileSync } from 'node:fs';
import { fromBinary } from '@bufbuild/protobuf';
import { PodNetworkMetricBatchSchema } from '@egressd/flow/gen/egressd/http/v1/metrics_pb';
import { describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import type { Series } from '../../aggregate/snapshot.ts';
import { type Mode, unitsOf } from '../delivery/frame.ts';
import { SinkState } from '../delivery/sink-state.ts';
import { MAX_REQUEST_BYTES } from '../sink.ts';
import { STARTED_MS, testSeries, testSnapshot } from '../testing.ts';
import { ITEM_COUNTERS, ItemEncoder, type ItemFormat, MAX_REQUEST_ITEMS } from './item-encoder.ts';
import { jsonLines } from './json-lines.ts';
import { lokiPush } from './loki.ts';
import { PROTOBUF_ITEMS } from './protobuf.ts';
import { decodeBatch, type Item } from './testing.ts';

const JSON_LINES = jsonLines();
const SCHEMA = JSON.parse(readFileSync(new URL('./flow.schema.json', import.meta.url), 'utf8'));
const validate = new Ajv2020({ strict: true }).compile(SCHEMA);

function sinkStateOf(format: ItemFormat, maxSeries = 1e6): SinkState {
  return new SinkState({
    counters: ITEM_COUNTERS,
    maxSeries,
    identityOf: (labels) => format.identityOf(labels),
    startedMs: STARTED_MS,
    intervalMs: 60_000,
    zeroSamples: false,
  });
}

/** Sends snapshots: each one in full, accepted; returns the bytes. */
function snapshotSender(format: ItemFormat, maxSeries?: number) {
  const state = sinkStateOf(format, maxSeries);
  const encoder = new ItemEncoder(format);
  return (
    afterMs: number,
    series: readonly Series[],
    totals: readonly number[],
    { evicted = [] as readonly Series[], mode = 'delta' as Mode } = {},
  ) => {
    state.absorb(testSnapshot(afterMs, series, totals, evicted));
    const frame = state.freeze(STARTED_MS + afterMs, mode, new Map());
    expect(frame.zeroSamples).toBeUndefined();
    const encoded = encoder.encode(frame, 0, unitsOf(frame));
    expect(encoded.end).toBe(unitsOf(frame));
    state.accepted(frame, 0, encoded.end);
    return Buffer.from(encoded.bytes);
  };
}

/** What a reader of lines sees; each must match the schema. */
function readLines(bytes: Buffer): Record<string, unknown>[] {
  const text = bytes.toString('utf8');
  expect(text === '' || text.endsWith('\n')).toBe(true);
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const read: unknown = JSON.parse(line);
      validate(read);
      expect(validate.errors).toBeNull();
      return read as Record<string, unknown>;
    });
}

const A = testSeries(1);
const OUTSIDE = testSeries(2, {
  dst_pod: '',
  dst_namespace: '',
  dst_node: '',
  dst_zone: '',
  dst_region: '',
  dst_ip: '0.0.0.0',
  dst_ip_type: 'public',
  protocol: 47,
  cross_zone: false,
  scope: 'internet',
});
const ANY = testSeries(3, { src_pod: 'ü–😀', protocol: 0 });

// UPDATE_GOLDEN=1 rewrites the files.
function expectGolden(name: string, text: string): void {
  const path = new URL(`./testdata/${name}`, import.meta.url);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, text);
  expect(text).toBe(readFileSync(path, 'utf8'));
}

/** A body as its decoded items and its bytes. */
function printBatch(title: string, body: Buffer): string {
  const items = decodeBatch(body).map(
    (item) => `${JSON.stringify(item, (_key, value) => (typeof value === 'bigint' ? Number(value) : value))}\n`,
  );
  return `# ${title}\n${items.join('')}${body.toString('hex').replace(/.{1,120}/g, '  $&\n')}`;
}

describe('protobuf', () => {
  test('whole bodies are as in the golden file', () => {
    const send = snapshotSender(PROTOBUF_ITEMS);
    const counters = snapshotSender(PROTOBUF_ITEMS);
    const bodies = [
      printBatch('deltas: first', send(60_000, [A, OUTSIDE, ANY], [1500, 127, 2 ** 40])),
      printBatch('deltas: only what moved', send(120_000, [A, OUTSIDE, ANY], [1500, 128, 2 ** 53])),
      printBatch('counters', counters(60_000, [A, OUTSIDE], [1500, 2 ** 33], { mode: 'counter' })),
      printBatch('counters: live ones again', counters(120_000, [A, OUTSIDE], [1500, 2 ** 34], { mode: 'counter' })),
    ];
    expectGolden('batch.txt', bodies.join('\n'));
  });

  test('a decoder written from the field table, and protobuf-es, read what went in', () => {
    const label = fc.string({ unit: 'grapheme', maxLength: 200 });
    const changes = fc.record({ src_pod: label, src_zone: label, dst_pod: label, dst_namespace: label });
    const amount = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 53 - 1 }));
    fc.assert(
      fc.property(changes, fc.nat(255), amount, (labels, protocol, total) => {
        const series = testSeries(1, { ...labels, protocol });
        const body = snapshotSender(PROTOBUF_ITEMS)(60_000, [series], [total]);
        const items = decodeBatch(body);
        const { src_ip, src_node, dst_ip, dst_node, dst_zone } = series.labels;
        const moved = BigInt(total);
        const expected: Item = {
          src_ip,
          src_node,
          dst_ip,
          dst_node,
          dst_zone,
          ...labels,
          src_namespace: 'shop',
          tx_bytes: moved,
          tx_packets: moved,
          rx_bytes: moved,
          rx_packets: moved,
          proto: BigInt(protocol),
          dst_dns_name: '',
        };
        expect(items).toEqual(total === 0 ? [] : [expected]);
        const other = fromBinary(PodNetworkMetricBatchSchema, body).items;
        expect(other.map(({ srcPod, txBytes, rxPackets, proto }) => ({ srcPod, txBytes, rxPackets, proto }))).toEqual(
          items.map((item) => ({
            srcPod: item.src_pod,
            txBytes: item.tx_bytes,
            rxPackets: item.rx_packets,
            proto: Number(item.proto),
          })),
        );
      }),
      { numRuns: 60 },
    );
  });

  test('a growing counter that an int64 has no room for stays at its maximum', () => {
    const body = snapshotSender(PROTOBUF_ITEMS)(60_000, [A], [2 ** 64], { mode: 'counter' });
    const maximum = 2n ** 63n - 1024n;
    expect(decodeBatch(body)).toMatchObject([{ tx_bytes: maximum, rx_packets: maximum, proto: 6n }]);
    expect(fromBinary(PodNetworkMetricBatchSchema, body).items[0]?.txBytes).toBe(maximum);
  });

  test('series that look the same to the receiver are one item', () => {
    const body = snapshotSender(PROTOBUF_ITEMS)(
      60_000,
      [A, testSeries(1, { scope: 'unknown' }), testSeries(5)].map((one, id) => ({ ...one, id })),
      [1, 2, 4],
    );
    expect(decodeBatch(body).map(({ src_pod, tx_bytes }) => [src_pod, tx_bytes])).toEqual([
      ['pod-1', 3n],
      ['pod-5', 4n],
    ]);
  });

  test('series without room go together, and their sum is exact', () => {
    const send = snapshotSender(PROTOBUF_ITEMS, 1);
    const body = send(
      60_000,
      [1, 2, 3].map((id) => testSeries(id)),
      [1, 2, 4],
    );
    expect(decodeBatch(body).map(({ src_pod, src_ip, tx_bytes }) => [src_pod, src_ip, tx_bytes])).toEqual([
      ['pod-1', '10.0.0.1', 1n],
      ['~other', '', 6n],
    ]);
  });
});

test('each counter has its place, and one that did not move is zero', () => {
  const snapshot = testSnapshot(60_000, [A], [0]);
  const column = (total: number) => ({ low: Float64Array.of(total), high: Float64Array.of(0) });
  const totals = { ...snapshot.totals, txBytes: column(700), txPackets: column(7), rxPackets: column(3) };
  for (const [format, read] of [
    [PROTOBUF_ITEMS, (bytes: Buffer) => decodeBatch(bytes)],
    [JSON_LINES, readLines],
  ] as const) {
    const state = sinkStateOf(format);
    state.absorb({ ...snapshot, totals });
    const frame = state.freeze(snapshot.timeMs, 'delta', new Map());
    const { bytes } = new ItemEncoder(format).encode(frame, 0, unitsOf(frame));
    const [{ tx_bytes, tx_packets, rx_bytes, rx_packets } = {} as Item] = read(Buffer.from(bytes)) as Item[];
    expect([tx_bytes, tx_packets, rx_bytes, rx_packets].map(Number)).toEqual([700, 7, 0, 3]);
  }
});

describe('JSON lines', () => {
  test('whole bodies are as in the golden file', () => {
    const send = snapshotSender(JSON_LINES);
    const bodies = [
      send(60_000, [A, OUTSIDE, ANY], [1500, 127, 2 ** 40]),
      send(120_000, [A, OUTSIDE, ANY], [1500, 128, 2 ** 53]),
      send(180_000, [A], [1500], { mode: 'counter', evicted: [OUTSIDE, ANY] }),
    ];
    for (const body of bodies) readLines(body);
    expectGolden('flows.jsonl', bodies.join(''));
  });

  test('every line matches the schema, whatever the labels', () => {
    const label = fc.string({ unit: 'binary', maxLength: 200 });
    fc.assert(
      fc.property(
        label,
        label,
        fc.nat(255),
        fc.integer({ min: 1, max: 2 ** 53 - 1 }),
        (src_pod, dst_zone, protocol, total) => {
          const series = testSeries(1, { src_pod, dst_zone, protocol });
          const [line] = readLines(snapshotSender(JSON_LINES)(60_000, [series], [total]));
          // A half of a surrogate pair has no UTF-8: it is escaped, and comes back.
          expect(line).toMatchObject({ mode: 'delta', tx_bytes: total, rx_packets: total });
          expect(line!.src_pod ?? '').toBe(src_pod);
          expect(line!.dst_zone ?? '').toBe(dst_zone);
        },
      ),
    );
  });

  test('the schema refuses what is no line', () => {
    const [line] = readLines(snapshotSender(JSON_LINES)(60_000, [A], [1]));
    for (const wrong of [
      { ...line, tx_bytes: -1 },
      { ...line, extra: 1 },
      { ...line, src_pod: '' },
      { ...line, mode: 'x' },
    ])
      expect(validate(wrong)).toBe(false);
  });
});

describe('a push of Loki', () => {
  const label = fc.string({ unit: 'binary', maxLength: 200 });

  test('holds the JSON lines, whatever the labels', () => {
    fc.assert(
      fc.property(label, label, fc.dictionary(label, label), (src_pod, dst_zone, labels) => {
        const series = [testSeries(1, { src_pod, dst_zone }), testSeries(2)];
        const body = snapshotSender(lokiPush(labels))(60_000, series, [1, 2]).toString('utf8');
        const [{ stream, values }, ...others] = JSON.parse(body).streams;
        expect(others).toEqual([]);
        expect({ ...stream }).toEqual(JSON.parse(JSON.stringify({ service_name: 'egressd', ...labels })));
        const lines = values.map(([time, line]: [string, string]) => {
          expect(time).toBe(`${STARTED_MS + 60_000}000000`);
          return `${line}\n`;
        });
        expect(lines.join('')).toBe(snapshotSender(JSON_LINES)(60_000, series, [1, 2]).toString('utf8'));
      }),
    );
  });
});

describe.each<[string, ItemFormat]>([
  ['protobuf', PROTOBUF_ITEMS],
  ['JSON lines', JSON_LINES],
  ['a push of Loki', lokiPush({ cluster: 'blue' })],
])('%s', (_name, format) => {
  test('a series that ended is sent once more if it moved, and then no more', () => {
    for (const mode of ['delta', 'counter'] as const) {
      const send = snapshotSender(format);
      send(60_000, [A], [5], { mode });
      expect(send(120_000, [], [], { evicted: [A], mode })).toHaveLength(0);
      expect(send(180_000, [], [], { mode })).toHaveLength(0);
    }
  });

  test('stops at the limit of items, and goes on where it stopped', () => {
    const state = sinkStateOf(format);
    // As short as series are, so that the limit of bytes is not met before.
    const short = { src_namespace: '', src_zone: '', src_region: '', dst_pod: '', dst_namespace: '', dst_region: '' };
    const series = Array.from({ length: MAX_REQUEST_ITEMS + 5 }, (_, id) => testSeries(id, short));
    state.absorb(
      testSnapshot(
        60_000,
        series,
        series.map(() => 1),
      ),
    );
    const frame = state.freeze(STARTED_MS + 60_000, 'delta', new Map());
    const encoder = new ItemEncoder(format);
    const end = MAX_REQUEST_ITEMS * frame.width;
    expect(encoder.encode(frame, 0, unitsOf(frame))).toMatchObject({ end, items: MAX_REQUEST_ITEMS });
    expect(encoder.encode(frame, end, unitsOf(frame))).toMatchObject({ end: unitsOf(frame), items: 5 });
  });

  test('stops at the limit of bytes, but takes one item of any size', () => {
    const state = sinkStateOf(format);
    const long = testSeries(1, { dst_pod: 'x'.repeat(MAX_REQUEST_BYTES / 2) });
    const huge = testSeries(2, { dst_pod: 'x'.repeat(2 * MAX_REQUEST_BYTES) });
    state.absorb(
      testSnapshot(60_000, [long, { ...long, id: 3, labels: { ...long.labels, src_pod: 'b' } }, huge], [1, 1, 1]),
    );
    const frame = state.freeze(STARTED_MS + 60_000, 'delta', new Map());
    const encoder = new ItemEncoder(format);
    expect(encoder.encode(frame, 0, 12)).toMatchObject({ end: 4, items: 1 });
    expect(encoder.encode(frame, 8, 12)).toMatchObject({ end: 12, items: 1 });
  });
});
