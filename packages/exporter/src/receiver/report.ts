import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { FailedHandshake } from './handshakes.ts';
import type { BatchDrop, IgnoredMessage, ReceiverMetrics, StreamEnd } from './metrics.ts';
import type { Collector } from './received.ts';

/** Ends that happen every day: not worth a line unless somebody looks for them. */
const USUAL: ReadonlySet<StreamEnd> = new Set(['closed', 'broken', 'shutdown']);

/** Says and counts what happens to streams and batches. Lines that repeat back off, each node on its own. */
export class Report {
  readonly #log: Log;
  readonly #metrics: ReceiverMetrics;
  readonly #logLimiter: LogLimiter;

  constructor(log: Log, metrics: ReceiverMetrics, logLimiter: LogLimiter = new LogLimiter()) {
    this.#log = log;
    this.#metrics = metrics;
    this.#logLimiter = logLimiter;
  }

  message(bytes: number): void {
    this.#metrics.receivedBytes.inc(bytes);
  }

  opened({ node, version }: Collector, applied: number, committed: number): void {
    this.#log.debug('stream open', { node, version, applied, committed });
  }

  /** @param collector undefined: it was not let in */
  ended(reason: StreamEnd, text: string, peer: string, collector: Collector | undefined): void {
    this.#metrics.ended.inc({ reason });
    const fields = { node: collector?.node, peer, reason };
    if (USUAL.has(reason)) this.#log.debug('stream ended', fields);
    else
      this.#logLimiter.limit(`${reason} ${collector?.node ?? ''}`, (suppressed) =>
        this.#log.warn(`stream ended: ${text}`, { ...fields, suppressed }),
      );
  }

  /** Somebody was not let in before he could open a stream. */
  handshake({ reason, text, peer }: FailedHandshake): void {
    this.#metrics.handshakes.inc({ reason });
    // Load balancers and probes open connections and say nothing.
    if (reason === 'broken') this.#log.debug('TLS handshake ended', { text, peer });
    else
      this.#logLimiter.limit(`handshake ${reason}`, (suppressed) =>
        this.#log.warn('TLS handshake failed: nobody is let in so', { reason, text, peer, suppressed }),
      );
  }

  applied(): void {
    this.#metrics.received.inc();
  }

  dropped(reason: BatchDrop): void {
    this.#metrics.dropped.inc({ reason });
  }

  /** A message without which all goes on. */
  ignored(reason: IgnoredMessage): undefined {
    this.#metrics.ignored.inc({ reason });
  }

  malformed({ node, version }: Collector, batch: number, reason: string): void {
    this.dropped('malformed');
    this.#logLimiter.limit(`malformed ${node}`, (suppressed) =>
      this.#log.error('rejected a malformed batch: its bytes are lost to the accounts; please report this', {
        node,
        version,
        batch,
        reason,
        suppressed,
      }),
    );
  }

  missing({ node }: Collector, batches: number, before: number): void {
    this.#metrics.missing.inc(batches);
    this.#logLimiter.limit(`missing ${node}`, (suppressed) =>
      this.#log.error('batches of a node never came: their bytes are lost to the accounts', {
        node,
        batches,
        before_batch: before,
        suppressed,
      }),
    );
  }

  clock({ node }: Collector, clock: 'ahead' | 'behind', offMs: number): void {
    this.#metrics.clock.inc({ clock });
    this.#logLimiter.limit(`clock ${node}`, (suppressed) =>
      this.#log.warn(`the clock of a node is ${clock}: set it right (NTP)`, {
        node,
        seconds: Math.round(Math.abs(offMs) / 1000),
        suppressed,
      }),
    );
  }

  /** The handler threw. Where half of a batch is applied, nobody can say which half: loud, every time. */
  bug({ node }: Collector, batch: number, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#log.error('BUG: a batch could not be applied; please report this', { node, batch, error: text });
  }
}
