import type { FrozenRequest, Sink } from '../sink.ts';
import type { DeliveryLog } from './delivery-log.ts';
import type { Frame, Mode } from './frame.ts';
import type { DropReason, SinkMetrics } from './metrics.ts';
import type { Part } from './part.ts';
import { type RefusalReason, refusalReason } from './refusal-reason.ts';
import { FAILING_MS, type RequestSender, type SentRequest, type Settled } from './request-sender.ts';
import type { RequestSize } from './request-size.ts';
import { RequestSplitter } from './request-splitter.ts';
import type { SinkState } from './sink-state.ts';

/**
 * What became of a frame. `accepted`: all of it, or what the receiver did not refuse by itself; `incomplete`: the rest goes with the next
 * frame; `stopped`: not known, because the exporter stopped.
 */
type FrameOutcome = 'accepted' | 'incomplete' | 'stopped';

/** A request of which not all was accepted. */
type Refused = Exclude<Settled, { outcome: 'ok' }>;

/** A frame, or the zero samples of one, and what became of its parts. */
interface SentFrame {
  readonly frame: Frame;
  readonly parts: RequestSplitter;
  /** By unit that was refused by itself: what for. */
  readonly reasons: Map<number, RefusalReason>;
}

interface FrameSenderOptions {
  readonly sink: Sink;
  readonly state: SinkState;
  readonly requests: RequestSender;
  /** See `SinkDeliveryOptions.durable`. */
  readonly durable: ((signal: AbortSignal) => Promise<boolean>) | undefined;
  readonly metrics: SinkMetrics;
  readonly log: DeliveryLog;
  /** How much the receiver takes at once. */
  readonly size: RequestSize;
}

/**
 * So long a receiver may answer 5xx to one delta alone, before others that wait behind it go first: it may have been stored, and then
 * counts twice (`ambiguous`).
 */
const FAILING_DELTA_MS = 30 * 60_000;

/**
 * Sends one frame at a time, its zero samples first, part by part. What the receiver refuses is bisected, so that one series that it does
 * not take (out of order, too old, over its own cardinality limit) is isolated and costs nothing but itself.
 */
export class FrameSender {
  readonly #options: FrameSenderOptions;
  /** Units that are accepted or refused together: a row of items, or one sample. Parts are counted in these. */
  readonly #unitsPerItem: number;
  /** Of the frame in flight, or of its zero samples. */
  #parts: RequestSplitter | undefined;
  /** Of the frame before nothing was accepted, and something refused. */
  #tookNothing = false;

  constructor(options: FrameSenderOptions) {
    this.#options = options;
    this.#unitsPerItem = options.sink.form === 'items' ? options.sink.counters.length : 1;
  }

  /** Parts of the frame in flight that are not settled. */
  get remaining(): readonly Part[] {
    return this.#parts?.remaining ?? [];
  }

  /** The first frame is one that a former process had in flight, with these parts not settled. */
  resume(mode: Mode, remaining: readonly Part[]): void {
    this.#parts = new RequestSplitter(0, { remaining, careful: this.#isCareful(mode) });
  }

