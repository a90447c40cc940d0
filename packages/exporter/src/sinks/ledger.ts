import {
  type Counter,
  otherLabels,
  type Position,
  type Series,
  type SeriesLabels,
  type Snapshot,
} from '../aggregate/snapshot.ts';
import { END, type Frame, type Mode, NOTHING } from './frame.ts';
import { FrameBuilder } from './frame-builder.ts';
import { Members } from './members.ts';
import { Slots } from './slots.ts';

/** First pause of a series that was refused alone; it doubles each time ... */
const FIRST_PAUSE_MS = 60_000;
/** ... up to this. */
const MAX_PAUSE_MS = 16 * 60_000;

/** After so many refusals in a row a series that has ended is given up: a quarter of an hour. */
const TRIES_AFTER_END = 5;

/** What a ledger needs to know of its sink. */
export interface LedgerOptions {
  readonly counters: readonly Counter[];
  readonly maxSeries: number;
  readonly identityOf: (labels: SeriesLabels) => string;
  /** Unix milliseconds: no total is older, and no sample of ours may be. */
  readonly startedMs: number;
  /** Time between two snapshots. */
  readonly intervalMs: number;
  /** false: no start samples, because the receiver keeps records and not counters; true unless set. */
  readonly starts?: boolean;
}

/**
 * What one sink's receiver has, and what it is still to be told. Pure.
 *
 * The reasoning that keeps it exact:
 *
 * - Everything is a total. `handed` moves only when the receiver has accepted; refused, thrown away, superseded: the bytes
 *   are still in `total - handed` and go with the next frame that gets through, as a larger rise or as the total itself. What
 *   is lost is resolution. Bytes are lost only with a series that ended and whose last sample was refused.
 * - A request that may have been stored (no answer, a time-out, a 5xx) is repeated to the byte until the receiver has taken it or
 *   refused what is in it, and no other goes before it. The same sample twice does no harm to a counter, nor to a database
 *   that drops duplicates; in one that keeps them a repeated delta counts twice (VictoriaMetrics without -dedup).
 * - A counter's first sample is preceded, in an earlier request, by a start sample with what was handed before: zero for a new
 *   one. A request holds one sample a series, so that a database takes it again. The start lies after
 *   all that this sink has sent before and after the exporter's start, so a counter that comes back, after a restart or under
 *   the labels of an ended one, falls to it and is seen to rise from it. After a change from deltas to counters it is
 *   the sum that went as deltas, so that nothing is counted twice.
 * - Series that look the same to the receiver share a slot, and their totals are added; so are those folded into `~other`. A slot
 *   outlives its series: its total never falls.
 * - A counter ends with a stale marker, in a frame after the one in which its last value was accepted. Deltas need
 *   neither a start nor an end: a sum over time does not ask what was before.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #slots: Slots;
  readonly #members: Members;
  /** Slots of `~other`: they do not count against `maxSeries`. */
  readonly #others = new Set<number>();
  #folded = 0;
  #mode: Mode | undefined;
  #lastMs: number;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#slots = new Slots(options.counters.length);
    this.#members = new Members(options.counters.length);
    this.#lastMs = options.startedMs;
  }

  /** Series at the receiver. */
  get size(): number {
    return this.#slots.size;
  }

  /** Live series of ours that are folded into `~other`. */
  get folded(): number {
    return this.#folded;
  }

  /** Takes over what rose and what ended. Snapshots come in the order of their times; each one in full. */
  absorb(snapshot: Snapshot): void {
    const columns = this.#options.counters.map((counter) => snapshot.totals[counter]);
    const width = columns.length;
    for (const [row, series] of snapshot.series.entries()) {
      const member = this.#members.find(series.id) ?? this.#join(series);
      const unit = this.#members.slotOf(member) * width;
      for (let counter = 0; counter < width; counter++) {
        const rise = this.#members.read(member, counter, columns[counter]!, row);
        if (rise > 0) this.#slots.count(unit + counter, rise);
      }
    }
    for (const series of snapshot.retired) this.#leave(series);
  }

  #join(series: Series): number {
    const slot = this.#slotFor(series.labels);
    this.#slots.members[slot] = this.#slots.members[slot]! + 1;
    if (this.#others.has(slot)) this.#folded++;
    return this.#members.add(series.id, slot);
  }

  #slotFor(labels: SeriesLabels): number {
    const identity = this.#options.identityOf(labels);
    const known = this.#slots.find(identity);
    if (known !== undefined) return known;
    if (this.#slots.size - this.#others.size < this.#options.maxSeries) return this.#slots.take(identity);
    const otherIdentity = this.#options.identityOf(otherLabels(labels));
    const other = this.#slots.find(otherIdentity) ?? this.#slots.take(otherIdentity);
    this.#others.add(other);
    return other;
  }

  #leave(series: Series): void {
    const slot = this.#members.remove(series.id);
    if (slot === undefined) return;
    this.#slots.members[slot] = this.#slots.members[slot]! - 1;
    if (this.#others.has(slot)) this.#folded--;
  }

  /**
   * Freezes what is to be told at `timeMs`, which is later than any frame before. The frame before must have been settled:
   * accepted, refused or left.
   */
  freeze(timeMs: number, mode: Mode, position: Position): Frame {
    const slots = this.#slots;
    if (mode !== this.#mode) slots.began.fill(0);
    this.#mode = mode;
    const startMs = Math.max(timeMs - this.#options.intervalMs, this.#lastMs + 1);
    this.#lastMs = Math.max(this.#lastMs, timeMs);
    const builder = new FrameBuilder(slots, mode, timeMs, this.#options.starts === false ? undefined : startMs);
    for (let slot = 0; slot < slots.identities.length; slot++) {
      if (slots.identities[slot] !== undefined && !builder.tell(slot)) this.#free(slot);
    }
    return builder.build(position);
  }

  #free(slot: number): void {
    this.#slots.free(slot);
    this.#others.delete(slot);
  }

  /** The receiver has accepted the units from `from` to before `to`. */
  accepted(frame: Frame, from: number, to: number): void {
    const slots = this.#slots;
    for (let i = from; i < to; i++) {
      const kind = frame.kinds[i]!;
      if (kind === NOTHING) continue;
      const slot = frame.slots[Math.floor(i / frame.width)]!;
      const unit = slot * frame.width + (i % frame.width);
      slots.refusals[slot] = 0;
      if (kind === END) slots.began[unit] = 0;
      else if (frame.mode === 'delta') slots.handRise(unit, frame.values[i]!);
      else {
        slots.handTotal(unit, frame.values[i]!);
        slots.began[unit] = 1;
      }
    }
  }

  /** Takes units out of a frame whose start was not accepted: they go with a later one. */
  withhold(frame: Frame): void {
    const { starts, kinds, slots, width } = frame;
    if (starts === undefined) return;
    for (let i = 0; i < kinds.length; i++) {
      if (starts.kinds[i] === NOTHING) continue;
      const unit = slots[Math.floor(i / width)]! * width + (i % width);
      if (this.#slots.began[unit] === 0) kinds[i] = NOTHING;
    }
  }

  /**
   * The receiver takes others, but refuses this unit. Its series pauses, so that it does not make every request fail; one that has
   * ended is given up after some tries.
   */
  refused(frame: Frame, unit: number): 'paused' | 'given_up' {
    const slots = this.#slots;
    const slot = frame.slots[Math.floor(unit / frame.width)]!;
    // Another counter of the same series was refused already.
    if (slots.pausedUntilMs[slot]! > this.#lastMs) return 'paused';
    const times = slots.refusals[slot]!;
    slots.refusals[slot] = Math.min(times + 1, 255);
    slots.pausedUntilMs[slot] = this.#lastMs + Math.min(FIRST_PAUSE_MS * 2 ** times, MAX_PAUSE_MS);
    if (slots.members[slot] !== 0 || times + 1 < TRIES_AFTER_END) return 'paused';
    for (let i = slot * frame.width; i < (slot + 1) * frame.width; i++) {
      slots.began[i] = 0;
      slots.handTotal(i, slots.total(i));
    }
    return 'given_up';
  }
}
