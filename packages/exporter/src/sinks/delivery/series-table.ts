import { type Counter, otherLabels, type Series, type SeriesLabels, type Snapshot } from '../../aggregate/snapshot.ts';
import type { Totals } from '../../aggregate/totals.ts';
import { LiveSeries } from './live-series.ts';
import { SeriesSlots } from './series-slots.ts';

/** What the table needs to know of its sink. */
export interface SeriesTableOptions {
  readonly counters: readonly Counter[];
  /** The sink's cardinality limit: series at the receiver. What would be one more is folded into a `~other` slot. */
  readonly maxSeries: number;
  /** What the receiver sees of a series. */
  readonly identityOf: (labels: SeriesLabels) => string;
}

/**
 * Which live series of the aggregate counts into which series at the receiver.
 *
 *   snapshot row -> live series -> slot        several live series that look the same to the receiver: one slot, totals added
 *                                   └──> ~other slots        beyond the cardinality limit: by protocol, scope ...
 *
 * A slot outlives its live series: its total never falls.
 */
export class SeriesTable {
  readonly slots: SeriesSlots;
  readonly live: LiveSeries;
  /** Slots of `~other`: they do not count against `maxSeries`. */
  readonly others = new Set<number>();
  /** Live series that are folded into `~other`. */
  folded = 0;
  readonly #options: SeriesTableOptions;

  constructor(options: SeriesTableOptions) {
    this.#options = options;
    this.slots = new SeriesSlots(options.counters.length);
    this.live = new LiveSeries(options.counters.length);
  }

  /** Takes over what increased and what ended. */
  absorb(snapshot: Snapshot): void {
    const columns = this.#options.counters.map((counter) => snapshot.totals[counter]);
    const width = columns.length;
    const { live, slots } = this;
    for (const [row, series] of snapshot.series.entries()) {
      const entry = live.find(series.id) ?? this.add(series);
      const unit = live.slotOf(entry) * width;
      for (let counter = 0; counter < width; counter++) {
        const increase = live.takeIncrease(entry, counter, columns[counter]!, row);
        if (increase > 0) slots.count(unit + counter, increase);
      }
    }
    for (const series of snapshot.evicted) this.#remove(series);
  }

  /** A series counts from now on. @returns its entry in `live` */
  add(series: Series): number {
    const slot = this.#slotFor(series.labels);
    this.slots.liveCount[slot] = this.slots.liveCount[slot]! + 1;
    if (this.others.has(slot)) this.folded++;
    return this.live.add(series.id, slot);
  }

  /** The totals of a series up to here are counted already, or are not to be counted. */
  skipTo(entry: number, totals: Readonly<Record<Counter, Totals>>, row: number): void {
    for (const [index, counter] of this.#options.counters.entries())
      this.live.takeIncrease(entry, index, totals[counter], row);
  }

  /** Frees a slot: its series have ended, and the receiver has all of them. */
  free(slot: number): void {
    this.slots.free(slot);
    this.others.delete(slot);
  }

  #slotFor(labels: SeriesLabels): number {
    const { identityOf, maxSeries } = this.#options;
    const identity = identityOf(labels);
    const known = this.slots.find(identity);
    if (known !== undefined) return known;
    if (this.slots.size - this.others.size < maxSeries) return this.slots.allocate(identity);
    const otherIdentity = identityOf(otherLabels(labels));
    const other = this.slots.find(otherIdentity) ?? this.slots.allocate(otherIdentity);
    this.others.add(other);
    return other;
  }

  #remove(series: Series): void {
    const slot = this.live.remove(series.id);
    if (slot === undefined) return;
    this.slots.liveCount[slot] = this.slots.liveCount[slot]! - 1;
    if (this.others.has(slot)) this.folded--;
  }
}