  #isCareful(mode: Mode): boolean {
    return mode === 'delta' && this.#options.sink.form === 'samples';
  }

  /**
   * Sends a frame, its zero samples first.
   * @param resumed a former process had it in flight
   */
  async send(whole: Frame, resumed: boolean): Promise<FrameOutcome> {
    if (whole.inBackoff > 0) this.#drop('backoff', whole.inBackoff / this.#unitsPerItem);
    const sent: SentFrame[] = [];
    const { zeroSamples } = whole;
    const early = zeroSamples === undefined ? undefined : await this.#sendOne(zeroSamples, resumed, sent);
    if (early !== undefined) return early;
    const frame = this.#options.state.withhold(whole);
    const end = await this.#sendOne(frame, resumed && zeroSamples === undefined, sent);
    return end ?? (this.#settle(frame, sent) ? 'accepted' : 'incomplete');
  }

  /** Sends a frame without its zero samples, or the zero samples of one, once it is durable. @returns undefined: go on */
  async #sendOne(frame: Frame, resumed: boolean, sent: SentFrame[]): Promise<FrameOutcome | undefined> {
    const parts = (resumed ? this.#parts : undefined) ?? this.#split(frame);
    this.#parts = parts;
    if (!(await this.#untilDurable())) return 'stopped';
    const one: SentFrame = { frame, parts, reasons: new Map() };
    const open = await this.#sendParts(one, resumed);
    if (open === undefined) return 'stopped';
    sent.push(one);
    if (open) return undefined;
    this.#drop('rejected', refusedIn(sent));
    this.#countDoubtful(sent);
    return 'incomplete';
  }

  #split(frame: Frame): RequestSplitter {
    const perRow = frame.width / this.#unitsPerItem;
    const careful = this.#isCareful(frame.mode);
    return new RequestSplitter(frame.rows * perRow, {
      ...{ suspectsFrom: frame.suspectsFrom * perRow, careful },
      probeFirst: careful && this.#tookNothing,
    });
  }

  /** @returns false: the exporter stops */
  async #untilDurable(): Promise<boolean> {
    const { durable, requests } = this.#options;
    return durable === undefined || durable(requests.stopSignal);
  }

  /**
   * @param resumed all of it may have been stored
   * @returns false: the receiver takes nothing, whatever it is; undefined: the exporter stops
   */
  async #sendParts(one: SentFrame, resumed: boolean): Promise<boolean | undefined> {
    const { frame, parts } = one;
    const { sink, state, requests, metrics } = this.#options;
    const size = this.#unitsPerItem;
    let maybeStored = resumed;
    for (let part = parts.next; part !== undefined; part = parts.next) {
      const to = Math.min(part.to, part.from + this.#options.size.limit);
      const request = await sink.encode(frame, part.from * size, to * size);
      parts.cut(request.end / size);
      const sent = await requests.send(request, {
        maybeStored,
        partOfRefused: parts.mayBeStored(part),
        patienceMs: patienceMs(frame, request, parts),
      });
      if (sent.failing) {
        // Its pieces may have been stored as the whole may have been.
        maybeStored ||= sent.maybeStored;
        this.#failing(one, request, part.from);
        continue;
      }
      this.#countAmbiguous(frame, request, sent);
      const { result } = sent;
      if (result === undefined) return undefined;
      const lost = this.#lostOf(frame, request, result);
      if (result.outcome === 'ok' || lost !== undefined) {
        state.accepted(frame, part.from * size, request.end);
        parts.accept(request.samples);
        this.#options.size.accepted(request.end / size - part.from);
        metrics.exported(sink.name, request.samples - (lost ?? 0));
        continue;
      }
      if (!this.#refused(one, request, part.from, result)) return false;
      // Split by its size, its pieces may have been stored as the whole may have been.
      maybeStored ||= isTooLarge(result) && sent.maybeStored;
      // The pieces of items have keys of their own: a process that knows only the whole would send it beside them.
      if (frame.mode === 'delta' && sink.form === 'items' && !(await this.#untilDurable())) return undefined;
    }
    return true;
  }

  /** The receiver has failed with a request for long. */
  #failing({ parts, reasons }: SentFrame, { samples }: FrozenRequest, from: number): void {
    reasons.set(from, 'failure');
    if (samples > 1 || parts.onTrial) {
      parts.failing();
    } else {
      // Alone: what waits behind it goes first.
      parts.refuse('content');
      parts.failed++;
    }
  }

  /** The next part was refused. @returns false: so would be anything else */
  #refused({ parts, reasons }: SentFrame, request: FrozenRequest, from: number, result: Refused): boolean {
    const fault = result.outcome === 'rejected' ? result.fault : 'content';
    if (fault === 'format') return true;
    if (fault === 'request') {
      parts.abandon();
      return false;
    }
    const units = request.end / this.#unitsPerItem - from;
    if (units === 1) reasons.set(from, refusalReason(result.message));
    else if (fault === 'size') this.#tooLarge(request, units, result);
    parts.refuse(fault);
    return true;
  }

  #tooLarge({ samples }: FrozenRequest, units: number, { status, message }: Refused): void {
    this.#options.size.refused(units);
    this.#options.log.tooLarge(status, message, samples);
  }

  /**
   * What of an accepted request is lost to the receiver: nothing, but for deltas that it stored a part of without saying which, because a
   * repeat would double the rest.
   * @returns undefined: the request is not accepted. Counters of which a part was stored are among these: they go again, in pieces, with
   *   the same times and values
   */
  #lostOf(frame: Frame, { samples }: FrozenRequest, result: Settled): number | undefined {
    const { log } = this.#options;
    if (result.outcome === 'ok') {
      log.warned(result);
      return 0;
    }
    if (result.outcome === 'rejected') log.rejected(result);
    else log.partlyStored(result, samples);
    if (result.outcome === 'rejected' || frame.mode === 'counter') return undefined;
    this.#drop('partly_stored', result.refused);
    return result.refused;
  }

  /**
   * Counts what was not accepted. Refusals are about what is in a request only where the receiver has taken something else: where it
   * takes nothing, nothing is dropped.
   * @returns whether the frame is accepted
   */
  #settle({ inBackoff, deferred }: Frame, sent: readonly SentFrame[]): boolean {
    const accepted = sent.reduce((sum, { parts }) => sum + parts.accepted, 0);
    const postponed = sent.reduce((sum, { parts }) => sum + parts.postponed, 0);
    const refused = refusedIn(sent);
    this.#tookNothing = refused > 0 && accepted === 0;
    if (accepted > 0 && refused + postponed + inBackoff === 0) this.#options.log.recovered();
    if (postponed > 0) this.#drop('backoff', postponed);
    if (this.#tookNothing) this.#drop('rejected', refused);
    else for (const each of sent) this.#settleRefused(each);
    this.#countDoubtful(sent);
    return deferred === 0 && (accepted > 0 || (refused === 0 && inBackoff === 0));
  }

  #settleRefused({ frame, parts, reasons }: SentFrame): void {
    for (const item of parts.isolated) {
      const next = this.#options.state.refused(frame, item * this.#unitsPerItem, reasons.get(item) ?? 'other');
      this.#drop(next === 'series_ended' ? 'series_ended' : 'refused', 1);
    }
    if (parts.notIsolated > 0) this.#drop('not_isolated', parts.notIsolated);
    if (parts.isolated.length > 0) this.#options.log.refusing(this.#options.state.refusedSeries());
  }

  /** What goes with a later frame, although the receiver may have stored it with this one: deltas may count twice. */
  #countDoubtful(sent: readonly SentFrame[]): void {
    const { metrics, sink, state } = this.#options;
    const size = this.#unitsPerItem;
    for (const { frame, parts } of sent) {
      for (const { from, to } of parts.inDoubt) state.doubt(frame, from * size, to * size);
      for (const item of parts.isolated) state.doubt(frame, item * size, (item + 1) * size);
      const doubtful = parts.inDoubt.reduce((sum, { from, to }) => sum + to - from, parts.failed);
      if (this.#isCareful(frame.mode) && doubtful > 0) metrics.ambiguous(sink.name, 'refused', doubtful);
    }
  }

  /** Counters may be stored twice without harm, deltas may not: what only the receiver can know is counted. */
  #countAmbiguous(frame: Frame, { samples }: FrozenRequest, { result, maybeStored }: SentRequest): void {
    if (frame.mode === 'counter' || !maybeStored) return;
    const { metrics, sink } = this.#options;
    if (result === undefined) metrics.ambiguous(sink.name, 'stopped', samples);
    else if (result.outcome !== 'rejected') metrics.ambiguous(sink.name, 'repeated', samples);
    else if (result.fault === 'content' || result.maybeStored) metrics.ambiguous(sink.name, 'refused', samples);
  }

  #drop(reason: DropReason, samples: number): void {
    this.#options.metrics.dropped(this.#options.sink.name, reason, samples);
  }
}

/** So long a receiver may answer 5xx to a request, before something in it may be the reason. */
function patienceMs({ mode }: Frame, { samples }: FrozenRequest, { onTrial }: RequestSplitter): number {
  if (onTrial) return 0;
  return samples === 1 && mode === 'delta' ? FAILING_DELTA_MS : FAILING_MS;
}

function isTooLarge(result: Refused): boolean {
  return result.outcome === 'rejected' && result.fault === 'size';
}

/** Samples or items that were not accepted. */
function refusedIn(sent: readonly SentFrame[]): number {
  return sent.reduce((sum, { parts }) => sum + parts.isolated.length + parts.notIsolated, 0);
}
