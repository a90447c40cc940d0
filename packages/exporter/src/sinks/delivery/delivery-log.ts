import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { SendResult } from '../sink.ts';
import type { Restored } from './sink-state.ts';

/** Log lines of a sink's delivery: a failure that repeats is logged less and less often, and once when it is over. */
export class DeliveryLog {
  readonly #sink: string;
  readonly #log: Log;
  readonly #logLimiter: LogLimiter;
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
    this.#failing = true;
    this.#logLimiter.limit(`rejected ${status}`, (suppressed) =>
      this.#log.warn('sink refused a request', { sink: this.#sink, status, fault, error: message, suppressed }),
    );
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

  /** A whole frame was accepted. */
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
