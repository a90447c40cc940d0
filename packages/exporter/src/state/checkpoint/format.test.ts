import { crc32 } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Aggregate } from '../../aggregate/aggregate.ts';
import type { Endpoint } from '../../enrich/endpoint.ts';
import type { Enriched } from '../../enrich/enriched.ts';
import { KEPT } from '../../enrich/verdict.ts';
import type { Part } from '../../sinks/delivery/part.ts';
import { SinkState } from '../../sinks/delivery/sink-state.ts';
import { BatchOffsets } from '../batch-offsets.ts';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint, encodeCounted } from './format.ts';

const OPTIONS = {
  counters: ['txBytes', 'rxBytes'] as const,
  maxSeries: 3,
  identityOf: (labels: { src_pod: string; dst_ip: string }) => `${labels.src_pod}>${labels.dst_ip}`,
  startedMs: 1000,
  intervalMs: 60_000,
  identityScheme: 'test',
  receiverId: 'here',
  origin: 'origin',
  startTimes: true,
};

/** A checkpoint of version 1, as egressd wrote it: one sink, one series of 1500 bytes whose zero sample was accepted. */
const VERSION_1 = Buffer.from(
  'ZWdyZXNzZCBjaGVja3BvaW50CgEAAAB8Ip7JAAAAAABAdkAAAAAAACBkQAAAAAAAAPA/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACEhC5B' +
    'AAAAAAAAAEAAAAAAAAAYQAECAQEBAQBuc2FibnoAAAAAAAAAQAEAAAAAAAAAAAAA//8KAAABAAAAAAAAAAAAAP//CgAAAgAAAQECAQMDAQQE' +
    'AQUFAAAAAAAA8D8BAQECAQEBAgEGAtwFAAEBAAK4CwAAAAAAAAAAAAAAAAAAAAAA8D8BBmEgc2luawAAAAAAABBAdGVzdAAAAAAAABBAaGVy' +
    'ZQEBAAAAAAAAAAAAGEBvcmlnaW4AAAAAAADwPwAAAACAhC5BAAAAAAAAAPA/AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAEBAtwFAAAAAAAAAAAA' +
    '8D8AAAAAAADwPwAAAACAhC5BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAPA/AAEBAtwFAAAAAAAAAEABAAEAAAAAAAAAAA==',
  'base64',
);

/** A checkpoint of version 2, without workloads: one sink, a > b 1500 bytes, accepted, and b > a 3000. */
const VERSION_2 = Buffer.from(
  'ZWdyZXNzZCBjaGVja3BvaW50CgIAAADivZLhAAAAAAAwdEAAAAAAAKBlQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACEhC5BAAAAAAAA' +
    'CEAAAAAAAAAYQAECAQEBAQBuc2FibnoAAAAAAAAAQAEAAAAAAAAAAAAA//8KAAABAAAAAAAAAAAAAP//CgAAAgAAAQECAQMDAQQEAQUFAAAAAAAAAEAB' +
    'AQEBAgIBAQIBAgEBBgYC3AW4CwABAQIAArgL3AUAAQIBAAAAAAAAAAAAAAAAAAAA8D8BBmEgc2luawAAAAAAABBAdGVzdAAAAAAAABBAaGVyZQEBAAAA' +
    'AAAAAAAAGEBvcmlnaW4AAAAAAADwPwAAAACEhC5BAQABAAAAAAAAAEABAQEAAAAAAAAAAAAAAAAAAAAAAAAAAAEBAAAEQkIPAAAAAAAC3AW4CwAC3AUA' +
    'AAAAAAAAAAAAAA==',
  'base64',
);

function endpoint(number: number): Endpoint {
  const place = (['owned', 'public', 'private', 'unknown'] as const)[number % 4]!;
  const owner = {
    namespace: 'ns',
    pod: place === 'owned' ? `pod-ü-${number}` : '',
    node: '',
    zone: `z${number % 2}`,
    region: '',
    ...(number === 4 ? { workload: { kind: 'Deployment', name: 'web' } } : {}),
    ...(number === 5
      ? { network: { name: 'aws', kind: 'cloud' as const, zone: 'z1', region: '', service: 'S3' } }
      : {}),
  };
  return { key: String.fromCharCode(0, 0, 0, 0, 0, 0xffff, 0x0a00, number), place, owner };
}

