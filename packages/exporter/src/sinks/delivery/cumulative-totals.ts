import { grown } from '@egressd/flow/grow';
import { HIGH_UNIT } from '../../aggregate/snapshot.ts';

/** Cumulative totals that increase in place, `high * 2^52 + low` with `low` below 2^52. */
export interface CumulativeTotals {
  low: Float64Array;
  high: Float64Array;
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
export function addTo(totals: CumulativeTotals, at: number, amount: number): void {
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
export function setTo(totals: CumulativeTotals, at: number, amount: number): void {
  totals.high[at] = Math.floor(amount / HIGH_UNIT);
  totals.low[at] = amount - totals.high[at]! * HIGH_UNIT;
}
