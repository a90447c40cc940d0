/**
 * Base 128 varints (https://protobuf.dev/programming-guides/encoding/#varints) of whole numbers up to 2^53 - 1, written and
 * read without an object or a BigInt per number.
 */

import { grown } from './grow.ts';

/** The longest varint that `VarintColumn` writes: 53 bits. */
const MAX_VARINT_BYTES = 8;

/**
 * Writes a whole number from 0 to below 2^63 (above 2^53 one that a double holds) as a varint.
 * @returns its end
 */
export function writeVarint(into: Uint8Array, at: number, value: number): number {
  let end = at;
  let rest = value;
  // Beyond 31 bits the operators on 32-bit integers would cut the number off.
  while (rest >= 0x8000_0000) {
    into[end++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 0x80) {
    into[end++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  into[end++] = rest;
  return end;
}

/** Bytes that `writeVarint` needs for a number. */
export function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) length++;
  return length;
}

/** A growing run of bytes that numbers are appended to. */
export class VarintColumn {
  bytes: Uint8Array = new Uint8Array(1024);
  length = 0;

  /** Appends a whole number from 0 to 2^53 - 1. */
  push(value: number): void {
    if (this.length + MAX_VARINT_BYTES > this.bytes.length) this.#grow();
    this.length = writeVarint(this.bytes, this.length, value);
  }

  /** Appends a byte and the bytes `from` to `to` of another array: at most 17 in all. */
  pushBytes(first: number, source: Uint8Array, from: number, to: number): void {
    if (this.length + 17 > this.bytes.length) this.#grow();
    this.bytes[this.length++] = first;
    for (let i = from; i < to; i++) this.bytes[this.length++] = source[i]!;
  }

  /** A copy of what was written; the column is empty again. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.length);
    this.length = 0;
    return taken;
  }

  #grow(): void {
    this.bytes = grown(this.bytes, this.bytes.length * 2);
  }
}

/**
 * Reads exactly `into.length` varints.
 * @returns undefined, or what is wrong with the bytes: too few or too many numbers, or one above `max`.
 */
export function readVarints(
  bytes: Uint8Array,
  into: Float64Array | Uint32Array | Uint16Array | Uint8Array,
  max: number,
): string | undefined {
  const end = bytes.length;
  let at = 0;
  for (let i = 0; i < into.length; i++) {
    let value = 0;
    let scale = 1;
    for (;;) {
      if (at >= end) return `holds ${i} numbers instead of ${into.length}`;
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
      if (scale > 2 ** 56) return 'holds a number longer than 64 bits';
    }
    if (value > max) return `holds ${value}, above the limit ${max}`;
    into[i] = value;
  }
  return at === end ? undefined : `holds more than ${into.length} numbers`;
}
