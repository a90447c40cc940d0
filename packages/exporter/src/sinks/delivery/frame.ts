import type { Position } from '../../aggregate/snapshot.ts';

/** Growing counters, or what they rose by since the last hand-over. */
export type Mode = 'counter' | 'delta';

/** What a unit says. Numbers, because they fill a column. */
export const NOTHING = 0;
/** The value, at the frame's time. */
export const SAMPLE = 1;
/** The counter ended: a stale marker at the frame's time. */
export const END = 2;

/**
 * What one sink is told at one moment, frozen. A row is a series at the receiver, a unit is one counter of it:
 *
 *   unit = row * width + counter      row 0          row 1
 *                                     tx | rx        tx | rx
 *   kinds                             k0 | k1        k2 | k3
 *   values                            v0 | v1        v2 | v3      the total; in delta mode the rise
 *
 * A sink of items (see `Form`) makes one item of a row, so its parts of a frame are whole rows, and its frames have no starts.
 *
 * Counters that begin have their start sample in a frame of its own, `starts`, of the same rows at an earlier time. It goes before,
 * in other requests: a database refuses to take an older sample again, so a repeated request may hold one sample a series only
 * (Prometheus answers 400 `out of order sample` to a repeated start and value: tried).
 */
export interface Frame {
  /** Of the ledger: with the time it tells this frame from any other that there ever was. */
  readonly origin: string;
  readonly mode: Mode;
  /** Unix milliseconds, later than those of the frame before. */
  readonly timeMs: number;
  readonly width: number;
  readonly rows: number;
  readonly identities: readonly string[];
  readonly kinds: Uint8Array;
  readonly values: Float64Array;
  /** By row: where the ledger keeps it. */
  readonly slots: Uint32Array;
  /** Units that wait because the receiver refused them a short while ago. */
  readonly paused: number;
  /** Units that wait for the next frame because there is no room yet for a start sample before theirs. */
  readonly young: number;
  readonly position: Position;
  /** What must be accepted before a unit of this frame: a sample where its counter begins. Its time lies before `timeMs`. */
  readonly starts: Frame | undefined;
}

/** Number of units in the frame. */
export function unitsOf(frame: Frame): number {
  return frame.rows * frame.width;
}
