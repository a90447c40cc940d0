import { Bug } from '@egressd/flow/bug';
import type { RestoredTotals } from '../../aggregate/image.ts';
import type { Position, Series, Snapshot } from '../../aggregate/snapshot.ts';
import { type Frame, type Mode, NO_SAMPLE, STALE } from './frame.ts';
import { FrameBuilder } from './frame-builder.ts';
import type { Part } from './part.ts';
import type { RefusalReason } from './refusal-reason.ts';
import { SeriesTable, type SeriesTableOptions } from './series-table.ts';
import { frameOf, imageOfFrame, OTHER_SLOT, type SinkStateImage, USED_SLOT } from './sink-state-image.ts';
import { carryOverTable, restoreTable, startTableFrom } from './sink-state-restore.ts';

/** First backoff of a series that was refused by itself; it doubles each time ... */
const FIRST_BACKOFF_MS = 60_000;
/** ... up to this. */
const MAX_BACKOFF_MS = 16 * 60_000;

/** A counter without a sample for longer than so many intervals has a gap. */
const GAP_INTERVALS = 2;

/** After so many refusals in a row a series that has ended is abandoned: a quarter of an hour. */
const TRIES_AFTER_END = 5;

/** What a sink state needs to know of its sink. */
export interface SinkStateOptions extends SeriesTableOptions {
  /** Unix milliseconds: no total is older, and no sample of ours may be. */
  readonly startedMs: number;
  /** Time between two snapshots. */
  readonly intervalMs: number;
  /** false: no zero samples, because the receiver keeps records and not counters; true unless set. */
  readonly zeroSamples?: boolean;
  /** true: frames say since when each value counts (`Frame.startsMs`). */
  readonly startTimes?: boolean;
  /** What the identities mean: labels and how they are written. A state of another scheme cannot be resumed. */
  readonly identityScheme?: string;
  /** Which receiver has what this state says. */
  readonly receiverId?: string;
  /** Distinguishes this state from any other; one that is restored keeps its own. */
  readonly origin?: string;
}

/** How an image was resumed. */
export interface Restored {
  /**
   * `resumed`: as if nothing had happened; `new_receiver`: nothing of what was accepted before is there; `new_series`: the series are
   * other ones. In all of them the receiver still gets what was not accepted.
   */
  readonly outcome: 'resumed' | 'new_receiver' | 'new_series';
  /** Units with something unaccepted that cannot be sent any more: only of series that had ended, and only with `new_series`. */
  readonly lost: number;
}

/**
 * What one sink's receiver has, and what is still to be sent to it. Pure.
 *
 * The reasoning that keeps it exact:
 *
 * - Everything is a cumulative total. `accepted` moves only when the receiver has accepted; refused, thrown away, superseded: the bytes
 *   are still in `total - accepted` and go with the next frame that gets through, as a larger increase or as the total itself. What
 *   is lost is resolution. Bytes are lost only with a series that ended and whose last sample was refused.
 * - A request that may have been stored (no answer, a time-out, a 5xx) is repeated to the byte until the receiver has taken it or
 *   refused what is in it, and no other goes before it. The same sample twice does no harm to a counter, nor to a database
 *   that drops duplicates; in one that keeps them a repeated delta counts twice (VictoriaMetrics without -dedup).
 * - A counter's first sample is preceded, in an earlier request, by a zero sample with what was accepted before: zero for a new
 *   one. A request holds one sample a series, so that a database takes it again and none is out of order. The zero sample lies after
 *   all that this sink has sent before and after the exporter's start, so a counter that comes back, after a restart or under
 *   the labels of an ended one, falls to it and is seen to increase from it. After a change from deltas to counters it is
 *   the sum that went as deltas, so that nothing is counted twice.
 * - Series that look the same to the receiver share a slot, and their totals are added; so are those folded into `~other`. A slot
 *   outlives its series: its total never falls.
 * - Where a counter has a gap (the receiver or the exporter was away for more than two intervals), its last value goes once more, one
 *   interval before the first new one: otherwise no window of a query holds both sides of the gap, and `increase` does not find
 *   what was counted in it. Only where that value is the receiver's last one for sure: a lower one would look like a reset.
 * - A counter ends with a stale marker, in a frame after the one in which its last value was accepted. Deltas need
 *   neither a zero sample nor a stale marker: a sum over time does not ask what was before.
 */
export class SinkState {
  readonly #options: SinkStateOptions;
  readonly #table: SeriesTable;
  #mode: Mode | undefined;
  #lastMs: number;
  /** Nothing was frozen or restored: `#lastMs` is when this process started. */
  #fresh = true;
  #origin: string;
  /** The frame in flight; its zero samples are taken off it once they are settled. */
  #inFlight: Frame | undefined;
  /** By slot that was refused, and not accepted since: what for. Not kept over a restart. */
  readonly #refusedFor = new Map<number, RefusalReason>();

