import { Bug } from '@egressd/flow/bug';
import { riseOf, totalOf } from '../../aggregate/snapshot.ts';
import { FREE_SLOT, type LedgerImage } from './sink-state-image.ts';
import { addTo, type GrowingTotals, grown, setTo } from './totals.ts';

const FIRST_CAPACITY = 1024;

/**
 * One slot for every series that the receiver sees, in columns; `width` counters a slot.
 *
 *   slot                   0      1      2 (free)
 *   identity               "..."  "..."  undefined
 *   members                1      2      0           live series of ours behind it
 *   pausedUntilMs          0      t      0           refused a short while ago: left out until then
 *   refusals               0      3      0           times in a row
 *   unit = slot * width + counter
 *   total                  what all series behind it have counted, ended ones included
 *   handed                 what the receiver has accepted of that
 *   began                  1: the receiver has a sample of this counter that later ones go on from
 */
export class Slots {
  readonly width: number;
  readonly identities: (string | undefined)[] = [];
  members = new Uint32Array(FIRST_CAPACITY);
  pausedUntilMs = new Float64Array(FIRST_CAPACITY);
  refusals = new Uint8Array(FIRST_CAPACITY);
  began: Uint8Array;
  readonly #total: GrowingTotals;
  readonly #handed: GrowingTotals;
  readonly #byIdentity = new Map<string, number>();
  readonly #free: number[] = [];

  constructor(width: number) {
    this.width = width;
    this.began = new Uint8Array(FIRST_CAPACITY * width);
    this.#total = zeros(FIRST_CAPACITY * width);
    this.#handed = zeros(FIRST_CAPACITY * width);
  }

  /** Slots in use. */
  get size(): number {
    return this.#byIdentity.size;
  }

  find(identity: string): number | undefined {
    return this.#byIdentity.get(identity);
  }

  /** A slot of zeros. */
  take(identity: string): number {
    const slot = this.#free.pop() ?? this.identities.length;
    if (slot >= this.members.length) this.#grow();
    this.identities[slot] = identity;
    this.#byIdentity.set(identity, slot);
    return slot;
  }

  free(slot: number): void {
    const identity = this.identities[slot];
    if (identity === undefined) throw new Bug(`slot ${slot} is free already`);
    this.#byIdentity.delete(identity);
    this.identities[slot] = undefined;
    this.members[slot] = 0;
    this.pausedUntilMs[slot] = 0;
    this.refusals[slot] = 0;
    for (let unit = slot * this.width; unit < (slot + 1) * this.width; unit++) {
      this.began[unit] = 0;
      setTo(this.#total, unit, 0);
      setTo(this.#handed, unit, 0);
    }
    this.#free.push(slot);
  }

  /** Columns of the units, as long as there are slots. Valid until the next change. */
  units(): Pick<LedgerImage, 'began' | 'totalLow' | 'totalHigh' | 'handedLow' | 'handedHigh'> {
    const units = this.identities.length * this.width;
    return {
      began: this.began.subarray(0, units),
      totalLow: this.#total.low.subarray(0, units),
      totalHigh: this.#total.high.subarray(0, units),
      handedLow: this.#handed.low.subarray(0, units),
      handedHigh: this.#handed.high.subarray(0, units),
    };
  }

  /** Takes over an image, before any slot was taken. Members are not in it. */
  restore(image: LedgerImage, identities: readonly (string | undefined)[]): void {
    while (this.members.length < image.kinds.length) this.#grow();
    for (const [slot, kind] of image.kinds.entries()) {
      const identity = kind === FREE_SLOT ? undefined : identities[slot];
      this.identities.push(identity);
      if (identity === undefined) this.#free.push(slot);
      else this.#byIdentity.set(identity, slot);
    }
    this.pausedUntilMs.set(image.pausedUntilMs);
    this.refusals.set(image.refusals);
    this.began.set(image.began);
    this.#total.low.set(image.totalLow);
    this.#total.high.set(image.totalHigh);
    this.#handed.low.set(image.handedLow);
    this.#handed.high.set(image.handedHigh);
  }

  /** The receiver is another one: it has nothing, and is to be told what nobody has accepted yet. */
  forgetReceiver(): void {
    for (let unit = 0; unit < this.identities.length * this.width; unit++) {
      setTo(this.#total, unit, Math.max(0, this.rise(unit)));
      setTo(this.#handed, unit, 0);
    }
    this.began.fill(0);
    this.pausedUntilMs.fill(0);
    this.refusals.fill(0);
  }

  /** The total as a double. */
  total(unit: number): number {
    return totalOf(this.#total, unit);
  }

  /** What was accepted, as a double. */
  handed(unit: number): number {
    return totalOf(this.#handed, unit);
  }

  /** What was counted and not accepted yet. Below 0 only where a total above 2^53 was rounded up when it was sent. */
  rise(unit: number): number {
    return riseOf(this.#total, unit, this.#handed.low[unit]!, this.#handed.high[unit]!);
  }

  count(unit: number, amount: number): void {
    addTo(this.#total, unit, amount);
  }

  /** The receiver has all up to this total. */
  handTotal(unit: number, total: number): void {
    setTo(this.#handed, unit, total);
  }

  /** The receiver has this much more. */
  handRise(unit: number, rise: number): void {
    addTo(this.#handed, unit, rise);
  }

  #grow(): void {
    const slots = this.members.length * 2;
    this.members = grown(this.members, slots);
    this.pausedUntilMs = grown(this.pausedUntilMs, slots);
    this.refusals = grown(this.refusals, slots);
    this.began = grown(this.began, slots * this.width);
    for (const totals of [this.#total, this.#handed]) {
      totals.low = grown(totals.low, slots * this.width);
      totals.high = grown(totals.high, slots * this.width);
    }
  }
}

function zeros(length: number): GrowingTotals {
  return { low: new Float64Array(length), high: new Float64Array(length) };
}
