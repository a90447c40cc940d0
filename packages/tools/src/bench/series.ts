import { create, toBinary } from '@bufbuild/protobuf';
import type { Snapshot } from '@egressd/exporter/aggregate/snapshot';
import { totalOf } from '@egressd/exporter/aggregate/totals';
import { WriteRequestEncoder } from '@egressd/exporter/sinks/remote-write/encode';
import { RequestEncoder } from '@egressd/exporter/sinks/remote-write/encode-v2';
import { LabelWriter } from '@egressd/exporter/sinks/remote-write/labels';
import { WriteRequestSchema } from '@egressd/flow/gen/prometheus/v1/remote_pb';
import { protocolName } from '@egressd/flow/protocol';
import { compressSync } from 'snappy';
import { type BodyCost, bodyMaker, measureBodies } from './bodies.ts';
import { nsPerItem } from './numbers.ts';

const COUNTERS = ['txBytes'] as const;

interface SeriesResult extends BodyCost {
  readonly series: number;
  /** Nanoseconds a series: the same bodies by protobuf-es from objects. */
  readonly plain: number;
  /** The same series by remote write 2.0, with metadata and start times. */
  readonly second: BodyCost;
}

/** Brings a snapshot into remote-write bodies, as every export interval does. */
export function benchSeries(snapshot: Snapshot): SeriesResult {
  const labels = new LabelWriter({ labels: {}, regionLabels: false });
  const encoder = new WriteRequestEncoder(labels, COUNTERS);
  const bodies = bodyMaker(snapshot, {
    counters: COUNTERS,
    startTimes: false,
    identityOf: (series) => labels.identityOf(series),
    encode: (frame, from, to) => encoder.encode(frame, from, to),
  });
  const encoder2 = new RequestEncoder(labels, COUNTERS);
  const bodies2 = bodyMaker(snapshot, {
    counters: COUNTERS,
    startTimes: true,
    identityOf: (series) => labels.identityOf(series),
    encode: (frame, from, to) => encoder2.encode(frame, from, to),
  });
  const count = snapshot.series.length;
  const compress = (bytes: Uint8Array) => compressSync(bytes, { copyOutputData: true });
  return {
    series: count,
    ...measureBodies(count, bodies, compress),
    second: measureBodies(count, bodies2, compress),
    plain: nsPerItem(count, () => plainBody(snapshot)),
  };
}

/** What a program without any thought of its cost would do. */
function plainBody({ series, totals, timeMs }: Snapshot): Uint8Array {
  const timeseries = series.map(
    ({ labels: { protocol, cross_zone, src_region, dst_region, scope, source, destination, ...rest } }, row) => {
      const pairs = {
        ...rest,
        __name__: 'egressd_transmit_bytes_total',
        proto: protocolName(protocol),
        cross_zone: String(cross_zone),
      };
      return {
        labels: Object.entries(pairs)
          .filter(([, value]) => value !== '')
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, value]) => ({ name, value })),
        samples: [{ value: totalOf(totals.txBytes, row), timestamp: BigInt(timeMs) }],
      };
    },
  );
  return toBinary(WriteRequestSchema, create(WriteRequestSchema, { timeseries }));
}
