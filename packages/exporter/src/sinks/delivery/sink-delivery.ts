import { randomUUID } from 'node:crypto';
import type { Log } from '@egressd/daemon/log';
import type { RestoredTotals } from '../../aggregate/image.ts';
import type { Position, Series, Snapshot } from '../../aggregate/snapshot.ts';
import type { Sink } from '../sink.ts';
import { SinkAvailability } from './availability.ts';
import { DeliveryLog } from './delivery-log.ts';
import type { Frame, Mode } from './frame.ts';
import { FrameSender } from './frame-sender.ts';
import type { SinkGauges, SinkMetrics } from './metrics.ts';
import { RequestSender } from './request-sender.ts';
import { RequestSize } from './request-size.ts';
import { SinkState } from './sink-state.ts';
import { remainingOf, type SinkStateImage } from './sink-state-image.ts';
import { REAL_TIMERS, type Timers } from './timers.ts';

/** What was accepted, reported in the order of the snapshots. */
export interface Accepted {
  /** `timeMs` of the newest snapshot that is accepted: everything in it was stored, or refused and counted. */
  readonly timeMs: number;
  readonly position: Position;
}

export interface SinkDeliveryOptions {
  readonly sink: Sink;
  /** Unix milliseconds: when the totals started at zero. */
  readonly startedMs: number;
  /** Time between two snapshots. */
  readonly intervalMs: number;
  readonly metrics: SinkMetrics;
  readonly log: Log;
  readonly onAccepted: (accepted: Accepted) => void;
  /**
   * Resolves with true once the sink state as it is now is in a checkpoint on the disk; with false where the signal comes first. Nothing is
   * sent before. Not set: there are no checkpoints.
   */
  readonly durable?: ((signal: AbortSignal) => Promise<boolean>) | undefined;
  readonly timers?: Timers;
  readonly random?: () => number;
}

/**
 * Delivers snapshots to one sink. `offer` never waits: a snapshot is absorbed into the sink's state, and one frame at a time
 * is frozen from it and sent until there is an answer. Backpressure of a slow sink costs resolution, not memory: there is one frame, one
 * request body and one state, and of the snapshots only the newest is pending.
 *
 *   offer -> sink state -> frame -> (durable) -> parts    -> request -> sink
 *            totals        frozen                bisected    repeated to the byte
 *
 * Where the state is checkpointed, the reasoning that keeps it exact across a crash:
 *
 * - A frame is sent only when it is on the disk, with the state that it came from and the totals behind them. So the receiver never has
 *   more than what a restart restores: no counter falls, and none is started twice.
 * - Zero samples and the frame behind them are two steps, and the disk knows which of them is in flight: once a value may have been stored
 *   its zero sample is not sent again, which a database would refuse as out of order.
 * - The frame in flight at the crash goes again, to the byte, before any other: same values, same times, cut in the same parts, so the
 *   same keys. What of it was accepted is in the state (then it is not sent again) or is not known: it may have been stored, like
 *   a request whose answer was lost.
 */
export class SinkDelivery {
  readonly #sink: Sink;
  readonly #metrics: SinkMetrics;
  readonly #onAccepted: (accepted: Accepted) => void;
  readonly #timers: Timers;
  readonly #state: SinkState;
  readonly #log: DeliveryLog;
  readonly #requests: RequestSender;
  readonly #frames: FrameSender;
  readonly #availability: SinkAvailability;
  #pending: { readonly timeMs: number; readonly position: Position; readonly mode: Mode } | undefined;
  #available = true;
  #running: Promise<void> | undefined;

