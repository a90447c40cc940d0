import type { Position } from '../../aggregate/snapshot.ts';

/** Cumulative counters, or what they increased by since the last sample that was accepted (OpenTelemetry: temporality). */
export type Mode = 'counter' | 'delta';

/** What a unit holds. Numbers, because they fill a column. */
export const NO_SAMPLE = 0;
/** The value, at the frame's time. */
export const SAMPLE = 1;
/** The counter ended: a stale marker at the frame's time. */
export const STALE = 2;

/**
 * What is sent to one sink for one snapshot, frozen. A row is a series at the receiver, a unit is one counter of it:
 *
 *   unit = row * width + counter      row 0          row 1
 *                                     tx | rx        tx | rx
 *   kinds                             k0 | k1        k2 | k3
 *   values                            v0 | v1        v2 | v3      the total; in delta mode the increase
 *   startsMs                          s0 | s1        s2 | s3      since when it counts, only for sinks that ask (`Sink.startTimes`)
 *
 * A sink of items (see `Form`) makes one item of a row, so its parts of a frame are whole rows, and its frames have no zero samples.
 *
 * Counters that start have their zero sample in a frame of its own, `zeroSamples`, of the same rows at an earlier time. It goes before,
 * in other requests: a database refuses an older sample as out of order once it has a newer one, so a request that may be repeated holds
 * one sample a series only (Prometheus answers 400 `out of order sample` to a repeated zero sample and value: tried).
 */
export interface Frame {
  /** Of the sink state: with the time it distinguishes this frame from any other that there ever was. */
  readonly origin: string;
  readonly mode: Mode;
  /** Unix milliseconds, later than those of the frame before. */
  readonly timeMs: number;
  readonly width: number;
  readonly rows: number;
  readonly identities: readonly string[];
  readonly kinds: Uint8Array;
  readonly values: Float64Array;
  /**
   * By unit, Unix milliseconds: since when its value counts. Of a cumulative counter the time of its zero sample, of a delta that of the
   * last one accepted; 0: not known. Not set: the sink does not ask.
   */
  readonly startsMs: Float64Array | undefined;
  /** By row: its slot in the sink state. */
  readonly slots: Uint32Array;
  /** From this row on series were refused before, and are tried again. */
  readonly suspectsFrom: number;
  /** Units left out: their series was refused a short while ago and is in backoff. */
  readonly inBackoff: number;
  /** Units deferred to the next frame: there is no room yet for a zero sample before theirs. */
  readonly deferred: number;
  readonly position: Position;
  /**
   * What must be accepted before a unit of this frame: a sample where its counter starts (as a created timestamp's), with what was accepted
   * of it before: zero, but for a change of mode. Its time lies before `timeMs`. Also the last value of a counter once more, where there
   * is a gap before this frame; that one may be refused.
   */
  readonly zeroSamples: Frame | undefined;
}

/** Number of units in the frame. */
export function unitsOf(frame: Frame): number {
  return frame.rows * frame.width;
}
