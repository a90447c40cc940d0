import { grown } from '@egressd/flow/grow';

/** Hash slots at the start; a power of two. */
const FIRST_SLOTS = 1024;

/**
 * Finds the row of a series by its two endpoints and protocol: a hash table with linear probing. The keys are in the rows; the slots hold
 * row numbers.
 *
 *   slots  | 0 | row + 1 | 0 | row + 1 | row + 1 | 0 | ...    0: empty; at most half full
 *   row    source[row]  destination[row]  protocol[row]
 */
export class SeriesIndex {
  source = new Uint32Array(FIRST_SLOTS / 2);
  destination = new Uint32Array(FIRST_SLOTS / 2);
  protocol = new Uint8Array(FIRST_SLOTS / 2);
  rows = 0;
  #slots = new Uint32Array(FIRST_SLOTS);

  /** Rows that fit before the columns grow. */
  get capacity(): number {
    return this.source.length;
  }

  /** The row, or -1. */
  find(source: number, destination: number, protocol: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const sources = this.source;
    const destinations = this.destination;
    const protocols = this.protocol;
    for (let slot = hash(source, destination, protocol) & mask; ; slot = (slot + 1) & mask) {
      const row = slots[slot]! - 1;
      if (row < 0) return -1;
      if (sources[row] === source && destinations[row] === destination && protocols[row] === protocol) return row;
    }
  }

  /** Appends a series that is not there yet. */
  append(source: number, destination: number, protocol: number): number {
    if (this.rows === this.capacity) this.#grow();
    const row = this.rows++;
    this.source[row] = source;
    this.destination[row] = destination;
    this.protocol[row] = protocol;
    this.#place(row);
    return row;
  }

  /** Keeps these rows, in rising order, and closes the gaps: row `kept[i]` becomes row i. */
  compact(kept: Uint32Array): void {
    for (let i = 0; i < kept.length; i++) {
      const row = kept[i]!;
      this.source[i] = this.source[row]!;
      this.destination[i] = this.destination[row]!;
      this.protocol[i] = this.protocol[row]!;
    }
    this.rows = kept.length;
    this.#slots.fill(0);
    for (let row = 0; row < this.rows; row++) this.#place(row);
  }

  #place(row: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash(this.source[row]!, this.destination[row]!, this.protocol[row]!) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = row + 1;
  }

  #grow(): void {
    const capacity = this.capacity * 2;
    this.source = grown(this.source, capacity);
    this.destination = grown(this.destination, capacity);
    this.protocol = grown(this.protocol, capacity);
    this.#slots = new Uint32Array(capacity * 2);
    for (let row = 0; row < this.rows; row++) this.#place(row);
  }
}

/** Endpoint ids are dense and ours, no peer can choose them: mixing them well is enough. */
function hash(source: number, destination: number, protocol: number): number {
  let h = Math.imul(source, 0x9e3779b1) ^ Math.imul(destination, 0x85ebca6b) ^ Math.imul(protocol, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return h ^ (h >>> 13);
}