  constructor(options: SinkStateOptions) {
    this.#options = options;
    this.#table = new SeriesTable(options);
    this.#lastMs = options.startedMs;
    this.#origin = options.origin ?? '';
  }

  /** The frame that was frozen and is not settled; after a restore, one of which all may have been sent or nothing. */
  get inFlight(): Frame | undefined {
    return this.#inFlight;
  }

  /** Series at the receiver. */
  get size(): number {
    return this.#table.slots.size;
  }

  /** Live series beyond the cardinality limit, folded into `~other`. */
  get folded(): number {
    return this.#table.folded;
  }

  /** Series that are refused now, by what for. */
  refusedSeries(): Map<RefusalReason, number> {
    const counts = new Map<RefusalReason, number>();
    const { refusals, identities } = this.#table.slots;
    for (let slot = 0; slot < identities.length; slot++) {
      if (refusals[slot] === 0 || identities[slot] === undefined) continue;
      const reason = this.#refusedFor.get(slot) ?? 'other';
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
    }
    return counts;
  }

  /** The clock was set: the start, as long as no sample has a time. */
  moveStart(byMs: number): void {
    if (this.#fresh) this.#lastMs += byMs;
  }

  /** Takes over what increased and what ended. Snapshots come in the order of their times; each one in full. */
  absorb(snapshot: Snapshot): void {
    this.#table.absorb(snapshot);
  }

  /**
   * Freezes what is to be sent at `timeMs`, which is later than any frame before. The frame before must have been settled:
   * accepted, refused or abandoned.
   */
  freeze(timeMs: number, mode: Mode, position: Position): Frame {
    const { slots } = this.#table;
    if (mode !== this.#mode) slots.forgetStarts();
    this.#mode = mode;
    this.#fresh = false;
    const zeroSampleMs = Math.max(timeMs - this.#options.intervalMs, this.#lastMs + 1);
    this.#lastMs = Math.max(this.#lastMs, timeMs);
    const builder = new FrameBuilder(slots, {
      ...{ origin: this.#origin, mode, timeMs },
      zeroSampleMs: this.#options.zeroSamples === false ? undefined : zeroSampleMs,
      gapBeforeMs: timeMs - GAP_INTERVALS * this.#options.intervalMs,
      startTimes: this.#options.startTimes === true,
    });
    this.#addAll(builder);
    this.#inFlight = builder.build(position);
    return this.#inFlight;
  }

  /** Adds all series, those that were refused before last. */
  #addAll(builder: FrameBuilder): void {
    const { identities, refusals } = this.#table.slots;
    const suspects: number[] = [];
    for (let slot = 0; slot < identities.length; slot++) {
      if (identities[slot] === undefined) continue;
      if (refusals[slot] !== 0) suspects.push(slot);
      else if (!builder.add(slot)) this.#table.free(slot);
    }
    builder.beginSuspects();
    for (const slot of suspects) if (!builder.add(slot)) this.#table.free(slot);
  }

  /** The frame is accepted, refused or abandoned: it is never sent again. */
  settled(): void {
    this.#inFlight = undefined;
  }

  /** The receiver has accepted the units from `from` to before `to`. */
  accepted(frame: Frame, from: number, to: number): void {
    const { slots } = this.#table;
    for (let i = from; i < to; i++) {
      const kind = frame.kinds[i]!;
      if (kind === NO_SAMPLE) continue;
      const slot = frame.slots[Math.floor(i / frame.width)]!;
      const unit = slot * frame.width + (i % frame.width);
      if (slots.refusals[slot] !== 0) this.#refusedFor.delete(slot);
      slots.refusals[slot] = 0;
      slots.acceptedMs[unit] = kind === STALE || frame.mode === 'delta' ? 0 : frame.timeMs;
      if (kind === STALE) slots.started[unit] = 0;
      else if (frame.mode === 'delta') {
        slots.acceptIncrease(unit, frame.values[i]!);
        if (frame.startsMs !== undefined) slots.startMs[unit] = frame.timeMs;
      } else {
        slots.acceptTotal(unit, frame.values[i]!);
        slots.started[unit] = 1;
      }
    }
  }

  /**
   * The zero samples of a frame are settled. Takes units out of it whose zero sample was not accepted: they go with a later one.
   * @returns the frame that remains to be sent
   */
  withhold(frame: Frame): Frame {
    const { zeroSamples, kinds, slots, width } = frame;
    if (zeroSamples === undefined) return frame;
    for (let i = 0; i < kinds.length; i++) {
      if (zeroSamples.kinds[i] === NO_SAMPLE) continue;
      const unit = slots[Math.floor(i / width)]! * width + (i % width);
      if (this.#table.slots.started[unit] === 0) kinds[i] = NO_SAMPLE;
    }
    this.#inFlight = { ...frame, zeroSamples: undefined };
    return this.#inFlight;
  }

  /** The receiver may have stored units that were not accepted: what its last sample of them is is not known. */
  doubt({ slots, width }: Frame, from: number, to: number): void {
    const { acceptedMs } = this.#table.slots;
    for (let i = from; i < to; i++) acceptedMs[slots[Math.floor(i / width)]! * width + (i % width)] = 0;
  }

  /**
   * The receiver takes others, but refuses this unit. Its series goes into backoff, so that it does not make every request fail; one that
   * has ended is abandoned after some tries.
   */
  refused(frame: Frame, unit: number, reason: RefusalReason = 'other'): 'backoff' | 'series_ended' {
    const { slots } = this.#table;
    const slot = frame.slots[Math.floor(unit / frame.width)]!;
    this.#refusedFor.set(slot, reason);
    // Another counter of the same series was refused already.
    if (slots.backoffUntilMs[slot]! > this.#lastMs) return 'backoff';
    const times = slots.refusals[slot]!;
    slots.refusals[slot] = Math.min(times + 1, 255);
    slots.backoffUntilMs[slot] = this.#lastMs + Math.min(FIRST_BACKOFF_MS * 2 ** times, MAX_BACKOFF_MS);
    if (slots.liveCount[slot] !== 0 || times + 1 < TRIES_AFTER_END) return 'backoff';
    for (let i = slot * frame.width; i < (slot + 1) * frame.width; i++) {
      slots.started[i] = 0;
      slots.acceptTotal(i, slots.total(i));
    }
    return 'series_ended';
  }

  /**
   * The state at the moment of the snapshot that was absorbed last. Valid until anything else is called.
   * @param series those of that snapshot
   * @param remaining what is not settled of the frame in flight
   */
  image(series: readonly Series[], remaining: readonly Part[]): SinkStateImage {
    const { slots, live, others } = this.#table;
    const { identities } = slots;
    const slotOf = new Uint32Array(series.length);
    for (let row = 0; row < series.length; row++) {
      const entry = live.find(series[row]!.id);
      if (entry === undefined) throw new Bug('an image of a sink state that has not absorbed all series');
      slotOf[row] = live.slotOf(entry);
    }
    const kinds = new Uint8Array(identities.length);
    const ended = new Map<number, string>();
    for (const [slot, identity] of identities.entries()) {
      if (identity === undefined) continue;
      kinds[slot] = others.has(slot) ? OTHER_SLOT : USED_SLOT;
      if (slots.liveCount[slot] === 0) ended.set(slot, identity);
    }
    const { counters, identityScheme = '', receiverId = '' } = this.#options;
    return {
      ...{ identityScheme, receiverId, counters, origin: this.#origin, mode: this.#mode, lastMs: this.#lastMs },
      ...{ slotOf, kinds, ended },
      backoffUntilMs: slots.backoffUntilMs.subarray(0, identities.length),
      refusals: slots.refusals.subarray(0, identities.length),
      ...slots.units(),
      frame: this.#inFlight && imageOfFrame(this.#inFlight, remaining),
    };
  }

  /** Starts from the totals: what was counted before is not sent to this receiver. Before anything was absorbed. */
  startFrom(totals: RestoredTotals): void {
    startTableFrom(this.#table, totals);
  }

  /** Resumes from the image of a former process, which is of the same moment as the totals. Before anything was absorbed. */
  restore(image: SinkStateImage, totals: RestoredTotals): Restored {
    const { counters, identityScheme = '', receiverId = '' } = this.#options;
    this.#fresh = false;
    if (image.identityScheme !== identityScheme || image.counters.join() !== counters.join()) {
      // The receiver may see the same series in them: what starts there lies after all that was sent.
      this.#lastMs = Math.max(this.#lastMs, image.lastMs);
      return { outcome: 'new_series', lost: carryOverTable(this.#table, this.#options, image, totals) };
    }
    restoreTable(this.#table, this.#options, image, totals);
    this.#mode = image.mode;
    this.#lastMs = image.lastMs;
    if (image.receiverId === receiverId) {
      this.#origin = image.origin;
      this.#inFlight = frameOf(image, this.#table.slots.identities, this.#options.startTimes === true);
      return { outcome: 'resumed', lost: 0 };
    }
    this.#table.slots.resetAccepted();
    return { outcome: 'new_receiver', lost: 0 };
  }
}
