import type { Position } from '../../aggregate/snapshot.ts';
import { END, type Frame, type Mode, NOTHING, SAMPLE } from './frame.ts';
import type { Slots } from './slots.ts';

/** Collects the rows of one frame. */
export class FrameBuilder {
  readonly #slots: Slots;
  readonly #origin: string;
  readonly #mode: Mode;
  readonly #timeMs: number;
  readonly #startMs: number | undefined;
  readonly #identities: string[] = [];
  readonly #told: Uint32Array;
  readonly #kinds: Uint8Array;
  readonly #values: Float64Array;
  readonly #startKinds: Uint8Array;
  readonly #startValues: Float64Array;
  #begins = false;
  #paused = 0;
  #young = 0;

  /** @param startMs time of start samples; undefined: the receiver wants none */
  constructor(slots: Slots, origin: string, mode: Mode, timeMs: number, startMs: number | undefined) {
    this.#slots = slots;
    this.#origin = origin;
    this.#mode = mode;
    this.#timeMs = timeMs;
    this.#startMs = startMs;
    this.#told = new Uint32Array(slots.size);
    this.#kinds = new Uint8Array(slots.size * slots.width);
    this.#values = new Float64Array(slots.size * slots.width);
    this.#startKinds = new Uint8Array(slots.size * slots.width);
    this.#startValues = new Float64Array(slots.size * slots.width);
  }

  /** Adds what there is to tell of a slot. @returns false: there is nothing, and never will be */
  tell(slot: number): boolean {
    const slots = this.#slots;
    const { width } = slots;
    const first = slot * width;
    let risen = false;
    let begun = false;
    for (let unit = first; unit < first + width; unit++) {
      // Above 2^53 the receiver has a rounded total, so the two are compared as it sees them.
      risen ||= this.#mode === 'delta' ? slots.rise(unit) > 0 : slots.total(unit) !== slots.handed(unit);
      begun ||= slots.began[unit] === 1;
    }
    const ended = slots.members[slot] === 0;
    if (ended && !risen && !begun) return false;
    if (this.#mode === 'delta' && !risen) return true;
    if (slots.pausedUntilMs[slot]! > this.#timeMs) {
      this.#paused += width;
      return true;
    }
    const ends = ended && !risen;
    for (let counter = 0; counter < width; counter++) this.#tellUnit(first + counter, counter, ends);
    this.#told[this.#identities.length] = slot;
    this.#identities.push(slots.identities[slot]!);
    return true;
  }

  #tellUnit(unit: number, counter: number, ends: boolean): void {
    const slots = this.#slots;
    const at = this.#identities.length * slots.width + counter;
    const begun = slots.began[unit] === 1;
    if (ends) {
      this.#kinds[at] = begun ? END : NOTHING;
    } else if (this.#mode === 'delta') {
      const rise = slots.rise(unit);
      if (rise <= 0) return;
      this.#kinds[at] = SAMPLE;
      this.#values[at] = rise;
    } else if (!begun && this.#startMs !== undefined && this.#startMs >= this.#timeMs) {
      this.#young++;
    } else {
      this.#kinds[at] = SAMPLE;
      this.#values[at] = slots.total(unit);
      if (begun || this.#startMs === undefined) return;
      this.#begins = true;
      this.#startKinds[at] = SAMPLE;
      this.#startValues[at] = slots.handed(unit);
    }
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
      slots: this.#told.subarray(0, rows),
      paused: this.#paused,
      young: this.#young,
      position,
    };
    return {
      ...same,
      timeMs: this.#timeMs,
      kinds: this.#kinds.subarray(0, units),
      values: this.#values.subarray(0, units),
      starts: this.#startsOf(same, units),
    };
  }

  #startsOf(same: Omit<Frame, 'timeMs' | 'kinds' | 'values' | 'starts'>, units: number): Frame | undefined {
    if (!this.#begins || this.#startMs === undefined) return undefined;
    return {
      ...same,
      timeMs: this.#startMs,
      kinds: this.#startKinds.subarray(0, units),
      values: this.#startValues.subarray(0, units),
      starts: undefined,
    };
  }
}
