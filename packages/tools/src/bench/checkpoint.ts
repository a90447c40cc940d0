import type { AggregateImage } from '@egressd/exporter/aggregate/image';
import type { Snapshot } from '@egressd/exporter/aggregate/snapshot';
import { SinkState } from '@egressd/exporter/sinks/delivery/sink-state';
import { LabelWriter } from '@egressd/exporter/sinks/remote-write/labels';
import { decodeCheckpoint, encodeCheckpoint, encodeCounted } from '@egressd/exporter/state/checkpoint/format';
import { nsPerItem } from './numbers.ts';

interface CheckpointResult {
  /** Nanoseconds a series that the event loop is blocked: the totals once an export interval, the sink's state with each checkpoint. */
  readonly totals: number;
  readonly sinkState: number;
  readonly read: number;
  readonly bytes: number;
}

/** Encodes what an exporter with one sink knows, with a frame of all series under way, as it is at an export. */
export function benchCheckpoint(snapshot: Snapshot, image: () => AggregateImage): CheckpointResult {
  const labels = new LabelWriter({ labels: {}, regionLabels: false });
  const state = new SinkState({
    counters: ['txBytes'],
    maxSeries: 1_000_000,
    identityOf: (series) => labels.identityOf(series),
    startedMs: 0,
    intervalMs: 60_000,
  });
  state.absorb(snapshot);
  state.freeze(snapshot.timeMs, 'counter', new Map());
  const count = snapshot.series.length;
  const counted = () => encodeCounted({ mode: 'counter', nodes: [], totals: image() });
  const totals = counted();
  const checkpoint = () => encodeCheckpoint(totals, new Map([['sink', state.image(snapshot.series, [])]]));
  const bytes = Buffer.concat(checkpoint());
  return {
    totals: nsPerItem(count, counted),
    sinkState: nsPerItem(count, checkpoint),
    read: nsPerItem(count, () => decodeCheckpoint(bytes)),
    bytes: bytes.length / count,
  };
}
