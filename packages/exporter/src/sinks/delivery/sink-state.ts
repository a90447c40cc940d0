import { Bug } from '@egressd/flow/bug';
import type { Standing } from '../../aggregate/image.ts';
import {
  type Counter,
  otherLabels,
  type Position,
  type Series,
  type SeriesLabels,
  type Snapshot,
} from '../../aggregate/snapshot.ts';
import { END, type Frame, type Mode, NOTHING } from './frame.ts';
import { FrameBuilder } from './frame-builder.ts';
import { Members } from './members.ts';
import type { Part } from './request-splitter.ts';
import {
  FREE_SLOT,
  frameOf,
  imageOfFrame,
  type LedgerImage,
  OTHER_SLOT,
  USED_SLOT,
  untold,
} from './sink-state-image.ts';
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
  /** What the identities mean: labels and how they are written. Books of another one cannot be gone on with. */
  readonly scheme?: string;
  /** Who has what these books say. */
  readonly receiver?: string;
  /** Tells these books from any others; one that is restored keeps its own. */
  readonly origin?: string;
}

/** How it was gone on from an image. */
export interface Restored {
  /**
   * `resumed`: as if nothing had been; `new_receiver`: nothing of what was accepted before is there; `anew`: the series are other
   * ones. In all of them the receiver is still told what nobody had accepted.
   */
  readonly outcome: 'resumed' | 'new_receiver' | 'anew';
  /** Units that had something to tell and have no series to tell it with: only in series that had ended, and only `anew`. */
  readonly lost: number;
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
  #origin: string;
  /** The frame that is under way; its starts are taken off it once they are settled. */
  #inFlight: Frame | undefined;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#slots = new Slots(options.counters.length);
    this.#members = new Members(options.counters.length);
    this.#lastMs = options.startedMs;
    this.#origin = options.origin ?? '';
  }

  /** The frame that was frozen and is not settled; after a restore of one that may be anywhere on its way. */
  get inFlight(): Frame | undefined {
    return this.#inFlight;
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
    const builder = new FrameBuilder(
      slots,
      this.#origin,
      mode,
      timeMs,
      this.#options.starts === false ? undefined : startMs,
    );
    for (let slot = 0; slot < slots.identities.length; slot++) {
      if (slots.identities[slot] !== undefined && !builder.tell(slot)) this.#free(slot);
    }
    this.#inFlight = builder.build(position);
    return this.#inFlight;
  }

  /** The frame is accepted, refused or left: it is never sent again. */
  settled(): void {
    this.#inFlight = undefined;
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

  /**
   * The starts of a frame are settled. Takes units out of it whose start was not accepted: they go with a later one.
   * @returns the frame that is left to send
   */
  withhold(frame: Frame): Frame {
    const { starts, kinds, slots, width } = frame;
    if (starts === undefined) return frame;
    for (let i = 0; i < kinds.length; i++) {
      if (starts.kinds[i] === NOTHING) continue;
      const unit = slots[Math.floor(i / width)]! * width + (i % width);
      if (this.#slots.began[unit] === 0) kinds[i] = NOTHING;
    }
    this.#inFlight = { ...frame, starts: undefined };
    return this.#inFlight;
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

  /**
   * The books, at the moment of the snapshot that was absorbed last. Valid until anything else is asked for.
   * @param series those of that snapshot
   * @param left what is not settled of the frame that is under way
   */
  image(series: readonly Series[], left: readonly Part[]): LedgerImage {
    const slots = this.#slots;
    const { identities } = slots;
    const slotOf = new Uint32Array(series.length);
    for (let row = 0; row < series.length; row++) {
      const member = this.#members.find(series[row]!.id);
      if (member === undefined) throw new Bug('an image of books that have not absorbed all series');
      slotOf[row] = this.#members.slotOf(member);
    }
    const kinds = new Uint8Array(identities.length);
    const ended = new Map<number, string>();
    for (const [slot, identity] of identities.entries()) {
      if (identity === undefined) continue;
      kinds[slot] = this.#others.has(slot) ? OTHER_SLOT : USED_SLOT;
      if (slots.members[slot] === 0) ended.set(slot, identity);
    }
    const { counters, scheme = '', receiver = '' } = this.#options;
    return {
      ...{
        scheme,
        receiver,
        counters,
        origin: this.#origin,
        mode: this.#mode,
        lastMs: this.#lastMs,
        slotOf,
        kinds,
        ended,
      },
      pausedUntilMs: slots.pausedUntilMs.subarray(0, identities.length),
      refusals: slots.refusals.subarray(0, identities.length),
      ...slots.units(),
      frame: this.#inFlight && imageOfFrame(this.#inFlight, left),
    };
  }

  /** Begins where the totals stand: what was counted before is no concern of this receiver. Before anything was absorbed. */
  begin({ series, totals }: Standing): void {
    for (const [row, one] of series.entries()) this.#read(this.#join(one), totals, row);
  }

  /** Goes on from the books of a life before, which are of the same moment as the totals. Before anything was absorbed. */
  restore(image: LedgerImage, standing: Standing): Restored {
    const { counters, scheme = '', receiver = '' } = this.#options;
    if (image.scheme !== scheme || image.counters.join() !== counters.join()) {
      // The receiver may see the same series in them: what begins there lies behind all that was sent.
      this.#lastMs = Math.max(this.#lastMs, image.lastMs);
      return { outcome: 'anew', lost: this.#carryOver(image, standing) };
    }
    this.#restoreSlots(image, standing);
    this.#mode = image.mode;
    this.#lastMs = image.lastMs;
    if (image.receiver === receiver) {
      this.#origin = image.origin;
      this.#inFlight = frameOf(image, this.#slots.identities);
      return { outcome: 'resumed', lost: 0 };
    }
    this.#slots.forgetReceiver();
    return { outcome: 'new_receiver', lost: 0 };
  }

  #restoreSlots(image: LedgerImage, { series, totals }: Standing): void {
    const slots = this.#slots;
    const identities: (string | undefined)[] = new Array(image.kinds.length);
    for (const [slot, identity] of image.ended) identities[slot] = identity;
    for (const [row, { labels }] of series.entries()) {
      const slot = image.slotOf[row]!;
      const folded = image.kinds[slot] === OTHER_SLOT;
      identities[slot] ??= this.#options.identityOf(folded ? otherLabels(labels) : labels);
      if (folded) this.#folded++;
    }
    slots.restore(image, identities);
    for (const [slot, kind] of image.kinds.entries()) if (kind === OTHER_SLOT) this.#others.add(slot);
    for (const [row, { id }] of series.entries()) {
      const slot = image.slotOf[row]!;
      slots.members[slot] = slots.members[slot]! + 1;
      this.#read(this.#members.add(id, slot), totals, row);
    }
  }

  /** All of the totals is in the books. */
  #read(member: number, totals: Standing['totals'], row: number): void {
    for (const [index, counter] of this.#options.counters.entries())
      this.#members.read(member, index, totals[counter], row);
  }

  /** Begins with other series. What nobody had accepted of an old one goes with the first live series behind it. @returns units without one */
  #carryOver(image: LedgerImage, standing: Standing): number {
    this.begin(standing);
    const width = this.#options.counters.length;
    const carried = new Uint8Array(image.kinds.length);
    for (const [row, { id }] of standing.series.entries()) {
      const old = image.slotOf[row]!;
      if (carried[old] === 1) continue;
      carried[old] = 1;
      const unit = this.#members.slotOf(this.#members.find(id)!) * width;
      for (const [index, counter] of this.#options.counters.entries())
        this.#slots.count(unit + index, untold(image, old, image.counters.indexOf(counter)));
    }
    let lost = 0;
    for (const [slot, kind] of image.kinds.entries())
      for (let index = 0; index < image.counters.length; index++)
        if (kind !== FREE_SLOT && carried[slot] === 0 && untold(image, slot, index) > 0) lost++;
    return lost;
  }
}