/** One flow from one end to the other. */
function flow(from: number, to: number, bytes: number): Enriched {
  const column = (value: number) => Float64Array.of(value);
  const flows = {
    ...{ rows: 1, source: Uint32Array.of(0), destination: Uint32Array.of(1), protocol: Uint8Array.of(6) },
    ...{ txBytes: column(bytes), txPackets: column(1), rxBytes: column(bytes * 2), rxPackets: column(0) },
  };
  const part = { flows, endpoints: [endpoint(from), endpoint(to)], verdicts: [KEPT, 'not_local'] };
  return { parts: [part], dropped: new Map(), unknown: { pairs: 0, bytes: 0, packets: 0 } } as unknown as Enriched;
}

const step = fc.record({
  from: fc.nat(5),
  to: fc.nat(5),
  bytes: fc.oneof(fc.nat(1000), fc.integer({ min: 2 ** 51, max: 2 ** 52 })),
  afterMs: fc.oneof(fc.nat(60_000), fc.constant(20 * 60_000)),
  mode: fc.constantFrom('counter' as const, 'delta' as const),
  accept: fc.nat(10),
  refuse: fc.boolean(),
});

/** One exporter process, with a sink. */
interface Run {
  readonly aggregate: Aggregate;
  readonly sinkState: SinkState;
  readonly offsets: BatchOffsets;
  readonly left: readonly Part[];
  readonly image: () => Omit<Checkpoint, 'counted'>;
}

function live(steps: readonly (typeof step extends fc.Arbitrary<infer Step> ? Step : never)[]): Run {
  const aggregate = new Aggregate({ maxSeries: 4 });
  const sinkState = new SinkState(OPTIONS);
  const offsets = new BatchOffsets();
  let nowMs = 1_000_000;
  let snapshot = aggregate.snapshot(nowMs, new Map());
  let left: Part[] = [];
  sinkState.absorb(snapshot);
  for (const [at, { from, to, bytes, afterMs, mode, accept, refuse }] of steps.entries()) {
    nowMs += afterMs;
    aggregate.add(flow(from, to, bytes), nowMs);
    aggregate.evictIdle(nowMs, Number.POSITIVE_INFINITY);
    snapshot = aggregate.snapshot(nowMs, new Map());
    sinkState.absorb(snapshot);
    const frame = sinkState.freeze(snapshot.timeMs, mode, new Map());
    const part = frame.zeroSamples ?? frame;
    left = [{ from: 0, to: part.kinds.length }];
    sinkState.accepted(part, 0, Math.min(accept, part.kinds.length));
    if (accept < part.kinds.length && refuse) sinkState.refused(part, accept);
    if (refuse && frame.zeroSamples !== undefined) sinkState.withhold(frame);
    if (bytes % 3 === 0) sinkState.settled();
    offsets.open(`node-${from}`, `epoch-${to}`, nowMs);
    offsets.apply(`node-${from}`, offsets.of(`node-${from}`).applied + 1 + (at % 2), nowMs);
  }
  const image = () => ({
    mode: steps[0]?.mode,
    nodes: offsets.image((_, epoch) => (epoch === 'epoch-2' ? 2 : undefined)),
    totals: aggregate.image(snapshot),
    sinks: new Map([['a sink', sinkState.image(snapshot.series, left)]]),
  });
  return { aggregate, sinkState, offsets, left, image };
}

function encode({ sinks, ...counted }: Omit<Checkpoint, 'counted'>): Buffer {
  return Buffer.concat(encodeCheckpoint(encodeCounted(counted), sinks));
}

function decode(bytes: Buffer): Omit<Checkpoint, 'counted'> {
  const read = decodeCheckpoint(bytes);
  if (!read.ok) throw new Error(read.reason);
  const { counted: _, ...rest } = read.checkpoint;
  return rest;
}

