import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { SendResult } from '../sink.ts';
import type { Restored } from './sink-state.ts';

/** What a delivery says: what keeps failing is said less and less often, and once when it is over. */
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

  /** It went on from books of a life before. */
  resumed(outcome: Restored['outcome'], lost: number): void {
    if (outcome === 'new_receiver')
      this.#log.info('sink has another receiver than before: its counters begin at zero there', { sink: this.#sink });
    if (outcome === 'anew')
      this.#log.info('sink sends other series than before: they begin at zero', { sink: this.#sink });
    if (lost > 0)
      this.#log.warn(
        'series had ended that this sink can send no more: what it had not accepted of them is lost to it',
        {
          sink: this.#sink,
          samples: lost,
        },
      );
  }

  /** A request will be sent again. */
  retry(result: Exclude<SendResult, { outcome: 'ok' }>, attempt: number, delayMs: number): void {
    this.#failing = true;
    this.#logLimiter.limit(`retry ${result.status}`, (leftOut) =>
      this.#log.warn('sink failed, will be tried again', {
        sink: this.#sink,
        error: result.message,
        attempt,
        againInMs: Math.round(delayMs),
        leftOut,
      }),
    );
  }

  /** A request was refused. */
  rejected(result: Extract<SendResult, { outcome: 'rejected' }>): void {
    this.#failing = true;
    this.#logLimiter.limit(`rejected ${result.status}`, (leftOut) =>
      this.#log.warn('sink refused a request', { sink: this.#sink, error: result.message, leftOut }),
    );
  }

  /** A whole frame was accepted. */
  well(): void {
    if (!this.#failing) return;
    this.#failing = false;
    this.#log.info('sink accepts everything again', { sink: this.#sink });
  }

  /** The sink begins or ends to be away. */
  away(away: boolean, behindMs: number): void {
    if (!away) this.#log.info('sink is back: batches wait for it again', { sink: this.#sink });
    else this.#tellAway(behindMs);
  }

  #tellAway(behindMs: number): void {
    this.#log.error('sink is away too long: batches are committed without it from now on', {
      sink: this.#sink,
      minutes: Math.round(behindMs / 60_000),
      advice: 'bytes are kept as totals while the exporter runs; check the sink',
    });
  }

  /** Our own mistake: the frame is left, its bytes go with the next. */
  broken(error: unknown): void {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#logLimiter.limit('broken', (leftOut) =>
      this.#log.error('a snapshot could not be delivered', { sink: this.#sink, error: detail, leftOut }),
    );
  }
}
