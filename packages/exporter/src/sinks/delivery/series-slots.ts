import { Bug } from '@egressd/flow/bug';
import { grown } from '@egressd/flow/grow';
import {
  addTo,
  type CumulativeTotals,
  growTotals,
  increaseOf,
  setTo,
  totalOf,
  zeroTotals,
} from '../../aggregate/totals.ts';
import { FREE_SLOT, type SinkStateImage } from './sink-state-image.ts';

const FIRST_CAPACITY = 1024;

/**
 * One slot for every series that the receiver sees, in columns; `width` counters a slot.
 *
 *   slot                   0      1      2 (free)
 *   identity               "..."  "..."  undefined
 *   liveCount              1      2      0           live series of the aggregate that count into it
 *   backoffUntilMs         0      t      0           was refused: left out of frames until then
 *   refusals               0      3      0           in a row
 *   unit = slot * width + counter
 *   total                  what all its series have counted, ended ones included
 *   accepted               what the receiver has accepted of that
 *   started                1: the receiver has a sample of this counter that later ones continue
 *   startMs                since when the next sample counts; 0: not known, or the sink does not ask (`Frame.startsMs`)
 *   acceptedMs             time of the last sample that the receiver has of a started counter, with the value `accepted`; 0: not known,
 *                          because a later one may have been stored and counts as refused
 */
export class SeriesSlots {
  readonly width: number;
  readonly identities: (string | undefined)[] = [];
  liveCount = new Uint32Array(FIRST_CAPACITY);
  backoffUntilMs = new Float64Array(FIRST_CAPACITY);
  refusals = new Uint8Array(FIRST_CAPACITY);
  started: Uint8Array;
  startMs: Float64Array;
  acceptedMs: Float64Array;
  readonly #total: CumulativeTotals;
  readonly #accepted: CumulativeTotals;
  readonly #byIdentity = new Map<string, number>();
  readonly #free: number[] = [];

  constructor(width: number) {
    this.width = width;
    this.started = new Uint8Array(FIRST_CAPACITY * width);
    this.startMs = new Float64Array(FIRST_CAPACITY * width);
    this.acceptedMs = new Float64Array(FIRST_CAPACITY * width);
    this.#total = zeroTotals(FIRST_CAPACITY * width);
    this.#accepted = zeroTotals(FIRST_CAPACITY * width);
  }

  /** Slots in use. */
  get size(): number {
    return this.#byIdentity.size;
  }

  find(identity: string): number | undefined {
    return this.#byIdentity.get(identity);
  }

  /** @returns a slot of zeros */
  allocate(identity: string): number {
    const slot = this.#free.pop() ?? this.identities.length;
    if (slot >= this.liveCount.length) this.#grow();
    this.identities[slot] = identity;
    this.#byIdentity.set(identity, slot);
    return slot;
  }

  free(slot: number): void {
    const identity = this.identities[slot];
    if (identity === undefined) throw new Bug(`slot ${slot} is free already`);
    this.#byIdentity.delete(identity);
    this.identities[slot] = undefined;
    this.liveCount[slot] = 0;
    this.backoffUntilMs[slot] = 0;
    this.refusals[slot] = 0;
    for (let unit = slot * this.width; unit < (slot + 1) * this.width; unit++) {
      this.started[unit] = 0;
      this.startMs[unit] = 0;
      this.acceptedMs[unit] = 0;
      setTo(this.#total, unit, 0);
      setTo(this.#accepted, unit, 0);
    }
    this.#free.push(slot);
  }

  /** Columns of the units, as long as there are slots. Valid until the next change. */
  units(): Pick<
    SinkStateImage,
    'started' | 'startMs' | 'acceptedMs' | 'totalLow' | 'totalHigh' | 'acceptedLow' | 'acceptedHigh'
  > {
    const units = this.identities.length * this.width;
    return {
      started: this.started.subarray(0, units),
      startMs: this.startMs.subarray(0, units),
      acceptedMs: this.acceptedMs.subarray(0, units),
      totalLow: this.#total.low.subarray(0, units),
      totalHigh: this.#total.high.subarray(0, units),
      acceptedLow: this.#accepted.low.subarray(0, units),
      acceptedHigh: this.#accepted.high.subarray(0, units),
    };
  }

  /** Takes over an image, before any slot was allocated. `liveCount` is not in it. */
  restore(image: SinkStateImage, identities: readonly (string | undefined)[]): void {
    while (this.liveCount.length < image.kinds.length) this.#grow();
    for (const [slot, kind] of image.kinds.entries()) {
      const identity = kind === FREE_SLOT ? undefined : identities[slot];
      this.identities.push(identity);
      if (identity === undefined) this.#free.push(slot);
      else this.#byIdentity.set(identity, slot);
    }
    this.backoffUntilMs.set(image.backoffUntilMs);
    this.refusals.set(image.refusals);
    this.started.set(image.started);
    this.startMs.set(image.startMs);
    this.acceptedMs.set(image.acceptedMs);
    this.#total.low.set(image.totalLow);
    this.#total.high.set(image.totalHigh);
    this.#accepted.low.set(image.acceptedLow);
    this.#accepted.high.set(image.acceptedHigh);
  }

  /** The receiver is another one and has nothing: what was not accepted before is all that it is to get. */
  resetAccepted(): void {
    for (let unit = 0; unit < this.identities.length * this.width; unit++) {
      setTo(this.#total, unit, Math.max(0, this.increase(unit)));
      setTo(this.#accepted, unit, 0);
    }
    this.forgetStarts();
    this.backoffUntilMs.fill(0);
    this.refusals.fill(0);
  }

  /** What is sent next continues nothing that was sent before. */
  forgetStarts(): void {
    this.started.fill(0);
    this.startMs.fill(0);
    this.acceptedMs.fill(0);
  }

  /** The total as a double. */
  total(unit: number): number {
    return totalOf(this.#total, unit);
  }

  /** What was accepted, as a double. */
  accepted(unit: number): number {
    return totalOf(this.#accepted, unit);
  }

  /** What was counted and not accepted yet. Below 0 only where a total above 2^53 was rounded up when it was sent. */
  increase(unit: number): number {
    return increaseOf(this.#total, unit, this.#accepted.low[unit]!, this.#accepted.high[unit]!);
  }

  count(unit: number, amount: number): void {
    addTo(this.#total, unit, amount);
  }

  /** The receiver has all up to this total. */
  acceptTotal(unit: number, total: number): void {
    setTo(this.#accepted, unit, total);
  }

  /** The receiver has this much more. */
  acceptIncrease(unit: number, increase: number): void {
    addTo(this.#accepted, unit, increase);
  }

  #grow(): void {
    const slots = this.liveCount.length * 2;
    this.liveCount = grown(this.liveCount, slots);
    this.backoffUntilMs = grown(this.backoffUntilMs, slots);
    this.refusals = grown(this.refusals, slots);
    this.started = grown(this.started, slots * this.width);
    this.startMs = grown(this.startMs, slots * this.width);
    this.acceptedMs = grown(this.acceptedMs, slots * this.width);
    growTotals(this.#total, slots * this.width);
    growTotals(this.#accepted, slots * this.width);
  }
}
