import { randomUUID } from 'node:crypto';

/**
 * The names and numbers of batches: a numbering is begun whenever a collector starts without the state of the one before, and
 * counts 1, 2, 3 ... within itself.
 */
export class Numbering {
  readonly name: string = randomUUID();
  #last = 0;

  /** The number of the next batch. */
  next(): number {
    return ++this.#last;
  }
}
