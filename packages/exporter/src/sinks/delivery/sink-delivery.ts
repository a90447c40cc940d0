import { randomUUID } from 'node:crypto';
import { type BackoffLimits, backoffMs } from '@egressd/daemon/backoff';
import type { Log } from '@egressd/daemon/log';
import type { Standing } from '../../aggregate/image.ts';
import type { Position, Series, Snapshot } from '../../aggregate/snapshot.ts';
import type { FrozenRequest, SendResult, Sink } from '../sink.ts';
import { DeliveryLog } from './delivery-log.ts';
import { type Frame, type Mode, unitsOf } from './frame.ts';
import type { DropReason, SinkMetrics } from './metrics.ts';
import { Parts } from './request-splitter.ts';
import { Ledger } from './sink-state.ts';
import type { LedgerImage } from './sink-state-image.ts';
import { REAL_TIMERS, type Timers } from './timers.ts';

const BACKOFF: BackoffLimits = { minMs: 1000, maxMs: 60_000 };

/** A sink that has not accepted anything for so long no longer holds commits: collectors must not run full for it. */
export const AWAY_AFTER_MS = 10 * 60_000;
/** Longest pause between two attempts while the exporter stops. */
const CLOSING_RETRY_MS = 250;

type Rejected = Extract<SendResult, { outcome: 'rejected' }>;
/** A frame, or the starts of one, and what became of its parts. */
interface SentFrame {
  readonly frame: Frame;
  readonly parts: Parts;
}
type Settled = Exclude<SendResult, { outcome: 'retryable' }>;
/** What became of a request; no result: the exporter stops. */
interface Sent {
  readonly result: Settled | undefined;
  /** An answer was lost on the way, so it may have been stored more often than once, or although it was refused. */
  readonly maybeStored: boolean;
}

/** What became of a frame; `stopped`: nobody knows, because the exporter stops. */
type Fate = 'accepted' | 'left' | 'stopped';

/** What was accepted, reported in the order of the snapshots. */
export interface Accepted {
  /** `timeMs` of the newest snapshot that is accepted: everything in it was stored, or refused and counted. */
  readonly timeMs: number;
  readonly position: Position;
}

export interface DeliveryOptions {
  readonly sink: Sink;
  /** Unix milliseconds: when the totals began at zero. */
  readonly startedMs: number;
  /** Time between two snapshots. */
  readonly intervalMs: number;
  readonly metrics: SinkMetrics;
  readonly log: Log;
  readonly onAccepted: (accepted: Accepted) => void;
  /**
   * Resolves once the books as they are now will outlive the process, with true; with false where the signal comes first. Nothing is sent
   * before. Not set: they die with it.
   */
  readonly durable?: ((signal: AbortSignal) => Promise<boolean>) | undefined;
  readonly timers?: Timers;
  readonly random?: () => number;
}

/**
 * Brings snapshots to one sink. `offer` never waits: what a snapshot says is taken into the sink's ledger, and one frame at a time
 * is frozen from it and sent until there is an answer. However slow the sink is, there is one frame, one request body and
 * one ledger in memory.
 *
 *   offer -> ledger -> frame -> (durable) -> parts -> request -> sink
 *            totals    frozen                halved   repeated to the byte
 *
 * Where the books are durable, the reasoning that keeps them exact across a crash:
 *
 * - A frame is sent only when it is on the disk, with the books that it came from and the totals behind them. So the receiver never has
 *   more than what a restart restores: no counter falls, and none is begun twice.
 * - Starts and the frame behind them are two steps, and the disk knows which of them is under way: once a value may have been stored its
 *   start is not sent again, which a database would refuse as out of order.
 * - The frame under way at the crash goes again, to the byte, before any other: same values, same times, cut in the same parts, so the
 *   same keys. What of it was accepted is in the books (then it is not sent again) or is not known: it may have been stored, like
 *   a request whose answer was lost.
 */
