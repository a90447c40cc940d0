import { ADDRESS_BYTES, inRange, type Range } from '@egressd/flow/address';

/**
 * The same addresses in as few ranges as possible: ranges within others are dropped, two halves become one. Every node has a range of
 * its own, and every address without an owner is compared with all of them.
 *
 *   10.0.0.0/24, 10.0.1.0/24, 10.0.1.128/25, 10.0.2.0/24   ->   10.0.0.0/23, 10.0.2.0/24
 */
export function mergeRanges(ranges: readonly Range[]): Range[] {
  const merged: Range[] = [];
  for (const range of ranges.map(canonical).sort(order)) {
    const last = merged.at(-1);
    if (last !== undefined && last.bits <= range.bits && inRange(last, range.bytes)) continue;
    merged.push(range);
    joinHalves(merged);
  }
  return merged;
}

/** Joins the last two as long as they are the halves of one. */
function joinHalves(ranges: Range[]): void {
  for (;;) {
    const [left, right] = ranges.slice(-2);
    if (left === undefined || right === undefined || left.bits !== right.bits || left.bits === 0) return;
    const whole = { bytes: left.bytes, bits: left.bits - 1 };
    if (!inRange(whole, right.bytes) || Buffer.compare(canonical(whole).bytes, left.bytes) !== 0) return;
    ranges.splice(-2, 2, whole);
  }
}

/** Bits after the prefix are zero. */
function canonical({ bytes, bits }: Range): Range {
  const clean = new Uint8Array(ADDRESS_BYTES);
  for (let i = 0; i < ADDRESS_BYTES; i++) {
    const prefixBits = Math.min(Math.max(bits - 8 * i, 0), 8);
    clean[i] = bytes[i]! & (0xff00 >> prefixBits);
  }
  return { bytes: clean, bits };
}

/** By address, the wider first. */
function order(a: Range, b: Range): number {
  return Buffer.compare(a.bytes, b.bytes) || a.bits - b.bits;
}
