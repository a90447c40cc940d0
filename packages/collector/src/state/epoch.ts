import { randomUUID } from 'node:crypto';

/**
 * The present epoch (as a producer's epoch: a UUID, new whenever a collector starts without its state) and the batch numbers within
 * it, from 1.
 */
export class Epoch {
  #name: string;
  #last: number;

  /** @param before the epoch to continue */
  constructor(before: { readonly name: string; readonly last: number } = { name: randomUUID(), last: 0 }) {
    this.#name = before.name;
    this.#last = before.last;
  }

  get name(): string {
    return this.#name;
  }

  /** The number of the last batch; 0: none. */
  get last(): number {
    return this.#last;
  }

  /** The number of the next batch. */
  next(): number {
    return ++this.#last;
  }

  /** Begins another epoch, in which the first so many numbers are taken. */
  begin(taken: number): void {
    this.#name = randomUUID();
    this.#last = taken;
  }
}
