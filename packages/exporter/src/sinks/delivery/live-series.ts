import { Bug } from '@egressd/flow/bug';
import { grown } from '@egressd/flow/grow';
import { type CumulativeTotals, growTotals, increaseOf, type Totals, zeroTotals } from '../../aggregate/totals.ts';

const FIRST_CAPACITY = 1024;

/**
 * The live series of the aggregate, each with its totals at the last snapshot, in columns:
 *
 *   entry               0      1      2
 *   slot                0      1      1      the slot at the receiver that it counts into
 *   low, high           entry * width + counter
 */
export class LiveSeries {
  readonly #width: number;
  readonly #byId = new Map<number, number>();
  readonly #free: number[] = [];
  #slot = new Uint32Array(FIRST_CAPACITY);
  readonly #last: CumulativeTotals;
  #used = 0;

  /** @param width counters a series */
  constructor(width: number) {
    this.#width = width;
    this.#last = zeroTotals(FIRST_CAPACITY * width);
  }

  /** The entry of a series; undefined: it is not there. */
  find(id: number): number | undefined {
    return this.#byId.get(id);
  }

  /** @returns an entry whose last totals are zero */
  add(id: number, slot: number): number {
    const entry = this.#free.pop() ?? this.#used++;
    if (entry >= this.#slot.length) this.#grow();
    this.#byId.set(id, entry);
    this.#slot[entry] = slot;
    this.#last.low.fill(0, entry * this.#width, (entry + 1) * this.#width);
    this.#last.high.fill(0, entry * this.#width, (entry + 1) * this.#width);
    return entry;
  }

  /** @returns the slot that it counted into; undefined: there is no such series */
  remove(id: number): number | undefined {
    const entry = this.#byId.get(id);
    if (entry === undefined) return undefined;
    this.#byId.delete(id);
    this.#free.push(entry);
    return this.#slot[entry];
  }

  slotOf(entry: number): number {
    return this.#slot[entry]!;
  }

  /** What a counter increased by since the last snapshot; its total in row `row` is the last one from now on. */
  takeIncrease(entry: number, counter: number, totals: Totals, row: number): number {
    const at = entry * this.#width + counter;
    const last = this.#last;
    const increase = increaseOf(totals, row, last.low[at]!, last.high[at]!);
    if (increase === 0) return 0;
    if (increase < 0) throw new Bug(`a total fell by ${-increase}`);
    last.low[at] = totals.low[row]!;
    last.high[at] = totals.high[row]!;
    return increase;
  }

  #grow(): void {
    const entries = this.#slot.length * 2;
    this.#slot = grown(this.#slot, entries);
    growTotals(this.#last, entries * this.#width);
  }
}
