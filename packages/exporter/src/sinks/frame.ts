import type { Position } from '../aggregate/snapshot.ts';

/** Growing counters, or what they rose by since the last hand-over. */
export type Mode = 'counter' | 'delta';

/** What a unit says. Numbers, because they fill a column. */
export const NOTHING = 0;
/** The value, at the frame's time. */
export const SAMPLE = 1;
/** First of a counter: its start value at the frame's start time, then the value at the frame's time. */
export const FIRST_SAMPLE = 2;
/** The counter ended: a stale marker at the frame's time. */
export const END = 3;

/**
 * What one sink is told at one moment, frozen. A row is a series at the receiver, a unit is one counter of it:
 *
 *   unit = row * width + counter      row 0          row 1
 *                                     tx | rx        tx | rx
 *   kinds                             k0 | k1        k2 | k3
 *   values                            v0 | v1        v2 | v3      the total; in delta mode the rise
 *   startValues                       s0 | s1        s2 | s3      of a first sample
 */
export interface Frame {
  readonly mode: Mode;
  /** Unix milliseconds, later than those of the frame before. */
  readonly timeMs: number;
  /** When the start values of this frame count: before `timeMs`, after the frame before and the exporter's start. */
  readonly startMs: number;
  readonly width: number;
  readonly rows: number;
  readonly identities: readonly string[];
  readonly kinds: Uint8Array;
  readonly values: Float64Array;
  readonly startValues: Float64Array;
  /** By row: where the ledger keeps it. */
  readonly slots: Uint32Array;
  /** Units that wait because the receiver refused them a short while ago. */
  readonly paused: number;
  /** Units that wait for the next frame because there is no room yet for a start sample before theirs. */
  readonly young: number;
  readonly position: Position;
}

/** Number of units in the frame. */
export function unitsOf(frame: Frame): number {
  return frame.rows * frame.width;
}