export class Delivery {
  readonly #sink: Sink;
  readonly #metrics: SinkMetrics;
  readonly #onAccepted: (accepted: Accepted) => void;
  readonly #timers: Timers;
  readonly #random: () => number;
  readonly #ledger: Ledger;
  /** Units that are accepted or refused together: a row of items, or one sample. Parts are counted in these. */
  readonly #grain: number;
  readonly #durable: DeliveryOptions['durable'];
  readonly #diary: DeliveryLog;
  /** Ends the attempt that is under way. */
  readonly #stop = new AbortController();
  /** Ends the pause that is under way: the exporter stops. */
  readonly #hurry = new AbortController();
  #waiting: { readonly timeMs: number; readonly position: Position; readonly mode: Mode } | undefined;
  #waitingSince: number | undefined;
  #behindSince: number | undefined;
  #acceptedAt: number;
  #away = false;
  #running: Promise<void> | undefined;
  /** Of the frame that is under way, or of its starts. */
  #parts: Parts | undefined;

  constructor(options: DeliveryOptions) {
    const { sink } = options;
    this.#sink = sink;
    this.#metrics = options.metrics;
    this.#onAccepted = options.onAccepted;
    this.#durable = options.durable;
    this.#timers = options.timers ?? REAL_TIMERS;
    this.#random = options.random ?? Math.random;
    this.#diary = new DeliveryLog(sink.name, options.log, () => this.#timers.now());
    this.#acceptedAt = this.#timers.now();
    this.#grain = sink.form === 'items' ? sink.counters.length : 1;
    this.#ledger = new Ledger({
      counters: sink.counters,
      maxSeries: sink.maxSeries,
      identityOf: (labels) => sink.identityOf(labels),
      startedMs: options.startedMs,
      intervalMs: options.intervalMs,
      starts: sink.form === 'samples',
      scheme: sink.scheme,
      receiver: sink.receiver,
      origin: randomUUID(),
    });
    this.#metrics.watch(sink.name, () => this.#state());
  }

  /** Whether batches that this sink has not accepted are to wait for it. */
  get holdsCommit(): boolean {
    return this.#behindMs() <= AWAY_AFTER_MS;
  }

  /** Begins where the totals stand, before the first snapshot: they were counted before this sink was there. */
  begin(standing: Standing): void {
    this.#ledger.begin(standing);
  }

  /** Goes on from the books of a life before, before the first snapshot. What was under way goes first. */
  resume(image: LedgerImage, standing: Standing): void {
    const { outcome, lost } = this.#ledger.restore(image, standing);
    this.#diary.resumed(outcome, lost);
    if (lost > 0) this.#drop('given_up', lost);
    const { frame } = image;
    if (this.#ledger.inFlight === undefined || frame === undefined) return;
    const bounds = Array.from({ length: frame.left.length / 2 }, (_, i) => frame.left.subarray(2 * i, 2 * i + 2));
    this.#parts = new Parts(
      0,
      bounds.map(([from, to]) => ({ from: from!, to: to! })),
    );
    this.#behindSince = this.#timers.now();
    this.#running = this.#run();
  }

  /** The books at the moment of the last snapshot, whose series these are. Valid until anything else is asked for. */
  image(series: readonly Series[]): LedgerImage {
    return this.#ledger.image(series, this.#parts?.left ?? []);
  }

  /**
   * Takes a snapshot, later than any before. One that waits still is superseded.
   * @param asked what the collectors ask for; undefined: nothing, so the sink sends as it usually does
   */
  offer(snapshot: Snapshot, asked: Mode | undefined): void {
    if (this.#stop.signal.aborted) return;
    this.#ledger.absorb(snapshot);
    if (this.#waiting !== undefined) this.#metrics.superseded(this.#sink.name);
    const now = this.#timers.now();
    this.#waitingSince ??= now;
    this.#behindSince ??= now;
    const mode = asked ?? this.#sink.usualMode;
    this.#waiting = { timeMs: snapshot.timeMs, position: snapshot.position, mode };
    this.#noteAway();
    this.#running ??= this.#run();
  }

  /** Delivers what waits still, for at most `deadlineMs`. @returns whether all was accepted */
  async close(deadlineMs: number): Promise<boolean> {
    this.#hurry.abort();
    const done = new AbortController();
    await Promise.race([this.#running, this.#timers.sleep(deadlineMs, done.signal)]);
    done.abort();
    this.#stop.abort();
    await this.#running;
    await this.#sink.close();
    return this.#behindSince === undefined;
  }

  async #run(): Promise<void> {
    // One of a life before.
    let frame = this.#ledger.inFlight;
    let resumed = frame !== undefined;
    for (; !this.#stop.signal.aborted; frame = undefined, resumed = false) {
      frame ??= this.#freeze();
      if (frame === undefined) break;
      const { timeMs, position } = frame;
      try {
        const fate = await this.#deliver(frame, resumed);
        // It is still under way: the next life goes on with it.
        if (fate === 'stopped') break;
        this.#ledger.settled();
        if (fate === 'accepted') this.#accept({ timeMs, position });
      } catch (error) {
        this.#ledger.settled();
        this.#diary.broken(error);
      }
    }
    this.#running = undefined;
  }

  /** The snapshot that waits as a frame; undefined: none does. */
  #freeze(): Frame | undefined {
    if (this.#waiting === undefined) return undefined;
    const { timeMs, mode, position } = this.#waiting;
    this.#waiting = undefined;
    this.#waitingSince = undefined;
    return this.#ledger.freeze(timeMs, mode, position);
  }

  #accept(accepted: Accepted): void {
    this.#acceptedAt = this.#timers.now();
    this.#behindSince = this.#waitingSince;
    this.#noteAway();
    this.#onAccepted(accepted);
  }

  /**
   * Sends a frame, its starts first.
   * @param resumed a life before was about to send it, or was at it
   * @returns whether it is accepted: all of it, or what the receiver did not refuse alone
   */
  async #deliver(whole: Frame, resumed: boolean): Promise<Fate> {
    if (whole.paused > 0) this.#drop('paused', whole.paused / this.#grain);
    const sent: SentFrame[] = [];
    const { starts } = whole;
    const early = starts === undefined ? undefined : await this.#sendWhole(starts, resumed, sent);
    if (early !== undefined) return early;
    const frame = this.#ledger.withhold(whole);
    const end = await this.#sendWhole(frame, resumed && starts === undefined, sent);
    return end ?? (this.#settle(frame, sent) ? 'accepted' : 'left');
  }

  /** Sends a frame without its starts, or the starts of one, once it is durable. @returns undefined: go on */
  async #sendWhole(frame: Frame, resumed: boolean, sent: SentFrame[]): Promise<Fate | undefined> {
    const parts = (resumed ? this.#parts : undefined) ?? new Parts(unitsOf(frame) / this.#grain);
    this.#parts = parts;
    if (!(await this.#untilDurable())) return 'stopped';
    const open = await this.#sendParts(frame, parts, resumed);
    if (open === undefined) return 'stopped';
    sent.push({ frame, parts });
    if (open) return undefined;
    this.#drop('rejected', refusedIn(sent));
    return 'left';
  }

  /** @returns false: the exporter stops */
  async #untilDurable(): Promise<boolean> {
    return this.#durable === undefined || this.#durable(this.#stop.signal);
  }

  /**
   * @param resumed all of it may have been stored
   * @returns false: the receiver takes nothing, whatever it is; undefined: the exporter stops
   */
  async #sendParts(frame: Frame, parts: Parts, resumed: boolean): Promise<boolean | undefined> {
    const grain = this.#grain;
    let doubt = resumed;
    for (let part = parts.next; part !== undefined; part = parts.next) {
      const request = await this.#sink.encode(frame, part.from * grain, part.to * grain);
      parts.cut(request.end / grain);
      const sent = await this.#send(request, doubt);
      this.#noteAmbiguous(frame, request, sent);
      if (sent.result === undefined) return undefined;
      const { result } = sent;
      if (result.outcome === 'ok') {
        this.#ledger.accepted(frame, part.from * grain, request.end);
        parts.accept(request.samples);
        this.#metrics.exported(this.#sink.name, request.samples);
      } else {
        this.#diary.rejected(result);
        // Split by its size, it is as doubtful in pieces as it was whole.
        doubt ||= result.fault === 'size' && sent.maybeStored;
        if (result.fault === 'request') {
          parts.giveUp();
          return false;
        }
        parts.refuse(result.fault);
        // The pieces have keys of their own: a life that knows only the whole would send it beside them.
        if (frame.mode === 'delta' && !(await this.#untilDurable())) return undefined;
      }
    }
    return true;
  }

  /**
   * Counts what was not accepted. Refusals are about what is in a request only where the receiver has taken something else: where it
   * takes nothing, nothing is dropped.
   */
  #settle({ paused, young }: Frame, sent: readonly SentFrame[]): boolean {
    const accepted = sent.reduce((sum, { parts }) => sum + parts.accepted, 0);
    const refused = refusedIn(sent);
    if (refused === 0 && accepted > 0) this.#diary.well();
    if (refused > 0 && accepted === 0) this.#drop('rejected', refused);
    else for (const each of sent) this.#settleRefused(each);
    return young === 0 && (accepted > 0 || (refused === 0 && paused === 0));
  }

  #settleRefused({ frame, parts }: SentFrame): void {
    for (const alone of parts.alone)
      this.#drop(this.#ledger.refused(frame, alone * this.#grain) === 'given_up' ? 'given_up' : 'refused', 1);
    if (parts.unsearched > 0) this.#drop('unsearched', parts.unsearched);
  }

  /** Counters may be stored twice without harm, rises may not: it is counted where only the receiver can know. */
  #noteAmbiguous(frame: Frame, { samples }: FrozenRequest, { result, maybeStored }: Sent): void {
    if (frame.mode === 'counter' || !maybeStored) return;
    if (result === undefined) this.#metrics.ambiguous(this.#sink.name, 'stopped', samples);
    else if (result.outcome === 'ok') this.#metrics.ambiguous(this.#sink.name, 'repeated', samples);
    else if (result.fault === 'content') this.#metrics.ambiguous(this.#sink.name, 'refused', samples);
  }

  /**
   * Repeats a request until its fate is known; no result: the exporter stops. Once it may have been stored, a door that is shut (a
   * token that ran out meanwhile) does not tell whether it was: it is repeated until somebody looks at what is in it.
   * @param doubt what is in it may have been stored by an earlier request
   */
  async #send(request: FrozenRequest, doubt: boolean): Promise<Sent> {
    if (request.samples === 0) return { result: { outcome: 'ok', status: '' }, maybeStored: false };
    let maybeStored = doubt;
    for (let attempt = 1; !this.#stop.signal.aborted; attempt++) {
      const began = this.#timers.now();
      const result = await this.#sink.send(request, this.#stop.signal);
      const seconds = (this.#timers.now() - began) / 1000;
      this.#metrics.request(this.#sink.name, result.outcome, result.status, request.body.length, seconds);
      if (result.outcome === 'ok') return { result, maybeStored };
      if (result.outcome === 'retryable') maybeStored ||= result.maybeStored;
      else if (!maybeStored || tellsFate(result, request)) return { result, maybeStored };
      await this.#backoff(attempt, result);
      if (!this.#stop.signal.aborted) this.#metrics.retry(this.#sink.name);
    }
    return { result: undefined, maybeStored };
  }

  async #backoff(attempt: number, result: Exclude<SendResult, { outcome: 'ok' }>): Promise<void> {
    const closing = this.#hurry.signal.aborted;
    const askedMs = result.outcome === 'retryable' ? result.delayMs : undefined;
    const delayMs = backoffMs(attempt, BACKOFF, { askedMs, random: this.#random() });
    if (!this.#stop.signal.aborted) this.#diary.retry(result, attempt, delayMs);
    if (closing) await this.#timers.sleep(Math.min(delayMs, CLOSING_RETRY_MS), this.#stop.signal);
    else await this.#timers.sleep(delayMs, this.#hurry.signal);
  }

  #drop(reason: DropReason, samples: number): void {
    this.#metrics.dropped(this.#sink.name, reason, samples);
  }

  #behindMs(): number {
    return this.#behindSince === undefined ? 0 : this.#timers.now() - this.#behindSince;
  }

  #state() {
    return {
      behindSeconds: this.#behindMs() / 1000,
      sinceAcceptedSeconds: (this.#timers.now() - this.#acceptedAt) / 1000,
      away: !this.holdsCommit,
      series: this.#ledger.size,
      folded: this.#ledger.folded,
    };
  }

  /** Says when the sink begins or ends to be away. */
  #noteAway(): void {
    const away = !this.holdsCommit;
    if (away === this.#away) return;
    this.#away = away;
    if (away) this.#metrics.wentAway(this.#sink.name);
    this.#diary.away(away, this.#behindMs());
  }
}

/** Whether a refusal decides about a request that may have been stored before. One that is only too large is sent in pieces. */
function tellsFate({ fault }: Rejected, request: FrozenRequest): boolean {
  return fault === 'content' || (fault === 'size' && request.samples > 1);
}

/** Samples or items that were not accepted. */
function refusedIn(sent: readonly SentFrame[]): number {
  return sent.reduce((sum, { parts }) => sum + parts.alone.length + parts.unsearched, 0);
}
