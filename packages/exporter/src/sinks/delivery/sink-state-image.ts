import type { Counter } from '../../aggregate/snapshot.ts';
import { increaseOf } from '../../aggregate/totals.ts';
import type { Frame, Mode } from './frame.ts';
import type { Part } from './part.ts';

/** What a slot is, as a number, because it fills a column. */
export const FREE_SLOT = 0;
export const USED_SLOT = 1;
/** One of `~other`. */
export const OTHER_SLOT = 2;

/** Kinds, values and time of the zero samples of a frame, which have the same rows. */
interface ZeroSamplesImage {
  readonly timeMs: number;
  readonly kinds: Uint8Array;
  readonly values: Float64Array;
}

/** A frame in flight: how much of it has arrived is not known. Its identities follow from its slots. */
export interface FrameImage {
  readonly mode: Mode;
  readonly timeMs: number;
  readonly slots: Uint32Array;
  readonly kinds: Uint8Array;
  readonly values: Float64Array;
  readonly inBackoff: number;
  readonly deferred: number;
  /** They come first; undefined: there are none, or they are settled and in the state. */
  readonly zeroSamples: ZeroSamplesImage | undefined;
  /** Parts that are not settled, of the zero samples where there are some: `from` and `to` by turns, in the order of `RequestSplitter`. */
  readonly remaining: Uint32Array;
}

/**
 * A sink's state at one moment, in columns, so that another process can resume from it. Totals of live series are not in it: their last
 * totals are what the aggregate's totals were at that moment.
 *
 *   row of the totals  -> slotOf
 *   slot               kinds    backoffUntilMs  refusals
 *   unit               started  startMs  acceptedMs  total  accepted      (slot * counters + counter)
 */
export interface SinkStateImage {
  /** What the identities of its slots mean. */
  readonly identityScheme: string;
  /** Which receiver has what this state says. */
  readonly receiverId: string;
  readonly counters: readonly Counter[];
  /** Part of the keys of its requests. */
  readonly origin: string;
  readonly mode: Mode | undefined;
  readonly lastMs: number;
  readonly slotOf: Uint32Array;
  readonly kinds: Uint8Array;
  /** Identities of slots whose series have all ended: those of the others follow from labels. */
  readonly ended: ReadonlyMap<number, string>;
  readonly backoffUntilMs: Float64Array;
  readonly refusals: Uint8Array;
  readonly started: Uint8Array;
  /** Zeros where the sink does not ask. */
  readonly startMs: Float64Array;
  readonly acceptedMs: Float64Array;
  readonly totalLow: Float64Array;
  readonly totalHigh: Float64Array;
  readonly acceptedLow: Float64Array;
  readonly acceptedHigh: Float64Array;
  readonly frame: FrameImage | undefined;
}

/** @param remaining its parts that are not settled */
export function imageOfFrame(frame: Frame, remaining: readonly Part[]): FrameImage {
  const { mode, timeMs, slots, kinds, values, inBackoff, deferred, zeroSamples } = frame;
  const bounds = Uint32Array.from(remaining.flatMap(({ from, to }) => [from, to]));
  const first = zeroSamples && { timeMs: zeroSamples.timeMs, kinds: zeroSamples.kinds, values: zeroSamples.values };
  return { mode, timeMs, slots, kinds, values, inBackoff, deferred, zeroSamples: first, remaining: bounds };
}

/** The parts of an image's frame that are not settled. */
export function remainingOf({ remaining }: FrameImage): Part[] {
  return Array.from({ length: remaining.length / 2 }, (_, i) => ({
    from: remaining[2 * i]!,
    to: remaining[2 * i + 1]!,
  }));
}

/**
 * The frame of an image. It has no position: what was committed before is not committed again.
 * @param startTimes whether its sink asks since when each value counts
 */
export function frameOf(
  image: SinkStateImage,
  identities: readonly (string | undefined)[],
  startTimes: boolean,
): Frame | undefined {
  const { frame, origin, counters } = image;
  if (frame === undefined) return undefined;
  const { zeroSamples, remaining: _, ...rest } = frame;
  const names = Array.from(frame.slots, (slot) => identities[slot]!);
  const of = { origin, width: counters.length, rows: frame.slots.length, identities: names, position: new Map() };
  const suspectsFrom = frame.slots.length;
  const same = { ...rest, ...of, suspectsFrom, startsMs: startTimes ? startsOf(image, frame.slots) : undefined };
  return { ...same, zeroSamples: zeroSamples && { ...same, ...zeroSamples, zeroSamples: undefined } };
}

/** By unit of a frame: since when it counts. A slot keeps that until the unit is accepted. */
function startsOf({ counters, startMs }: SinkStateImage, slots: Uint32Array): Float64Array {
  const width = counters.length;
  return Float64Array.from({ length: slots.length * width }, (_, unit) => {
    return startMs[slots[Math.floor(unit / width)]! * width + (unit % width)]!;
  });
}

/** What was counted and not accepted of a counter of a slot; zero for one that was not counted (-1). */
export function unacceptedOf(image: SinkStateImage, slot: number, counter: number): number {
  if (counter === -1) return 0;
  const { counters, totalLow, totalHigh, acceptedLow, acceptedHigh } = image;
  const unit = slot * counters.length + counter;
  const total = { low: totalLow, high: totalHigh };
  return Math.max(0, increaseOf(total, unit, acceptedLow[unit]!, acceptedHigh[unit]!));
}
