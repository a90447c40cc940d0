/**
 * A set of records with a key, found by content: the shape of the connections, the addresses and the pairs.
 *
 *   slots    one 32-bit word each, a power of two of them, at most two thirds full:   0 = empty, else 1 + index of the record
 *   records  dense, in order of arrival, `stride` words each:                   | key (keyWords) | values of the owner |
 *
 *   hash(key) ──> slots[h], slots[h+1] ... (linear probing) ──> the key in the record is compared, word by word
 *
 * Records are never moved but by `retain`, which renumbers them, so an index may be kept beside them.
 */
export class WordTable {
  readonly stride: number;
  /** The records. Exchanged for a larger array by `add`. */
  records: Uint32Array<ArrayBuffer>;
  count = 0;
  readonly #keyWords: number;
  readonly #seed: number;
  #slots: Uint32Array<ArrayBuffer>;

  /**
   * @param keyWords words that make the key
   * @param valueWords words behind it, the owner's
   * @param seed of the hash: unknown to those who choose the keys, so that they cannot make them collide
   */
  constructor(keyWords: number, valueWords: number, seed: number) {
    this.stride = keyWords + valueWords;
    this.#keyWords = keyWords;
    this.#seed = seed | 0;
    this.records = new Uint32Array(MIN_RECORDS * this.stride);
    this.#slots = new Uint32Array(MIN_RECORDS * 2);
  }

  /** Bytes of the arrays. */
  get byteLength(): number {
    return this.records.byteLength + this.#slots.byteLength;
  }

  /** The index of the record whose key stands at `words[at...]`, or -1. */
  find(words: Uint32Array, at: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = this.#hash(words, at) & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot]!;
      if (entry === 0) return -1;
      if (this.holds(entry - 1, words, at)) return entry - 1;
    }
  }

  /** Whether the record has the key at `words[at...]`. The last words differ most often: they are looked at first. */
  holds(index: number, words: Uint32Array, at: number): boolean {
    const records = this.records;
    const base = index * this.stride;
    for (let i = this.#keyWords - 1; i >= 0; i--) if (records[base + i] !== words[at + i]) return false;
    return true;
  }

  /** Adds a record with the key at `words[at...]`, which must not be there yet, and values of 0. @returns its index */
  add(words: Uint32Array, at: number): number {
    const base = this.count * this.stride;
    if (base + this.stride > this.records.length) this.#grow();
    const records = this.records;
    for (let i = 0; i < this.#keyWords; i++) records[base + i] = words[at + i]!;
    records.fill(0, base + this.#keyWords, base + this.stride);
    this.#link(this.count);
    return this.count++;
  }

  /**
   * Keeps the records that `keep` says, in their order, and gives the room of the others back.
   * @returns by old index: 1 + new index, or 0 where the record is gone
   */
  retain(keep: (index: number) => boolean): Uint32Array {
    const { records, stride, count } = this;
    const renumbered = new Uint32Array(count);
    let kept = 0;
    for (let index = 0; index < count; index++) {
      if (!keep(index)) continue;
      if (kept < index) records.copyWithin(kept * stride, index * stride, (index + 1) * stride);
      renumbered[index] = ++kept;
    }
    this.count = kept;
    // Room for half as much again: a table that had one bad day does not hold its memory forever.
    const room = Math.max(MIN_RECORDS, kept + (kept >> 1));
    if (room * stride * 2 < records.length) this.records = longer(records, room * stride);
    this.#relink();
    return renumbered;
  }

  /** Changes the keys in place: `change` gets the records and where each begins. The keys stay different from each other. */
  rekey(change: (records: Uint32Array, at: number) => void): void {
    for (let at = 0, end = this.count * this.stride; at < end; at += this.stride) change(this.records, at);
    this.#relink();
  }

  #grow(): void {
    const room = Math.floor((this.records.length / this.stride) * 1.5);
    this.records = longer(this.records, room * this.stride);
    if (room * SLOTS_PER_RECORD > this.#slots.length) this.#relink();
  }

  /** Makes the slots anew, for as many records as there is room for. */
  #relink(): void {
    let size = MIN_RECORDS * 2;
    while (size * this.stride < this.records.length * SLOTS_PER_RECORD) size *= 2;
    if (size === this.#slots.length) this.#slots.fill(0);
    else {
      this.#slots.buffer.transfer(0);
      this.#slots = new Uint32Array(size);
    }
    for (let index = 0; index < this.count; index++) this.#link(index);
  }

  #link(index: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = this.#hash(this.records, index * this.stride) & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = index + 1;
  }

  /** MurmurHash3 (32 bit, public domain, A. Appleby) over the key's words. */
  #hash(words: Uint32Array, at: number): number {
    let hash = this.#seed;
    for (let i = at, end = at + this.#keyWords; i < end; i++) {
      let word = Math.imul(words[i]!, 0xcc9e2d51);
      word = (word << 15) | (word >>> 17);
      hash ^= Math.imul(word, 0x1b873593);
      hash = (hash << 13) | (hash >>> 19);
      hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return hash ^ (hash >>> 16);
  }
}

/**
 * The words in an array of another length. The old one is given back at once: left to the garbage collector, the steps of a growing
 * table would be in memory together.
 */
function longer(words: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  return new Uint32Array(words.buffer.transfer(length * Uint32Array.BYTES_PER_ELEMENT));
}

/** At least so many: a search looks at two slots then, on average, and seldom at many. */
const SLOTS_PER_RECORD = 1.5;
/** Room of a new table. A power of two. */
const MIN_RECORDS = 1024;
