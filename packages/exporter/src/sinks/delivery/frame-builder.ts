import type { Position } from '../../aggregate/snapshot.ts';
import { type Frame, type Mode, NO_SAMPLE, SAMPLE, STALE } from './frame.ts';
import type { SeriesSlots } from './series-slots.ts';

/** The most that one delta has: exact in a double, and room in any integer of 64 bits. What is beyond goes with the next frame. */
const MAX_INCREASE = Number.MAX_SAFE_INTEGER;

/** What all rows of a frame have in common. */
interface FrameOptions {
  readonly origin: string;
  readonly mode: Mode;
  readonly timeMs: number;
  /** Time of zero samples; undefined: the receiver wants none. */
  readonly zeroSampleMs: number | undefined;
  /** A started counter whose last sample is older has a gap before this frame. */
  readonly gapBeforeMs: number;
  /** Whether the frame says since when each value counts. */
  readonly startTimes: boolean;
}

/** Collects the rows of one frame. */
export class FrameBuilder {
  readonly #slots: SeriesSlots;
  readonly #origin: string;
  readonly #mode: Mode;
  readonly #timeMs: number;
  readonly #zeroSampleMs: number | undefined;
  readonly #gapBeforeMs: number;
  readonly #startsMs: Float64Array | undefined;
  readonly #identities: string[] = [];
  readonly #rowSlots: Uint32Array;
  readonly #kinds: Uint8Array;
  readonly #values: Float64Array;
  readonly #zeroKinds: Uint8Array;
  readonly #zeroValues: Float64Array;
  #hasZeroSamples = false;
  #suspectsFrom = 0;
  #inBackoff = 0;
  #deferred = 0;

  constructor(slots: SeriesSlots, { origin, mode, timeMs, zeroSampleMs, gapBeforeMs, startTimes }: FrameOptions) {
    this.#slots = slots;
    this.#origin = origin;
    this.#mode = mode;
    this.#timeMs = timeMs;
    this.#zeroSampleMs = zeroSampleMs;
    this.#gapBeforeMs = gapBeforeMs;
    this.#startsMs = startTimes ? new Float64Array(slots.size * slots.width) : undefined;
    this.#rowSlots = new Uint32Array(slots.size);
    this.#kinds = new Uint8Array(slots.size * slots.width);
    this.#values = new Float64Array(slots.size * slots.width);
    this.#zeroKinds = new Uint8Array(slots.size * slots.width);
    this.#zeroValues = new Float64Array(slots.size * slots.width);
  }

  /** What is added from now on was refused before. */
  beginSuspects(): void {
    this.#suspectsFrom = this.#identities.length;
  }

  /** Adds the samples of a slot, where it has any. @returns false: it has none, and never will */
  add(slot: number): boolean {
    const slots = this.#slots;
    const { width } = slots;
    const first = slot * width;
    let increased = false;
    let started = false;
    for (let unit = first; unit < first + width; unit++) {
      // Above 2^53 the receiver has a rounded total, so the two are compared as it sees them.
      increased ||= this.#mode === 'delta' ? slots.increase(unit) > 0 : slots.total(unit) !== slots.accepted(unit);
      started ||= slots.started[unit] === 1;
    }
    const ended = slots.liveCount[slot] === 0;
    if (ended && !increased && !started) return false;
    if (this.#mode === 'delta' && !increased) return true;
    if (slots.backoffUntilMs[slot]! > this.#timeMs) {
      this.#inBackoff += width;
      return true;
    }
    const stale = ended && !increased;
    for (let counter = 0; counter < width; counter++) this.#addUnit(first + counter, counter, stale);
    this.#rowSlots[this.#identities.length] = slot;
    this.#identities.push(slots.identities[slot]!);
    return true;
  }

  #addUnit(unit: number, counter: number, stale: boolean): void {
    const slots = this.#slots;
    const at = this.#identities.length * slots.width + counter;
    const started = slots.started[unit] === 1;
    if (this.#startsMs !== undefined) this.#startsMs[at] = this.#startOf(unit, started);
    if (stale) {
      this.#kinds[at] = started ? STALE : NO_SAMPLE;
    } else if (this.#mode === 'delta') {
      const increase = slots.increase(unit);
      if (increase <= 0) return;
      this.#kinds[at] = SAMPLE;
      this.#values[at] = Math.min(increase, MAX_INCREASE);
    } else if (!started && this.#zeroSampleMs !== undefined && this.#zeroSampleMs >= this.#timeMs) {
      this.#deferred++;
    } else {
      this.#kinds[at] = SAMPLE;
      this.#values[at] = slots.total(unit);
      if (this.#zeroSampleMs === undefined || (started && !this.#hasGap(unit, this.#zeroSampleMs))) return;
      this.#hasZeroSamples = true;
      this.#zeroKinds[at] = SAMPLE;
      this.#zeroValues[at] = slots.accepted(unit);
    }
  }

  /**
   * Whether what a started counter increased by falls into a gap: no window of a query holds the samples on both sides of it. Its last
   * value goes once more, after the gap.
   */
  #hasGap(unit: number, againMs: number): boolean {
    const { acceptedMs } = this.#slots;
    const lastMs = acceptedMs[unit]!;
    if (lastMs === 0 || lastMs >= this.#gapBeforeMs || againMs >= this.#timeMs) return false;
    return this.#slots.total(unit) !== this.#slots.accepted(unit);
  }

  /** Since when the next value of a unit counts. A counter that is to start does so with its zero sample. */
  #startOf(unit: number, started: boolean): number {
    const { startMs } = this.#slots;
    const begins = this.#mode === 'delta' ? startMs[unit] === 0 : !started;
    if (begins) startMs[unit] = this.#zeroSampleMs ?? 0;
    return startMs[unit]!;
  }

  build(position: Position): Frame {
    const rows = this.#identities.length;
    const units = rows * this.#slots.width;
    const same = {
      origin: this.#origin,
      mode: this.#mode,
      width: this.#slots.width,
      rows,
      identities: this.#identities,
      slots: this.#rowSlots.subarray(0, rows),
      startsMs: this.#startsMs?.subarray(0, units),
      suspectsFrom: this.#suspectsFrom,
      inBackoff: this.#inBackoff,
      deferred: this.#deferred,
      position,
    };
    return {
      ...same,
      timeMs: this.#timeMs,
      kinds: this.#kinds.subarray(0, units),
      values: this.#values.subarray(0, units),
      zeroSamples: this.#zeroSamplesOf(same, units),
    };
  }

  #zeroSamplesOf(same: Omit<Frame, 'timeMs' | 'kinds' | 'values' | 'zeroSamples'>, units: number): Frame | undefined {
    if (!this.#hasZeroSamples || this.#zeroSampleMs === undefined) return undefined;
    return {
      ...same,
      timeMs: this.#zeroSampleMs,
      kinds: this.#zeroKinds.subarray(0, units),
      values: this.#zeroValues.subarray(0, units),
      zeroSamples: undefined,
    };
  }
}
