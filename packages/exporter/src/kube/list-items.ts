import { KubeFailure } from './failure.ts';

/**
 * Longest item, and longest rest of a list. etcd takes no object above 1.5 MiB, but its JSON may have six bytes for one (`<`, `>` and `&`
 * are escaped). A longer item is skipped.
 */
export const MAX_ITEM_BYTES = 8 * 1024 * 1024;

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_MAP, CLOSE_MAP, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d];

/**
 * The items of a list, one by one, while the body comes in: a page of pods parsed at once is megabytes of objects that live just long
 * enough to be promoted to V8's old space. Knows only brackets and strings of JSON; each item and the rest are parsed as a whole.
 *
 *   {"kind":"PodList","metadata":{...},"items":[  {...}  ,  {...}  ]}
 *    └────────────────── head ────────────────┘   item      item   └ head again
 */
export class ListItems {
  /** Bytes of the head, or of the item that has not ended. */
  #partial: Buffer[] = [];
  #partialBytes = 0;
  #head: Buffer[] = [];
  #depth = 0;
  /** The item that has not ended is too long: what comes of it is dropped. */
  #tooLong = false;
  /** Items that were skipped because they are too long. */
  skipped = 0;
  #inItems = false;
  #inString = false;
  /** The last byte of the chunk before was a backslash that escapes. */
  #escaped = false;

  /** Takes a chunk. @returns items that end in it, as JSON. @throws KubeFailure where all but the items is too long */
  push(chunk: Buffer): string[] {
    const items: string[] = [];
    // Where the partial item or head continues in this chunk.
    let from = 0;
    for (let i = 0; i < chunk.length; i++) {
      if (this.#inString) {
        i = this.#skipString(chunk, i);
        continue;
      }
      const byte = chunk[i]!;
      if (byte === QUOTE) {
        this.#inString = true;
      } else if (byte === OPEN_MAP || byte === OPEN_LIST) {
        if (this.#depth === 1 && byte === OPEN_LIST && this.#atItems(chunk, from, i)) {
          this.#keep(chunk, from, i + 1);
          this.#head.push(...this.#take());
          this.#inItems = true;
          from = i + 1;
        } else if (this.#inItems && this.#depth === 2) {
          // Between two items is a comma.
          from = i;
        }
        this.#depth++;
      } else if (byte === CLOSE_MAP || byte === CLOSE_LIST) {
        this.#depth--;
        if (this.#inItems && this.#depth === 2) {
          this.#keep(chunk, from, i + 1);
          const item = this.#take();
          if (this.#tooLong) this.skipped++;
          else items.push(Buffer.concat(item).toString('utf8'));
          this.#tooLong = false;
          from = i + 1;
        } else if (this.#inItems && this.#depth === 1) {
          this.#inItems = false;
          from = i;
        }
      }
    }
    if (!this.#inItems || this.#depth > 2) this.#keep(chunk, from, chunk.length);
    return items;
  }

  /** All but the items, as JSON, once everything has come. */
  end(): string {
    return Buffer.concat([...this.#head, ...this.#take()]).toString('utf8');
  }

  /** @returns where the string ends, or the last byte of the chunk */
  #skipString(chunk: Buffer, from: number): number {
    let i = from;
    if (this.#escaped) {
      this.#escaped = false;
      i++;
    }
    for (; i < chunk.length; i++) {
      const byte = chunk[i];
      if (byte === QUOTE) {
        this.#inString = false;
        return i;
      }
      if (byte === BACKSLASH && ++i === chunk.length) this.#escaped = true;
    }
    return chunk.length - 1;
  }

  /** Whether the key before is `items`. */
  #atItems(chunk: Buffer, from: number, to: number): boolean {
    const before = Buffer.concat([...this.#partial, chunk.subarray(from, to)]).toString('latin1');
    return /"items"\s*:\s*$/.test(before);
  }

  #keep(chunk: Buffer, from: number, to: number): void {
    if (from === to || this.#tooLong) return;
    this.#partial.push(chunk.subarray(from, to));
    this.#partialBytes += to - from;
    if (this.#partialBytes <= MAX_ITEM_BYTES) return;
    if (!this.#inItems)
      throw new KubeFailure('unexpected', `a list is longer than ${MAX_ITEM_BYTES} bytes beside its items`);
    this.#tooLong = true;
    this.#take();
  }

  #take(): Buffer[] {
    const partial = this.#partial;
    this.#partial = [];
    this.#partialBytes = 0;
    return partial;
  }
}
