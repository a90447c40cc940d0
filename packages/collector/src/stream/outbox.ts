import { encodeBatch } from '@egressd/flow/batch-encode';
import type { BatchSpan, FlowColumns } from '@egressd/flow/columns';
import { MESSAGE_BYTES } from '@egressd/flow/service';

/** Encoded batches that may wait for their confirmation. Above it nothing more is frozen: the reducer merges instead. */
export const OUTBOX_BYTES = 64 * 1024 * 1024;

/** A batch that never changes again: sent twice, it is the same to the byte. */
export interface FrozenBatch {
  /** 1, 2, 3 ... within a numbering. */
  readonly number: number;
  /** Encoded `DeliverRequest` messages, in order. */
  readonly messages: readonly Uint8Array[];
  /** Length of all messages. */
  readonly bytes: number;
  readonly rows: number;
  /** L3 bytes that the rows stand for, both directions: what is lost where the exporter rejects the batch. */
  readonly flowBytes: number;
  /** When it was frozen: Unix milliseconds. */
  readonly frozenMs: number;
}

/** Freezes the rows of one span. */
export function freezeBatch(
  span: BatchSpan,
  columns: FlowColumns,
  nowMs: number,
  messageBytes = MESSAGE_BYTES,
): FrozenBatch {
  const messages = encodeBatch(span, columns, messageBytes);
  let flowBytes = 0;
  for (let row = 0; row < columns.rows; row++) flowBytes += columns.txBytes[row]! + columns.rxBytes[row]!;
  const bytes = messages.reduce((sum, message) => sum + message.length, 0);
  return { number: span.number, messages, bytes, rows: columns.rows, flowBytes, frozenMs: nowMs };
}

/**
 * Batches that the exporter has not confirmed, oldest first. Rejected ones leave holes in the numbers.
 *
 *    confirmed            applied (kept, not sent again)      sent or to be sent
 *   (forgotten)  |  5   6   8                            |  9   10   11  <- push
 */
export class Outbox {
  readonly #maxBytes: number;
  readonly #batches: FrozenBatch[] = [];
  #bytes = 0;
  #newest = 0;

  constructor(maxBytes: number = OUTBOX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Whether another batch may be frozen. One batch has room whatever its size, so that a small cap cannot stop all. */
  get room(): boolean {
    return this.#bytes < this.#maxBytes;
  }

  /** Batches that wait for their confirmation. */
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

  /** Milliseconds since the oldest was frozen; 0 where nothing waits. */
  ageMs(nowMs: number): number {
    const oldest = this.#batches[0];
    return oldest === undefined ? 0 : Math.max(0, nowMs - oldest.frozenMs);
  }

  /** Takes the next batch. */
  push(batch: FrozenBatch): void {
    if (batch.number <= this.#newest) throw new Error(`BUG: batch ${batch.number} after batch ${this.#newest}`);
    this.#newest = batch.number;
    this.#batches.push(batch);
    this.#bytes += batch.bytes;
  }

  /** Forgets every batch up to `number`. */
  confirm(number: number): void {
    for (const batch of this.#batches.splice(0, this.#indexAfter(number))) this.#bytes -= batch.bytes;
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
