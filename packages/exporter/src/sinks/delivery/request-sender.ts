import { type BackoffLimits, backoffMs } from '@egressd/daemon/backoff';
import type { FrozenRequest, SendResult, Sink } from '../sink.ts';
import type { DeliveryLog } from './delivery-log.ts';
import type { SinkMetrics } from './metrics.ts';
import type { RequestSize } from './request-size.ts';
import type { Timers } from './timers.ts';

const BACKOFF: BackoffLimits = { minMs: 1000, maxMs: 60_000 };
/** Longest backoff while the exporter shuts down. */
const SHUTDOWN_BACKOFF_MS = 250;
/** So often in a row a request is throttled before it may be one that can never fit: more samples than the receiver takes at once. */
const THROTTLED_ATTEMPTS = 3;
/** So long a receiver answers 5xx to a request before something in it may be the reason. */
export const FAILING_MS = 3 * 60_000;

/** The outcome of a request is known. */
export type Settled = Exclude<SendResult, { outcome: 'retryable' }>;
/** Nothing is known to be stored. */
type FailedResult = Extract<SendResult, { outcome: 'retryable' | 'rejected' }>;
type Rejected = Extract<SendResult, { outcome: 'rejected' }>;

/** What became of a request. */
export interface SentRequest {
  /** undefined: the exporter stopped first, or the receiver is `failing`. */
  readonly result: Settled | undefined;
  /** An answer was lost on the way, so it may have been stored more often than once, or although it was refused. */
  readonly maybeStored: boolean;
  /** It was answered with 5xx for so long that something in it may be the reason. */
  readonly failing?: boolean;
}

/** What is known of a request before it is sent. */
interface SendOptions {
  /** What is in it may have been stored by an earlier request, whose answer was lost. */
  readonly maybeStored: boolean;
  /** It is a part of one that was refused, and that may have been stored in part. */
  readonly partOfRefused: boolean;
  /** So long a receiver may answer 5xx. */
  readonly patienceMs: number;
}

interface RequestSenderOptions {
  readonly sink: Sink;
  readonly metrics: SinkMetrics;
  readonly log: DeliveryLog;
  readonly timers: Timers;
  readonly random: () => number;
  /** How much the receiver takes at once. */
  readonly size: RequestSize;
}

/**
 * Sends frozen requests to a sink, one at a time, each of them until its outcome is known: with exponential backoff, and no sooner than
 * the `Retry-After` of a 429 or 503 asks. Meanwhile it applies backpressure: only the newest snapshot waits behind it.
 */
export class RequestSender {
  readonly #options: RequestSenderOptions;
  /** Ends the attempt that is under way. */
  readonly #stop = new AbortController();
  /** Ends the backoff that is under way. */
  readonly #shutdown = new AbortController();

  constructor(options: RequestSenderOptions) {
    this.#options = options;
  }

  get stopSignal(): AbortSignal {
    return this.#stop.signal;
  }

  /** The exporter shuts down: what is in backoff is retried now, and from now on soon. */
  beginShutdown(): void {
    this.#shutdown.abort();
  }

  /** Ends the attempt that is under way; nothing more is sent. */
  stop(): void {
    this.#stop.abort();
  }

  /**
   * Repeats a request until its outcome is known. Once it may have been stored, a refusal of the whole request (an expired token) does not
   * say whether it was: it is repeated until the receiver has judged what is in it. One that is throttled again and again is refused for
   * its size: it may have more samples than the receiver takes at once, ever.
   */
  async send(request: FrozenRequest, options: SendOptions): Promise<SentRequest> {
    if (request.samples === 0) return { result: { outcome: 'ok', status: '' }, maybeStored: false };
    const { sink, metrics, timers, size } = this.#options;
    const { partOfRefused, patienceMs } = options;
    let doubt = options.maybeStored;
    let throttled = 0;
    let failingSinceMs: number | undefined;
    for (let attempt = 1; !this.#stop.signal.aborted; attempt++) {
      const result = await this.#attempt(request);
      if (result.outcome === 'ok' || result.outcome === 'partial') return { result, maybeStored: doubt };
      if (result.outcome === 'retryable') doubt ||= result.maybeStored;
      else if (!(doubt || partOfRefused) || isConclusive(result, request))
        return { result, maybeStored: doubt || result.maybeStored === true };
      throttled = result.status === '429' ? throttled + 1 : 0;
      if (throttled >= THROTTLED_ATTEMPTS) {
        if (request.samples > 1) return { result: tooLarge(result), maybeStored: doubt };
        size.forget();
      }
      failingSinceMs = /^5\d\d$/.test(result.status) ? (failingSinceMs ?? timers.now()) : undefined;
      if (failingSinceMs !== undefined && timers.now() - failingSinceMs >= patienceMs)
        return { result: undefined, maybeStored: doubt, failing: true };
      await this.#backoff(attempt, result);
      if (!this.#stop.signal.aborted) metrics.retry(sink.name);
    }
    return { result: undefined, maybeStored: doubt };
  }

  async #attempt(request: FrozenRequest): Promise<SendResult> {
    const { sink, metrics, timers } = this.#options;
    const startedMs = timers.now();
    const result = await sink.send(request, this.#stop.signal);
    const seconds = (timers.now() - startedMs) / 1000;
    metrics.request(sink.name, result.outcome, result.status, request.body.length, seconds);
    return result;
  }

  async #backoff(attempt: number, result: FailedResult): Promise<void> {
    const { timers, random, log } = this.#options;
    const closing = this.#shutdown.signal.aborted;
    const askedMs = result.outcome === 'retryable' ? result.retryAfterMs : undefined;
    const delayMs = backoffMs(attempt, BACKOFF, { askedMs, random: random() });
    if (!this.#stop.signal.aborted) log.retrying(result, attempt, delayMs);
    if (closing) await timers.sleep(Math.min(delayMs, SHUTDOWN_BACKOFF_MS), this.#stop.signal);
    else await timers.sleep(delayMs, this.#shutdown.signal);
  }
}

function tooLarge({ status, message }: FailedResult): Rejected {
  return { outcome: 'rejected', status, fault: 'size', message };
}

/** Whether a refusal decides about a request that may have been stored before. One that is only too large is sent in pieces. */
function isConclusive({ fault }: Rejected, request: FrozenRequest): boolean {
  return fault === 'content' || fault === 'format' || (fault === 'size' && request.samples > 1);
}
