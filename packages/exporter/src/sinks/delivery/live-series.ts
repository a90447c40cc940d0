import { Bug } from '@egressd/flow/bug';
import { riseOf, type Totals } from '../../aggregate/snapshot.ts';
import { grown } from './totals.ts';

const FIRST_CAPACITY = 1024;

/**
 * The live series of ours, each with the totals that were read from it last, in columns:
 *
 *   member              0      1      2
 *   slot                0      1      1      the series at the receiver that it counts into
 *   low, high           member * width + counter
 */
export class Members {
  readonly #width: number;
  readonly #byId = new Map<number, number>();
  readonly #free: number[] = [];
  #slot = new Uint32Array(FIRST_CAPACITY);
  #low: Float64Array;
  #high: Float64Array;
  #used = 0;

  constructor(width: number) {
    this.#width = width;
    this.#low = new Float64Array(FIRST_CAPACITY * width);
    this.#high = new Float64Array(FIRST_CAPACITY * width);
  }

  find(id: number): number | undefined {
    return this.#byId.get(id);
  }

  /** A member whose totals were zero. */
  add(id: number, slot: number): number {
    const member = this.#free.pop() ?? this.#used++;
    if (member >= this.#slot.length) this.#grow();
    this.#byId.set(id, member);
    this.#slot[member] = slot;
    this.#low.fill(0, member * this.#width, (member + 1) * this.#width);
    this.#high.fill(0, member * this.#width, (member + 1) * this.#width);
    return member;
  }

  /** @returns its slot; undefined where nobody has this id */
  remove(id: number): number | undefined {
    const member = this.#byId.get(id);
    if (member === undefined) return undefined;
    this.#byId.delete(id);
    this.#free.push(member);
    return this.#slot[member];
  }

  slotOf(member: number): number {
    return this.#slot[member]!;
  }

  /** What a counter rose by since it was read last; it is read now. */
  read(member: number, counter: number, totals: Totals, row: number): number {
    const at = member * this.#width + counter;
    const rise = riseOf(totals, row, this.#low[at]!, this.#high[at]!);
    if (rise === 0) return 0;
    if (rise < 0) throw new Bug(`a total fell by ${-rise}`);
    this.#low[at] = totals.low[row]!;
    this.#high[at] = totals.high[row]!;
    return rise;
  }

  #grow(): void {
    const members = this.#slot.length * 2;
    this.#slot = grown(this.#slot, members);
    this.#low = grown(this.#low, members * this.#width);
    this.#high = grown(this.#high, members * this.#width);
  }
}
