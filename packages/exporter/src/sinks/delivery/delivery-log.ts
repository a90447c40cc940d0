import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { SendResult } from '../sink.ts';
import { type RefusalReason, refusalReason } from './refusal-reason.ts';
import type { Restored } from './sink-state.ts';

const SERIES_LIMIT_ADVICE =
  "the receiver's series limit is met: set maxSeries of the sink below it, so that what is beyond is folded into ~other, or raise the limit";

function adviceFor(message: string): string | undefined {
  return refusalReason(message) === 'series_limit' ? SERIES_LIMIT_ADVICE : undefined;
}

/** Log lines of a sink's delivery: a failure that repeats is logged less and less often, and once when it is over. */
export class DeliveryLog {
  readonly #sink: string;
  readonly #log: Log;
  readonly #logLimiter: LogLimiter;
  readonly #tooLarge = new Set<string>();
  #failing = false;

  constructor(sink: string, log: Log, now: () => number) {
    this.#sink = sink;
    this.#log = log;
    this.#logLimiter = new LogLimiter(now);
  }

  /** The state of a former process was restored. */
  resumed(outcome: Restored['outcome'], lost: number): void {
    const sink = this.#sink;
    if (outcome === 'new_receiver')
      this.#log.info('sink sends to another receiver than before, its counters start at zero there', { sink });
    if (outcome === 'new_series')
      this.#log.info('sink sends other series than before, their counters start at zero', { sink });
    if (lost > 0)
      this.#log.warn('unaccepted increases of ended series are lost to the sink: it sends other series now', {
        sink,
        samples: lost,
      });
  }

  /** A request will be sent again. */
  retrying(result: Extract<SendResult, { outcome: 'retryable' | 'rejected' }>, attempt: number, delayMs: number): void {
    this.#failing = true;
    this.#logLimiter.limit(`retry ${result.status}`, (suppressed) =>
      this.#log.warn('sink request failed, retrying', {
        sink: this.#sink,
        status: result.status,
        error: result.message,
        attempt,
        retry_in_ms: Math.round(delayMs),
        suppressed,
      }),
    );
  }

  /** A request was refused. */
  rejected({ status, fault, message }: Extract<SendResult, { outcome: 'rejected' }>): void {
    if (fault === 'format') {
      this.#log.warn(message, { sink: this.#sink });
      return;
    }
    this.#failing = true;
    this.#logLimiter.limit(`rejected ${status}`, (suppressed) =>
      this.#log.warn('sink refused a request', {
        ...{ sink: this.#sink, status, fault, error: message, advice: adviceFor(message), suppressed },
      }),
    );
  }

  /** Some series are refused now. @param series by what for */
  refusing(series: ReadonlyMap<RefusalReason, number>): void {
    this.#logLimiter.limit('refusing', (suppressed) =>
      this.#log.warn('sink refuses series, their bytes stay in the totals', {
        ...{ sink: this.#sink, ...Object.fromEntries(series) },
        advice: series.has('series_limit') ? SERIES_LIMIT_ADVICE : undefined,
        suppressed,
      }),
    );
  }

  /** A request was refused for its size; the next ones are smaller. Logged once for each status. */
  tooLarge(status: string, error: string, samples: number): void {
    if (this.#tooLarge.has(status)) return;
    this.#tooLarge.add(status);
    const advice =
      status === '429'
        ? 'fewer samples go at once from now on; if it has a burst size below that, raise it (Cortex, Mimir: ' +
          '-distributor.ingestion-burst-size, or ingestion_burst_size of the tenant)'
        : "smaller requests go from now on; the limit is the receiver's or a proxy's (Cortex, Mimir: " +
          '-distributor.max-recv-msg-size; VictoriaMetrics: -maxInsertRequestSize; nginx: client_max_body_size)';
    this.#log.warn('sink refused a request for its size', { sink: this.#sink, status, samples, error, advice });
  }

  /** A request was stored, and the receiver may have something to say beside. */
  warned({ status, warning }: Extract<SendResult, { outcome: 'ok' }>): void {
    if (warning === undefined) return;
    this.#logLimiter.limit(`warning ${status}`, (suppressed) =>
      this.#log.warn('sink stored a request with a warning', { sink: this.#sink, status, warning, suppressed }),
    );
  }

  /** A request was stored, but for some of its samples. */
  partlyStored({ status, refused, message }: Extract<SendResult, { outcome: 'partial' }>, samples: number): void {
    this.#failing = true;
    this.#logLimiter.limit(`partial ${status}`, (suppressed) =>
      this.#log.warn('sink refused a part of a request', {
        sink: this.#sink,
        ...{ status, refused, samples, error: message, suppressed },
      }),
    );
  }

  /** A whole frame was accepted, and nothing is in backoff. */
  recovered(): void {
    if (!this.#failing) return;
    this.#failing = false;
    this.#log.info('sink recovered, accepts everything', { sink: this.#sink });
  }

  available(): void {
    this.#log.info('sink is available again, batches wait for it before they are committed', { sink: this.#sink });
  }

  unavailable(behindMs: number): void {
    this.#log.error('sink is unavailable, batches are committed without it', {
      sink: this.#sink,
      minutes: Math.round(behindMs / 60_000),
      advice: 'bytes are kept as totals while the exporter runs; check the sink',
    });
  }

  /** Our own mistake: the frame is abandoned, its bytes go with the next. */
  failed(error: unknown): void {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#logLimiter.limit('failed', (suppressed) =>
      this.#log.error('snapshot could not be delivered', { sink: this.#sink, error: detail, suppressed }),
    );
  }
}