  constructor(options: SinkDeliveryOptions) {
    const { sink, metrics, onAccepted, durable, timers = REAL_TIMERS, random = Math.random } = options;
    this.#sink = sink;
    this.#metrics = metrics;
    this.#onAccepted = onAccepted;
    this.#timers = timers;
    const now = () => timers.now();
    this.#log = new DeliveryLog(sink.name, options.log, now);
    this.#availability = new SinkAvailability(now);
    this.#state = sinkStateOf(options);
    const shared = { sink, metrics, log: this.#log, size: new RequestSize(now) };
    this.#requests = new RequestSender({ ...shared, timers, random });
    this.#frames = new FrameSender({ ...shared, state: this.#state, requests: this.#requests, durable });
    metrics.watch(sink.name, () => this.#gauges());
  }

  /** Whether batches that this sink has not accepted wait for it before they are committed. */
  get holdsCommit(): boolean {
    return this.#availability.available;
  }

  /** Starts from the totals, before the first snapshot: they were counted before this sink was there. */
  startFrom(totals: RestoredTotals): void {
    this.#state.startFrom(totals);
  }

  /** The clock was set: the start, as long as nothing was sent. */
  moveStart(byMs: number): void {
    this.#state.moveStart(byMs);
  }

  /** Resumes from the image of a former process, before the first snapshot. What was in flight goes first. */
  resume(image: SinkStateImage, totals: RestoredTotals): void {
    const { outcome, lost } = this.#state.restore(image, totals);
    this.#log.resumed(outcome, lost);
    if (lost > 0) this.#metrics.dropped(this.#sink.name, 'series_ended', lost);
    const { frame } = image;
    if (this.#state.inFlight === undefined || frame === undefined) return;
    this.#frames.resume(frame.mode, remainingOf(frame));
    this.#availability.resumed();
    this.#running = this.#run();
  }

  /** The state at the moment of the last snapshot, whose series these are. Valid until anything else is called. */
  image(series: readonly Series[]): SinkStateImage {
    return this.#state.image(series, this.#frames.remaining);
  }

  /**
   * Takes a snapshot, later than any before. One that is still pending is superseded.
   * @param asked what the collectors ask for; undefined: nothing, so the sink sends in its default mode
   */
  offer(snapshot: Snapshot, asked: Mode | undefined): void {
    if (this.#requests.stopSignal.aborted) return;
    this.#state.absorb(snapshot);
    if (this.#pending !== undefined) this.#metrics.superseded(this.#sink.name);
    this.#availability.offered();
    const mode = asked ?? this.#sink.defaultMode;
    this.#pending = { timeMs: snapshot.timeMs, position: snapshot.position, mode };
    this.#checkAvailability();
    this.#running ??= this.#run();
  }

  /** Delivers what is pending, for at most `deadlineMs`. @returns whether all was accepted */
  async close(deadlineMs: number): Promise<boolean> {
    this.#requests.beginShutdown();
    const done = new AbortController();
    await Promise.race([this.#running, this.#timers.sleep(deadlineMs, done.signal)]);
    done.abort();
    this.#requests.stop();
    await this.#running;
    await this.#sink.close();
    return this.#availability.upToDate;
  }

  async #run(): Promise<void> {
    // One of a former process.
    let frame = this.#state.inFlight;
    let resumed = frame !== undefined;
    for (; !this.#requests.stopSignal.aborted; frame = undefined, resumed = false) {
      frame ??= this.#freeze();
      if (frame === undefined) break;
      const { timeMs, position } = frame;
      try {
        const outcome = await this.#frames.send(frame, resumed);
        // It stays in flight: the next process resumes it.
        if (outcome === 'stopped') break;
        this.#state.settled();
        if (outcome === 'accepted') this.#accept({ timeMs, position });
      } catch (error) {
        this.#state.settled();
        this.#log.failed(error);
      }
    }
    this.#running = undefined;
  }

  /** The pending snapshot as a frame; undefined: there is none. */
  #freeze(): Frame | undefined {
    if (this.#pending === undefined) return undefined;
    const { timeMs, mode, position } = this.#pending;
    this.#pending = undefined;
    this.#availability.frozen();
    return this.#state.freeze(timeMs, mode, position);
  }

  #accept(accepted: Accepted): void {
    this.#availability.accepted();
    this.#checkAvailability();
    this.#onAccepted(accepted);
  }

  /** Logs and counts when the sink becomes unavailable, or available again. */
  #checkAvailability(): void {
    const { available, behindMs } = this.#availability;
    if (available === this.#available) return;
    this.#available = available;
    if (available) {
      this.#log.available();
    } else {
      this.#metrics.becameUnavailable(this.#sink.name);
      this.#log.unavailable(behindMs);
    }
  }

  #gauges(): SinkGauges {
    const { behindMs, sinceAcceptedMs, available } = this.#availability;
    return {
      behindSeconds: behindMs / 1000,
      sinceAcceptedSeconds: sinceAcceptedMs / 1000,
      unavailable: !available,
      series: this.#state.size,
      folded: this.#state.folded,
      refused: () => this.#state.refusedSeries(),
    };
  }
}

function sinkStateOf({ sink, startedMs, intervalMs }: SinkDeliveryOptions): SinkState {
  return new SinkState({
    counters: sink.counters,
    maxSeries: sink.maxSeries,
    identityOf: (labels) => sink.identityOf(labels),
    startedMs,
    intervalMs,
    zeroSamples: sink.form === 'samples',
    startTimes: sink.startTimes === true,
    identityScheme: sink.identityScheme,
    receiverId: sink.receiverId,
    origin: randomUUID(),
  });
}
