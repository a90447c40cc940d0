import { grown } from '@egressd/flow/grow';
import { COUNTERS, type Counter } from './snapshot.ts';
import { HIGH_UNIT, type Totals } from './totals.ts';

/** Doubles a series: low and high of four counters, one cache line. */
const STRIDE = 2 * COUNTERS.length;

/**
 * Cumulative totals of series by row, and when each last increased.
 *
 *   totals     txBytes low, high | txPackets low, high | rxBytes low, high | rxPackets low, high
 *   changedMs  Unix milliseconds
 */
export class SeriesTotals {
  #totals = new Float64Array(0);
  #changedMs = new Float64Array(0);

  /** Makes room for `rows` rows. */
  reserve(rows: number): void {
    if (rows <= this.#changedMs.length) return;
    this.#totals = grown(this.#totals, rows * STRIDE);
    this.#changedMs = grown(this.#changedMs, rows);
  }

  reset(row: number): void {
    this.#totals.fill(0, row * STRIDE, (row + 1) * STRIDE);
  }

  /** Adds a flow: whole numbers below 2^53. */
  add(row: number, txBytes: number, txPackets: number, rxBytes: number, rxPackets: number, nowMs: number): void {
    const totals = this.#totals;
    const at = row * STRIDE;
    addInterleaved(totals, at, txBytes);
    addInterleaved(totals, at + 2, txPackets);
    addInterleaved(totals, at + 4, rxBytes);
    addInterleaved(totals, at + 6, rxPackets);
    this.#changedMs[row] = nowMs;
  }

  /** When the series last increased. */
  changedMs(row: number): number {
    return this.#changedMs[row]!;
  }

  /** A copy of the totals of one counter, of the first rows. */
  column(counter: Counter, rows: number): Totals {
    const totals = this.#totals;
    const [low, high] = [new Float64Array(rows), new Float64Array(rows)];
    for (let row = 0, at = 2 * COUNTERS.indexOf(counter); row < rows; row++, at += STRIDE) {
      low[row] = totals[at]!;
      high[row] = totals[at + 1]!;
    }
    return { low, high };
  }

  /** When the first rows last increased. Valid until the next change. */
  changedColumn(rows: number): Float64Array {
    return this.#changedMs.subarray(0, rows);
  }

  /** Sets a row to what it was in an image. */
  restore(row: number, totals: Readonly<Record<Counter, Totals>>, changedMs: number): void {
    for (const [counter, name] of COUNTERS.entries()) {
      this.#totals[row * STRIDE + 2 * counter] = totals[name].low[row]!;
      this.#totals[row * STRIDE + 2 * counter + 1] = totals[name].high[row]!;
    }
    this.#changedMs[row] = changedMs;
  }

  /** Keeps these rows, in rising order, and closes the gaps: row `kept[i]` becomes row i. */
  compact(kept: Uint32Array): void {
    for (let row = 0; row < kept.length; row++) {
      this.#totals.copyWithin(row * STRIDE, kept[row]! * STRIDE, (kept[row]! + 1) * STRIDE);
      this.#changedMs[row] = this.#changedMs[kept[row]!]!;
    }
  }
}

/** Adds to the total at `low`, `high` beside it: no sum on the way reaches 2^53. */
function addInterleaved(totals: Float64Array, at: number, value: number): void {
  let rest = value;
  if (rest >= HIGH_UNIT) {
    totals[at + 1] = totals[at + 1]! + 1;
    rest -= HIGH_UNIT;
  }
  rest += totals[at]!;
  if (rest >= HIGH_UNIT) {
    totals[at + 1] = totals[at + 1]! + 1;
    rest -= HIGH_UNIT;
  }
  totals[at] = rest;
}