describe('a checkpoint', () => {
  test('decodes to what was encoded, and what resumes from it encodes to the same', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
        const before = live(steps);
        const bytes = encode(before.image());
        const read = decode(bytes);
        expect(read).toEqual(before.image());

        const [aggregate, sinkState, offsets] = [
          new Aggregate({ maxSeries: 4 }),
          new SinkState(OPTIONS),
          new BatchOffsets(),
        ];
        offsets.restore(read.nodes);
        const restored = aggregate.restore(read.totals);
        expect(sinkState.restore(read.sinks.get('a sink')!, restored)).toEqual({ outcome: 'resumed', lost: 0 });
        const again = {
          ...{ mode: read.mode, nodes: offsets.image(() => undefined) },
          totals: aggregate.image({ ...restored, timeMs: read.totals.timeMs, evicted: [], position: new Map() }),
          sinks: new Map([['a sink', sinkState.image(restored.series, before.left)]]),
        };
        expect(encode(again).equals(bytes)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  const bytes = encode(live(fc.sample(step, { numRuns: 12, seed: 1 })).image());

  test.each<[string, string, Buffer]>([
    ['nothing', 'damaged', Buffer.alloc(0)],
    ['the beginning of one', 'damaged', bytes.subarray(0, 10)],
    ['all but the last byte', 'damaged', bytes.subarray(0, -1)],
    ['one byte more', 'damaged', Buffer.concat([bytes, Buffer.alloc(1)])],
    ['something else', 'foreign', Buffer.from('my notes')],
    ['one of another version', 'version', Buffer.concat([bytes.subarray(0, 19), Buffer.of(7), bytes.subarray(20)])],
  ])('%s: %s', (_what, reason, given) => {
    expect(decodeCheckpoint(given)).toEqual({ ok: false, reason });
  });

  test('one of version 1, which had no start times, goes on', () => {
    const { totals, sinks } = decode(VERSION_1);
    const image = sinks.get('a sink')!;
    expect([...image.startMs]).toEqual([0]);
    const state = new SinkState({ ...OPTIONS, counters: ['txBytes'], startTimes: false });
    const restored = new Aggregate().restore(totals);
    expect(state.restore(image, restored)).toEqual({ outcome: 'resumed', lost: 0 });
    expect(state.inFlight).toMatchObject({ timeMs: 1_000_000, startsMs: undefined, values: Float64Array.of(1500) });
  });

  test('one of version 2, which had no workloads, goes on: the same pods are the same series at a sink of pods', () => {
    const { totals, sinks } = decode(VERSION_2);
    const aggregate = new Aggregate();
    const restored = aggregate.restore(totals);
    const state = new SinkState({ ...OPTIONS, counters: ['txBytes'], startTimes: false });
    expect(state.restore(sinks.get('a sink')!, restored)).toEqual({ outcome: 'resumed', lost: 0 });
    const [a, b] = totals.endpoints.map((end, at) => ({
      ...end,
      owner: { ...end.owner, workload: { kind: 'Deployment', name: `of-${at}` } },
    }));
    const again = flow(0, 1, 500);
    aggregate.add({ ...again, parts: [{ ...again.parts[0]!, endpoints: [a!, b!] }] }, 2_000_000);
    const snapshot = aggregate.snapshot(2_000_000, new Map());
    expect(snapshot.series.map(({ labels }) => labels.source.owner.workload?.name)).toContain('of-0');
    state.absorb(snapshot);
    const frame = state.freeze(snapshot.timeMs, 'counter', new Map());
    expect(frame.zeroSamples?.identities ?? []).not.toContain('a>10.0.0.1');
    expect(Object.fromEntries(frame.identities.map((name, at) => [name, frame.values[at]]))).toMatchObject({
      'a>10.0.0.2': 2000,
    });
    expect(state.size).toBe(2);
  });

  test('any changed bit is detected', () => {
    for (let at = 0; at < bytes.length; at += 7) {
      const changed = Buffer.from(bytes);
      changed[at] = changed[at]! ^ (1 << (at % 8));
      expect(decodeCheckpoint(changed).ok).toBe(false);
    }
  });

  test('any body with a right checksum is refused, or can be restored', () => {
    const change = fc.record({ at: fc.nat(bytes.length - 36), value: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(40), (changes, cut) => {
        const body = Buffer.from(bytes.subarray(35, bytes.length - (cut > 20 ? cut - 20 : 0)));
        for (const { at, value } of changes) if (at < body.length) body[at] = value;
        const head = Buffer.from(bytes.subarray(0, 35));
        head.writeUInt32LE(crc32(body), 23);
        head.writeDoubleLE(body.length, 27);
        const read = decodeCheckpoint(Buffer.concat([head, body]));
        if (!read.ok) return;
        const restored = new Aggregate().restore(read.checkpoint.totals);
        for (const image of read.checkpoint.sinks.values()) new SinkState(OPTIONS).restore(image, restored);
        new BatchOffsets().restore(read.checkpoint.nodes);
      }),
      { numRuns: 1000 },
    );
  });
});
