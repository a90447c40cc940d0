import { Bug } from '@egressd/flow/bug';
import type { FrozenBatch } from '../state/frozen-batch.ts';

/** Encoded batches that may wait for their commit. Above it nothing more is frozen: the reducer merges instead. */
export const OUTBOX_BYTES = 64 * 1024 * 1024;

/**
 * Batches that the exporter has not committed, oldest first. Rejected ones leave holes in the numbers.
 *
 *    committed            applied (kept, not sent again)      sent or to be sent
 *   (forgotten)  |  5   6   8                            |  9   10   11  <- push
 */
export class Outbox {
  readonly #maxBytes: number;
  readonly #batches: FrozenBatch[] = [];
  readonly #onForgotten: (numbers: readonly number[]) => void;
  #bytes = 0;
  #newest = 0;
  #shown = 0;

  /** @param onForgotten hears which batches nobody will ask for again */
  constructor(maxBytes: number = OUTBOX_BYTES, onForgotten: (numbers: readonly number[]) => void = () => {}) {
    this.#maxBytes = maxBytes;
    this.#onForgotten = onForgotten;
  }

  /**
   * Goes on where a process before ended, before anything is pushed.
   * @param batches that were not committed, oldest first
   * @param newest number of the last batch that may have been sent
   */
  restore(batches: readonly FrozenBatch[], newest: number): void {
    for (const batch of batches) this.push(batch);
    this.#newest = newest;
    this.#shown = newest;
  }

  /**
   * Begins another epoch: 1, 2, 3 ... What the exporter may have had under the numbers before is forgotten.
   * @param rename gives a batch that was not sent its new number, or undefined: it is forgotten too
   */
  begin(rename: (batch: FrozenBatch, number: number) => FrozenBatch | undefined): readonly FrozenBatch[] {
    const unseen = this.behind(this.#shown);
    this.#batches.length = 0;
    this.#bytes = this.#newest = this.#shown = 0;
    for (const batch of unseen) {
      const renamed = rename(batch, this.#newest + 1);
      if (renamed !== undefined) this.push(renamed);
    }
    return [...this.#batches];
  }

  /** Whether another batch may be frozen. One batch has room whatever its size, so that a small cap cannot stop all. */
  get room(): boolean {
    return this.#bytes < this.#maxBytes;
  }

  /** Batches that wait for their commit. */
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

  /** Number of the last batch that the exporter may have seen, of this process or one before; 0: none. */
  get shown(): number {
    return this.#shown;
  }

  /** The batch is about to be sent. */
  show(number: number): void {
    this.#shown = Math.max(this.#shown, number);
  }

  /** Milliseconds since the oldest was frozen; 0 where nothing waits. */
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

  /** Forgets every batch up to `number`. */
  commit(number: number): void {
    const committed = this.#batches.splice(0, this.#indexAfter(number));
    for (const batch of committed) this.#bytes -= batch.bytes;
    if (committed.length > 0) this.#onForgotten(committed.map((batch) => batch.number));
  }

  /** The oldest batch behind `number`: the next to send where `number` is the last that was sent or applied. */
  after(number: number): FrozenBatch | undefined {
    return this.#batches[this.#indexAfter(number)];
  }

  /** All batches behind `number`, oldest first. */
  behind(number: number): readonly FrozenBatch[] {
    return this.#batches.slice(this.#indexAfter(number));
  }

  /** Forgets one batch that the exporter will never take, and returns it; undefined where it is not here. */
  reject(number: number): FrozenBatch | undefined {
    const at = this.#batches.findIndex((batch) => batch.number === number);
    if (at === -1) return undefined;
    const [batch] = this.#batches.splice(at, 1);
    this.#bytes -= batch!.bytes;
    this.#onForgotten([number]);
    return batch;
  }

  /** Where the first batch behind `number` is: they are in order, so halves will do. */
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
