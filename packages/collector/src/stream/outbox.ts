import { Bug } from '@egressd/flow/bug';
import type { FrozenBatch } from '../state/frozen-batch.ts';

/** Encoded bytes of unacked batches. Beyond it nothing more is frozen (backpressure): the reducer merges instead. */
export const OUTBOX_BYTES = 64 * 1024 * 1024;

/**
 * Unacked batches: those that the exporter has not committed, oldest first. Rejected ones leave holes in the numbers.
 *
 *    committed            applied (kept, not sent again)      sent or to be sent
 *   (discarded)  |  5   6   8                            |  9   10   11  <- push
 */
export class Outbox {
  readonly #maxBytes: number;
  readonly #batches: FrozenBatch[] = [];
  readonly #onDiscarded: (numbers: readonly number[]) => void;
  #bytes = 0;
  #newest = 0;
  #lastSent = 0;

  /** @param onDiscarded gets the numbers of batches that were committed or rejected */
  constructor(maxBytes: number = OUTBOX_BYTES, onDiscarded: (numbers: readonly number[]) => void = () => {}) {
    this.#maxBytes = maxBytes;
    this.#onDiscarded = onDiscarded;
  }

  /**
   * Continues where the process before ended. To be called before anything is pushed.
   * @param batches that were not committed, oldest first
   * @param newest number of the last batch that may have been sent
   */
  restore(batches: readonly FrozenBatch[], newest: number): void {
    for (const batch of batches) this.push(batch);
    this.#newest = newest;
    this.#lastSent = newest;
  }

  /**
   * Begins another epoch: 1, 2, 3 ... Batches that may have been sent are discarded.
   * @param renumber gives a batch that was not sent its new number, or undefined: it is discarded too
   * @returns the batches of the new epoch
   */
  beginEpoch(renumber: (batch: FrozenBatch, number: number) => FrozenBatch | undefined): readonly FrozenBatch[] {
    const unsent = this.allAfter(this.#lastSent);
    this.#batches.length = 0;
    this.#bytes = this.#newest = this.#lastSent = 0;
    for (const batch of unsent) {
      const renumbered = renumber(batch, this.#newest + 1);
      if (renumbered !== undefined) this.push(renumbered);
    }
    return [...this.#batches];
  }

  /** Whether another batch may be frozen. One batch has room whatever its size, so that a small limit cannot stop all. */
  get hasRoom(): boolean {
    return this.#bytes < this.#maxBytes;
  }

  /** Unacked batches. */
  get length(): number {
    return this.#batches.length;
  }

  /** Their encoded bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Number of the newest batch ever pushed; 0: none. */
  get newest(): number {
    return this.#newest;
  }

  /** Number of the last batch that may have been sent, by this process or one before; 0: none. */
  get lastSent(): number {
    return this.#lastSent;
  }

  /** The batch is about to be sent. */
  markSent(number: number): void {
    this.#lastSent = Math.max(this.#lastSent, number);
  }

  /** Milliseconds since the oldest was frozen; 0 where there is none. */
  ageMs(nowMs: number): number {
    const oldest = this.#batches[0];
    return oldest === undefined ? 0 : Math.max(0, nowMs - oldest.frozenMs);
  }

  /** Takes the next batch. */
  push(batch: FrozenBatch): void {
    if (batch.number <= this.#newest) throw new Bug(`batch ${batch.number} after batch ${this.#newest}`);
    this.#newest = batch.number;
    this.#batches.push(batch);
    this.#bytes += batch.bytes;
  }

  /** The exporter has committed every batch up to `number`: discards them. */
  commit(number: number): void {
    const committed = this.#batches.splice(0, this.#indexAfter(number));
    for (const batch of committed) this.#bytes -= batch.bytes;
    if (committed.length > 0) this.#onDiscarded(committed.map((batch) => batch.number));
  }

  /** The oldest batch after `number`: the next to send where `number` is the last that was sent or applied. */
  after(number: number): FrozenBatch | undefined {
    return this.#batches[this.#indexAfter(number)];
  }

  /** All batches after `number`, oldest first. */
  allAfter(number: number): readonly FrozenBatch[] {
    return this.#batches.slice(this.#indexAfter(number));
  }

  /** Discards a batch that the exporter rejected, and returns it; undefined where it is not here. */
  reject(number: number): FrozenBatch | undefined {
    const at = this.#batches.findIndex((batch) => batch.number === number);
    if (at === -1) return undefined;
    const [batch] = this.#batches.splice(at, 1);
    this.#bytes -= batch!.bytes;
    this.#onDiscarded([number]);
    return batch;
  }

  /** Where the first batch after `number` is: a binary search, since they are in order. */
  #indexAfter(number: number): number {
    let low = 0;
    let high = this.#batches.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#batches[middle]!.number > number) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
