import { type Counter, HIGH_UNIT } from '../../aggregate/snapshot.ts';
import type { Frame, Mode } from './frame.ts';
import type { Part } from './request-splitter.ts';

/** What a slot is, as a number, because it fills a column. */
export const FREE_SLOT = 0;
export const USED_SLOT = 1;
/** One of `~other`. */
export const OTHER_SLOT = 2;

/** Kinds, values and time of the starts of a frame, which has the same rows. */
export interface StartsImage {
  readonly timeMs: number;
  readonly kinds: Uint8Array;
  readonly values: Float64Array;
}

/** A frame of which nobody knows how much has arrived. Its identities follow from its slots. */
export interface FrameImage {
  readonly mode: Mode;
  readonly timeMs: number;
  readonly slots: Uint32Array;
  readonly kinds: Uint8Array;
  readonly values: Float64Array;
  readonly paused: number;
  readonly young: number;
  /** They come first; undefined: there are none, or what became of them is in the books. */
  readonly starts: StartsImage | undefined;
  /** What is not settled of it, of the starts where there are some: in the order of `Parts`, begin and end by turns. */
  readonly left: Uint32Array;
}

/**
 * A sink's books at one moment, in columns, so that another process can go on from there. Totals of series that live are not in it:
 * what was read from them last is what the totals were at that moment.
 *
 *   row of the totals  -> slotOf
 *   slot               kinds  pausedUntilMs  refusals
 *   unit               began  total  handed              (slot * counters + counter)
 */
export interface LedgerImage {
  /** What the identities of its slots mean. */
  readonly scheme: string;
  /** Whose books these are. */
  readonly receiver: string;
  readonly counters: readonly Counter[];
  /** Part of the keys of its requests. */
  readonly origin: string;
  readonly mode: Mode | undefined;
  readonly lastMs: number;
  readonly slotOf: Uint32Array;
  readonly kinds: Uint8Array;
  /** Identities of slots behind which no series lives any more: those of the others follow from labels. */
  readonly ended: ReadonlyMap<number, string>;
  readonly pausedUntilMs: Float64Array;
  readonly refusals: Uint8Array;
  readonly began: Uint8Array;
  readonly totalLow: Float64Array;
  readonly totalHigh: Float64Array;
  readonly handedLow: Float64Array;
  readonly handedHigh: Float64Array;
  readonly frame: FrameImage | undefined;
}

/** @param left what is not settled of it */
export function imageOfFrame(frame: Frame, left: readonly Part[]): FrameImage {
  const { mode, timeMs, slots, kinds, values, paused, young, starts } = frame;
  const bounds = Uint32Array.from(left.flatMap(({ from, to }) => [from, to]));
  const first = starts && { timeMs: starts.timeMs, kinds: starts.kinds, values: starts.values };
  return { mode, timeMs, slots, kinds, values, paused, young, starts: first, left: bounds };
}

/** The frame of an image. It is of no position: what was committed before is not committed again. */
export function frameOf(image: LedgerImage, identities: readonly (string | undefined)[]): Frame | undefined {
  const { frame, origin, counters } = image;
  if (frame === undefined) return undefined;
  const { starts, left: _, ...rest } = frame;
  const names = Array.from(frame.slots, (slot) => identities[slot]!);
  const of = { origin, width: counters.length, rows: frame.slots.length, identities: names, position: new Map() };
  const same = { ...rest, ...of };
  return { ...same, starts: starts && { ...same, ...starts, starts: undefined } };
}

/** What nobody has accepted of a counter of a slot; of one that was not counted: nothing. */
export function untold(image: LedgerImage, slot: number, counter: number): number {
  if (counter === -1) return 0;
  const { counters, totalLow, totalHigh, handedLow, handedHigh } = image;
  const unit = slot * counters.length + counter;
  return Math.max(0, (totalHigh[unit]! - handedHigh[unit]!) * HIGH_UNIT + (totalLow[unit]! - handedLow[unit]!));
}
