import type { Entries } from './decode.ts';
import { KEY_BYTES, VALUE_BYTES } from './layout.ts';

const KEY_WORDS = KEY_BYTES / 4;
const VALUE_WORDS = VALUE_BYTES / 4;
const INITIAL = 1024;

/** Entries of a whole read, one behind the other: the memory is used again by the next. */
export class KeptEntries {
  count = 0;
  #keys = new Uint32Array(INITIAL * KEY_WORDS);
  #values = new Uint32Array(INITIAL * VALUE_WORDS);

  /** They stay until the next `add` or `clear`. */
  get entries(): Entries {
    return { keys: this.#keys, values: this.#values };
  }

  clear(): void {
    this.count = 0;
  }

  add({ keys, values }: Entries, count: number): void {
    const needed = this.count + count;
    if (needed * KEY_WORDS > this.#keys.length) {
      const room = Math.ceil(needed * 1.25);
      this.#keys = longer(this.#keys, room * KEY_WORDS);
      this.#values = longer(this.#values, room * VALUE_WORDS);
    }
    this.#keys.set(keys.subarray(0, count * KEY_WORDS), this.count * KEY_WORDS);
    this.#values.set(values.subarray(0, count * VALUE_WORDS), this.count * VALUE_WORDS);
    this.count = needed;
  }
}

function longer(words: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  return new Uint32Array(words.buffer.transfer(length * Uint32Array.BYTES_PER_ELEMENT));
}
