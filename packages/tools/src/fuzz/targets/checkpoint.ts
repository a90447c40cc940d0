import { crc32 } from 'node:zlib';
import { Aggregate } from '@egressd/exporter/aggregate/aggregate';
import type { Endpoint } from '@egressd/exporter/enrich/endpoint';
import type { Enriched } from '@egressd/exporter/enrich/enriched';
import { KEPT, NUMBER_OF } from '@egressd/exporter/enrich/verdict';
import { SinkState, type SinkStateOptions } from '@egressd/exporter/sinks/delivery/sink-state';
import { BatchOffsets } from '@egressd/exporter/state/batch-offsets';
import { decodeCheckpoint, encodeCheckpoint, encodeCounted } from '@egressd/exporter/state/checkpoint/format';
import { emptyColumns } from '@egressd/flow/columns';
import { must, type Target } from '../target.ts';

/** "egressd checkpoint\n" and a version stand before the checksum and the length. */
const CHECKSUM_AT = 19 + 4;
const HEAD_BYTES = CHECKSUM_AT + 4 + 8;

const SINK: SinkStateOptions = {
  counters: ['txBytes', 'rxBytes'],
  maxSeries: 3,
  identityOf: ({ src_pod, dst_ip }) => `${src_pod}>${dst_ip}`,
  ...{ startedMs: 1000, intervalMs: 60_000, identityScheme: 'scheme', receiverId: 'receiver', origin: 'origin' },
};

function endpoint(number: number): Endpoint {
  const owner = { namespace: 'shop', pod: `pod-${number}`, node: 'node-a', zone: 'z', region: 'r' };
  return { key: String.fromCharCode(0, 0, 0, 0, 0, 0xffff, 0x0a00, number), place: 'owned', owner };
}

/** One flow from one end to the other. */
function flow(from: number, to: number): Enriched {
  const flows = emptyColumns(1, 2);
  flows.destination[0] = 1;
  flows.protocol[0] = 6;
  flows.txBytes[0] = 1000;
  flows.rxBytes[0] = 2 ** 52;
  const verdicts = Uint8Array.of(NUMBER_OF.kept, NUMBER_OF.not_local);
  must(verdicts[0] === KEPT, 'a flow that is kept');
  const part = { flows, endpoints: [endpoint(from), endpoint(to)], verdicts };
  return {
    parts: [part],
    dropped: new Map(),
    unknown: { pairs: 0, bytes: 0, packets: 0 },
    unlisted: { pairs: 0, bytes: 0, packets: 0 },
    forwarded: { pairs: 0, bytes: 0, packets: 0 },
  };
}

/** A few series, one of them folded, and a frame in flight with zero samples before it. */
function seed(): Uint8Array {
  const aggregate = new Aggregate({ maxSeries: 3 });
  for (const [from, to] of [
    [1, 2],
    [2, 1],
    [3, 4],
    [4, 5],
    [5, 6],
  ] as const)
    aggregate.add(flow(from, to), 2000);
  const offsets = new BatchOffsets();
  offsets.open('node-a', 'first', 1000);
  offsets.apply('node-a', 7, 1000);
  const sinkState = new SinkState(SINK);
  const snapshot = aggregate.snapshot(3000, offsets.positions());
  sinkState.absorb(snapshot);
  sinkState.freeze(snapshot.timeMs, 'counter', snapshot.position);
  const counted = encodeCounted({
    mode: 'counter',
    nodes: offsets.image(() => undefined),
    totals: aggregate.image(snapshot),
  });
  const image = sinkState.image(snapshot.series, [{ from: 0, to: 2 }]);
  return new Uint8Array(Buffer.concat(encodeCheckpoint(counted, new Map([['sink', image]]))));
}

/** The exporter's checkpoint. */
export const CHECKPOINT: Target = {
  name: 'checkpoint',
  about: "the exporter's file of totals, epochs and what each sink was given",
  seeds: () => [seed()],
  words: ['egressd checkpoint\n', 'sink', 'node-a', 'first'],
  mend(input) {
    const file = Buffer.from(input);
    if (file.length < HEAD_BYTES) return file;
    file.writeUInt32LE(crc32(file.subarray(HEAD_BYTES)), CHECKSUM_AT);
    file.writeDoubleLE(file.length - HEAD_BYTES, CHECKSUM_AT + 4);
    return file;
  },
  run(input) {
    const read = decodeCheckpoint(Buffer.from(input));
    if (!read.ok) return;
    // What is taken for good is gone on from: a start that fails would fail again and again.
    const { mode, nodes, totals, sinks } = read.checkpoint;
    const [offsets, aggregate] = [new BatchOffsets(), new Aggregate()];
    offsets.restore(nodes);
    const restored = aggregate.restore(totals);
    for (const image of sinks.values()) new SinkState(SINK).restore(image, restored);
    const snapshot = aggregate.snapshot(4000, offsets.positions());
    must(snapshot.series.length === totals.ids.length, 'series are lost');
    const again = encodeCounted({ mode, nodes: offsets.image(() => undefined), totals: aggregate.image(snapshot) });
    must(decodeCheckpoint(Buffer.concat(encodeCheckpoint(again, sinks))).ok, 'written again, it cannot be read');
  },
};
