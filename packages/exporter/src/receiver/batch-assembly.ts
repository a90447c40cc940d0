import { decodePart, decodeSpan, MalformedBatch } from '@egressd/flow/batch-decode';
import type { BatchSpan, FlowColumns } from '@egressd/flow/columns';
import type { BatchPart } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import type { BatchParts } from './received.ts';

/** Parts and rows of one batch. A collector at its own limits stays below. */
export const MAX_BATCH_PARTS = 256;
export const MAX_BATCH_ROWS = 4_000_000;

/** What one more part came to. */
type Assembled =
  | { readonly kind: 'more' }
  | { readonly kind: 'whole'; readonly span: BatchSpan; readonly parts: BatchParts }
  /** This batch will never be whole. Reported once; its further parts are skipped. */
  | { readonly kind: 'malformed'; readonly number: number; readonly reason: string }
  /** The order of the stream itself is broken: nothing after this means anything. */
  | { readonly kind: 'disorder'; readonly text: string };

/**
 * Puts the parts of batches together, one batch at a time. Each part is decoded when it comes, to see that it can be, and kept as it came, a
 * third of its decoded size.
 */
export class BatchAssembly {
  #span: BatchSpan | undefined;
  #parts: BatchPart[] = [];
  #rows = 0;
  #bytes = 0;
  /** Number of a batch that was found malformed, whose last part has not come. */
  #skipped: number | undefined;

  /** Bytes of the parts that wait for their last. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes a part in a message of `bytes` length. */
  push(part: BatchPart, bytes: number): Assembled {
    const number = Number(part.number);
    if (number === this.#skipped) return this.#skip(part);
    const open = this.#span;
    if (open !== undefined && number !== open.number)
      return { kind: 'disorder', text: `a part of batch ${number} came before the last part of batch ${open.number}` };
    try {
      return this.#take(part, bytes);
    } catch (error) {
      if (!(error instanceof MalformedBatch)) throw error;
      if (!Number.isSafeInteger(number) || number < 1) return { kind: 'disorder', text: error.message };
      this.#reset();
      this.#skipped = part.last ? undefined : number;
      return { kind: 'malformed', number, reason: error.message };
    }
  }

  #take(part: BatchPart, bytes: number): Assembled {
    const span = decodeSpan(part);
    this.#span ??= span;
    if (part.part !== this.#parts.length)
      throw new MalformedBatch(`part ${part.part} came where part ${this.#parts.length} was due`);
    if (span.fromMs !== this.#span.fromMs || span.toMs !== this.#span.toMs)
      throw new MalformedBatch('its parts have different times');
    if (part.part >= MAX_BATCH_PARTS) throw new MalformedBatch(`it has more than ${MAX_BATCH_PARTS} parts`);
    this.#rows += part.rows;
    if (this.#rows > MAX_BATCH_ROWS) throw new MalformedBatch(`it has more than ${MAX_BATCH_ROWS} rows`);
    const decoded = decodePart(part);
    this.#parts.push(part);
    this.#bytes += bytes;
    if (!part.last) return { kind: 'more' };
    const parts = this.#parts.length === 1 ? [decoded] : new EncodedParts(this.#parts, this.#bytes);
    this.#reset();
    return { kind: 'whole', span, parts };
  }

  #skip(part: BatchPart): Assembled {
    if (part.last) this.#skipped = undefined;
    return { kind: 'more' };
  }

  #reset(): void {
    this.#span = undefined;
    this.#parts = [];
    this.#rows = 0;
    this.#bytes = 0;
  }
}

/** The parts of a batch of several messages: each is decoded when it is its turn, so that one is in memory at a time. */
class EncodedParts implements Iterable<FlowColumns> {
  readonly byteLength: number;
  readonly #parts: readonly BatchPart[];

  constructor(parts: readonly BatchPart[], byteLength: number) {
    this.#parts = parts;
    this.byteLength = byteLength;
  }

  *[Symbol.iterator](): Iterator<FlowColumns> {
    for (const part of this.#parts) yield decodePart(part);
  }
}
