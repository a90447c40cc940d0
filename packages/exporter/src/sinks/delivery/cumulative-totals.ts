import { HIGH_UNIT } from '../../aggregate/snapshot.ts';

/** Running totals that grow in place, `high * 2^52 + low` with `low` below 2^52. */
export interface GrowingTotals {
  low: Float64Array;
  high: Float64Array;
}

/** Adds a whole number from 0 to 2^53 to the total at `at`. */
export function addTo(totals: GrowingTotals, at: number, amount: number): void {
  const high = Math.floor(amount / HIGH_UNIT);
  let low = totals.low[at]! + (amount - high * HIGH_UNIT);
  let carry = 0;
  if (low >= HIGH_UNIT) {
    low -= HIGH_UNIT;
    carry = 1;
  }
  totals.low[at] = low;
  totals.high[at] = totals.high[at]! + high + carry;
}

/** Sets the total at `at` to a whole number. */
export function setTo(totals: GrowingTotals, at: number, amount: number): void {
  totals.high[at] = Math.floor(amount / HIGH_UNIT);
  totals.low[at] = amount - totals.high[at]! * HIGH_UNIT;
}

/** A larger copy of a column. */
export function grown<Column extends Float64Array | Uint32Array | Uint8Array>(column: Column, length: number): Column {
  const larger = new (column.constructor as new (length: number) => Column)(length);
  larger.set(column);
  return larger;
}
