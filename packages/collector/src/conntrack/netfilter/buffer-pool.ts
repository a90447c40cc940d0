import { STRIDE } from '../record.ts';

/**
 * Blocks that travel from the reading thread to the main thread and back, by number. Their memory is shared by both threads and never
 * moves.
 *
 *   free ──take──> being filled ──give──> main thread ──recycle──> free
 */
export class BufferPool {
  /** All blocks of the thread; this pool's are those from `first` to `end`. */
  readonly all: readonly Uint32Array[];
  readonly #first: number;
  readonly #end: number;
  readonly #deliver: (block: number, count: number) => void;
  readonly #free: number[];
  #waiting: ((block: number) => void) | undefined;

  /** @param deliver posts a block with so many records to the main thread */
  constructor(
    all: readonly Uint32Array[],
    first: number,
    end: number,
    deliver: (block: number, count: number) => void,
  ) {
    this.all = all;
    this.#first = first;
    this.#end = end;
    this.#deliver = deliver;
    this.#free = [...all.keys()].slice(first, end);
  }

  /** A free block. Where all are on their way it waits for the first that comes back: backpressure on the reading. */
  take(): number | Promise<number> {
    const block = this.#free.pop();
    if (block !== undefined) return block;
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** Sends a block with so many records. */
  give(block: number, count: number): void {
    this.#deliver(block, count);
  }

  /** Takes one back. @returns false where it is not of this pool */
  recycle(block: number): boolean {
    if (block < this.#first || block >= this.#end) return false;
    if (this.#waiting === undefined) this.#free.push(block);
    else this.#waiting(block);
    this.#waiting = undefined;
    return true;
  }
}

/** What fills blocks needs of a pool. */
export type Blocks = Pick<BufferPool, 'all' | 'take' | 'give'>;

/** Blocks of so many records, in memory that both threads see. */
export function sharedBlocks(count: number, records: number): Uint32Array[] {
  const bytes = records * STRIDE * Uint32Array.BYTES_PER_ELEMENT;
  return Array.from({ length: count }, () => new Uint32Array(new SharedArrayBuffer(bytes)));
}
