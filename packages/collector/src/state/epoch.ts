import { randomUUID } from 'node:crypto';

/**
 * The names and numbers of batches: an epoch is begun whenever a collector starts without the state of the one before, and
 * counts 1, 2, 3 ... within itself.
 */
export class Epoch {
  #name: string;
  #last: number;

  /** @param before the epoch that this one goes on with */
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
