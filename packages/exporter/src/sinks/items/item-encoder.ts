import { COUNTERS, type Counter, type SeriesLabels } from '../../aggregate/snapshot.ts';
import { type Frame, SAMPLE } from '../delivery/frame.ts';
import { MAX_REQUEST_BYTES } from '../sink.ts';

/** Items in one request. */
export const MAX_REQUEST_ITEMS = 10_000;

/** Counters of an item, in the order of its frame: bytes and packets sent, bytes and packets received. */
export const ITEM_COUNTERS: readonly Counter[] = COUNTERS;

/** How an item is written. */
export interface ItemFormat {
  /** What the receiver sees of a series, as `write` needs it. */
  identityOf(labels: SeriesLabels): string;
  /** The most bytes that an item of this identity can need. */
  maxBytes(identity: string): number;
  /** Writes the item of a row. @returns its end */
  write(into: Buffer, at: number, frame: Frame, row: number): number;
  /** What a body has beside its items; not set: nothing. */
  readonly around?: { readonly before: Buffer; readonly between: Buffer; readonly after: Buffer };
}

const NOTHING_AROUND = { before: Buffer.alloc(0), between: Buffer.alloc(0), after: Buffer.alloc(0) };

/** The items of some rows. */
interface EncodedItems {
  /** Valid until the encoder is used again. */
  readonly bytes: Uint8Array;
  /** First unit that found no room: the start of a row. */
  readonly end: number;
  readonly items: number;
}

/**
 * Writes the rows of a frame as items, one a series, into one buffer that is reused.
 *
 *   frame    row 0           row 1          row 2
 *            tx,rx moved     nothing        rx moved
 *   body     item            -              item: all four counters, those that did not move are zero
 */
export class ItemEncoder {
  readonly #format: ItemFormat;
  #buffer = Buffer.allocUnsafe(64 * 1024);

  constructor(format: ItemFormat) {
    this.#format = format;
  }

  /** Encodes units from `from` to at most `to`, both the start of a row; at least one row, as far as the limits allow. */
  encode(frame: Frame, from: number, to: number): EncodedItems {
    const { width } = frame;
    const last = to / width;
    const { before, between, after } = this.#format.around ?? NOTHING_AROUND;
    let length = 0;
    let items = 0;
    let row = from / width;
    for (; row < last && items < MAX_REQUEST_ITEMS; row++) {
      if (!hasSample(frame, row)) continue;
      const lead = items === 0 ? before : between;
      const most = length + lead.length + this.#format.maxBytes(frame.identities[row]!) + after.length;
      if (most > MAX_REQUEST_BYTES && items > 0) break;
      if (most > this.#buffer.length) this.#grow(most);
      length += lead.copy(this.#buffer, length);
      length = this.#format.write(this.#buffer, length, frame, row);
      items++;
    }
    if (items > 0) length += after.copy(this.#buffer, length);
    return { bytes: this.#buffer.subarray(0, length), end: row * width, items };
  }

  #grow(atLeast: number): void {
    const larger = Buffer.allocUnsafe(Math.max(atLeast, this.#buffer.length * 2));
    this.#buffer.copy(larger);
    this.#buffer = larger;
  }
}

/** Whether a row has a value: one that only ends has none. */
function hasSample({ kinds, width }: Frame, row: number): boolean {
  for (let unit = row * width; unit < (row + 1) * width; unit++) if (kinds[unit] === SAMPLE) return true;
  return false;
}
