import type { Counter, SeriesLabels, Snapshot } from '@egressd/exporter/aggregate/snapshot';
import { type Frame, unitsOf } from '@egressd/exporter/sinks/delivery/frame';
import { SinkState } from '@egressd/exporter/sinks/delivery/sink-state';
import { nsPerItem } from './numbers.ts';

/** How a sink writes its bodies. */
interface BodyWriter {
  readonly counters: readonly Counter[];
  readonly startTimes: boolean;
  readonly identityOf: (labels: SeriesLabels) => string;
  /** The bytes are a copy already; not set: they are valid until the next. */
  readonly copies?: true;
  /** Of units from `from` to at most `to`. */
  readonly encode: (frame: Frame, from: number, to: number) => { readonly bytes: Uint8Array; readonly end: number };
}

/** What the bodies of a snapshot cost, by series. */
export interface BodyCost {
  /** Nanoseconds: from a snapshot's totals to the bodies of its requests, and their compression. */
  readonly encode: number;
  readonly compress: number;
  readonly bytes: number;
  readonly compressedBytes: number;
}

/** Makes the bodies of the next interval each time it is called; the zero samples are sent already. */
export function bodyMaker(snapshot: Snapshot, { encode, copies, ...writer }: BodyWriter): () => Uint8Array[] {
  const state = new SinkState({ ...writer, maxSeries: 1_000_000, startedMs: 0, intervalMs: 60_000 });
  let now = snapshot.timeMs;
  const bodies = () => {
    now += 60_000;
    state.absorb({ ...snapshot, timeMs: now });
    const frame = state.freeze(now, 'counter', new Map());
    const made: Uint8Array[] = [];
    for (let from = 0; from < unitsOf(frame); ) {
      const { bytes, end } = encode(frame, from, unitsOf(frame));
      made.push(copies ? bytes : bytes.slice());
      state.accepted(frame, from, end);
      from = end;
    }
    return made;
  };
  bodies();
  return bodies;
}

/** Measures the bodies of one interval. */
export function measureBodies(
  series: number,
  bodies: () => Uint8Array[],
  compress: (bytes: Uint8Array) => Uint8Array,
): BodyCost {
  const made = bodies();
  const size = (all: readonly Uint8Array[]) => all.reduce((sum, bytes) => sum + bytes.length, 0);
  return {
    encode: nsPerItem(series, bodies),
    compress: nsPerItem(series, () => made.map(compress)),
    bytes: size(made) / series,
    compressedBytes: size(made.map(compress)) / series,
  };
}
