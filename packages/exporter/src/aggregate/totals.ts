import { grown } from '@egressd/flow/grow';

/** 2^52: what one unit of `Totals.high` counts. */
export const HIGH_UNIT = 2 ** 52;

/**
 * Cumulative totals in two columns: `high * 2^52 + low` with `low` below 2^52, so that sums, and the difference of two totals, are exact
 * beyond 2^53 too.
 */
export interface Totals {
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/** Totals that grow in place. */
export interface CumulativeTotals {
  low: Float64Array;
  high: Float64Array;
}

/** The total as a double: exact below 2^53, the nearest above. */
export function totalOf(totals: Totals, row: number): number {
  return totals.high[row]! * HIGH_UNIT + totals.low[row]!;
}

/** `after - before`, exact while the difference is below 2^53. */
export function increaseOf(after: Totals, row: number, beforeLow: number, beforeHigh: number): number {
  return (after.high[row]! - beforeHigh) * HIGH_UNIT + (after.low[row]! - beforeLow);
}

/** Totals of zero. */
export function zeroTotals(length: number): CumulativeTotals {
  return { low: new Float64Array(length), high: new Float64Array(length) };
}

/** Makes room for `length` totals; the new ones are zero. */
export function growTotals(totals: CumulativeTotals, length: number): void {
  totals.low = grown(totals.low, length);
  totals.high = grown(totals.high, length);
}

/** Adds a whole number from 0 to 2^53 to the total at `at`. */
export function addTo(totals: Totals, at: number, amount: number): void {
  let carry = 0;
  let rest = amount;
  // Both are rare: nearly all amounts and totals are far below.
  if (rest >= HIGH_UNIT) {
    carry = Math.floor(rest / HIGH_UNIT);
    rest -= carry * HIGH_UNIT;
  }
  rest += totals.low[at]!;
  if (rest >= HIGH_UNIT) {
    carry++;
    rest -= HIGH_UNIT;
  }
  totals.low[at] = rest;
  if (carry > 0) totals.high[at] = totals.high[at]! + carry;
}

/** Sets the total at `at` to a whole number. */
export function setTo(totals: Totals, at: number, amount: number): void {
  totals.high[at] = Math.floor(amount / HIGH_UNIT);
  totals.low[at] = amount - totals.high[at]! * HIGH_UNIT;
}
