import { create, toBinary } from '@bufbuild/protobuf';
import type { Snapshot } from '@egressd/exporter/aggregate/snapshot';
import { totalOf } from '@egressd/exporter/aggregate/totals';
import { unitsOf } from '@egressd/exporter/sinks/delivery/frame';
import { SinkState } from '@egressd/exporter/sinks/delivery/sink-state';
import { WriteRequestEncoder } from '@egressd/exporter/sinks/remote-write/encode';
import { LabelWriter } from '@egressd/exporter/sinks/remote-write/labels';
import { WriteRequestSchema } from '@egressd/flow/gen/prometheus/v1/remote_pb';
import { protocolName } from '@egressd/flow/protocol';
import { compressSync } from 'snappy';
import { nsPerItem } from './numbers.ts';

const COUNTERS = ['txBytes'] as const;

interface SeriesResult {
  readonly series: number;
  /** Nanoseconds a series: from a snapshot's totals to the bodies of its requests, and their compression. */
  readonly encode: number;
  readonly compress: number;
  /** The same bodies by protobuf-es from objects. */
  readonly plain: number;
  readonly bytes: number;
  readonly compressedBytes: number;
}

/** Brings a snapshot into remote-write bodies, as every export interval does. */
export function benchSeries(snapshot: Snapshot): SeriesResult {
  const settings = { labels: {}, sendReceivedBytesMetric: false, sendPacketsMetric: false, regionLabels: false };
  const labels = new LabelWriter(settings);
  const encoder = new WriteRequestEncoder(labels, COUNTERS);
  const state = new SinkState({
    counters: COUNTERS,
    maxSeries: 1_000_000,
    identityOf: (series) => labels.identityOf(series),
    startedMs: 0,
    intervalMs: 60_000,
  });
  let now = snapshot.timeMs;
  const bodies = () => {
    now += 60_000;
    state.absorb({ ...snapshot, timeMs: now });
    const frame = state.freeze(now, 'counter', new Map());
    const made: Uint8Array[] = [];
    for (let from = 0; from < unitsOf(frame); ) {
      const { bytes, end } = encoder.encode(frame, from, unitsOf(frame));
      made.push(bytes.slice());
      state.accepted(frame, from, end);
      from = end;
    }
    return made;
  };
  bodies();
  const made = bodies();
  const size = (all: readonly Uint8Array[]) => all.reduce((sum, bytes) => sum + bytes.length, 0);
  const count = snapshot.series.length;
  return {
    series: count,
    encode: nsPerItem(count, bodies),
    compress: nsPerItem(count, () => made.map((bytes) => compressSync(bytes, { copyOutputData: true }))),
    plain: nsPerItem(count, () => plainBody(snapshot)),
    bytes: size(made) / count,
    compressedBytes: size(made.map((bytes) => compressSync(bytes))) / count,
  };
}

/** What a program without any thought of its cost would do. */
function plainBody({ series, totals, timeMs }: Snapshot): Uint8Array {
  const timeseries = series.map(({ labels: { protocol, cross_zone, src_region, dst_region, scope, ...rest } }, row) => {
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
  });
  return toBinary(WriteRequestSchema, create(WriteRequestSchema, { timeseries }));
}
