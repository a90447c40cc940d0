import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { ConnectionRefusal } from './connections.ts';
import type { FailedHandshake } from './listener.ts';
import type { BatchDrop, IgnoredMessage, ReceiverMetrics, RefusedMessage, StreamEnd } from './metrics.ts';
import type { Collector } from './received.ts';

/** More batches than a collector makes in months: its number is wrong, and says nothing of what was lost. */
const MAX_MISSING = 1_000_000;
/** Ends that happen every day: at level debug. */
const USUAL: ReadonlySet<StreamEnd> = new Set(['closed', 'broken', 'shutdown']);

/** Logs and counts what happens to streams and batches. Repeated lines are suppressed, by node. */
export class StreamReport {
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
    this.#log.debug('stream accepted', { node, version, applied, committed });
  }

  /** @param collector undefined: it was not accepted */
  ended(reason: StreamEnd, text: string, peer: string, collector: Collector | undefined): void {
    this.#metrics.ended.inc({ reason });
    const fields = { node: collector?.node, peer, reason };
    if (USUAL.has(reason)) this.#log.debug('stream ended', fields);
    else
      this.#logLimiter.limit(`${reason} ${collector?.node ?? ''}`, (suppressed) =>
        this.#log.warn('stream ended', { ...fields, error: text, suppressed }),
      );
  }

  /** A connection was rejected before it could open a stream. */
  handshake({ reason, text, peer }: FailedHandshake): void {
    this.#metrics.handshakes.inc({ reason });
    // Load balancers and probes open connections and send nothing.
    if (reason === 'broken') this.#log.debug('TLS handshake ended', { reason, error: text, peer });
    else
      this.#logLimiter.limit(`handshake ${reason}`, (suppressed) =>
        this.#log.warn('TLS handshake failed, connection rejected', { reason, error: text, peer, suppressed }),
      );
  }

  /** A connection without an accepted stream was closed. */
  refused(reason: ConnectionRefusal, peer: string): void {
    this.#metrics.refused.inc({ reason });
    // Of load balancers and probes there are always some.
    if (reason === 'idle') this.#log.debug('connection without a stream closed', { reason, peer });
    else
      this.#logLimiter.limit(`connections ${reason}`, (suppressed) =>
        this.#log.warn('too many connections without a stream', { reason, peer, suppressed }),
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

  /** A message that was not read, and whose stream ended. */
  refusedMessage(reason: RefusedMessage, peer: string): void {
    this.#metrics.refusedMessages.inc({ reason });
    this.#logLimiter.limit(`refused message ${reason}`, (suppressed) =>
      this.#log.warn('message refused, stream ended', { peer, reason, suppressed }),
    );
  }

  malformed({ node, version }: Collector, batch: number, reason: string): void {
    this.dropped('malformed');
    this.#logLimiter.limit(`malformed ${node}`, (suppressed) =>
      this.#log.error('malformed batch rejected, its bytes are lost: please report this', {
        node,
        version,
        batch,
        reason,
        suppressed,
      }),
    );
  }

  missing({ node }: Collector, batches: number, before: number): void {
    if (batches > MAX_MISSING) {
      this.#numberJumped(node, before);
      return;
    }
    this.#metrics.missing.inc(batches);
    this.#logLimiter.limit(`missing ${node}`, (suppressed) =>
      this.#log.error('batches never came, their bytes are lost', {
        node,
        batches,
        before_batch: before,
        suppressed,
      }),
    );
  }

  #numberJumped(node: string, batch: number): void {
    this.#metrics.numberJumps.inc();
    this.#logLimiter.limit(`jump ${node}`, (suppressed) =>
      this.#log.error('batch number jumped, what it passed over is not counted as missing: please report this', {
        node,
        batch,
        suppressed,
      }),
    );
  }

  clock({ node }: Collector, clock: 'ahead' | 'behind', offMs: number): void {
    this.#metrics.clock.inc({ clock });
    this.#logLimiter.limit(`clock ${node}`, (suppressed) =>
      this.#log.warn('node clock is off', {
        node,
        clock,
        advice: 'set the clock of the node right (NTP)',
        seconds: Math.round(Math.abs(offMs) / 1000),
        suppressed,
      }),
    );
  }

  /** The handler threw. Which half of the batch is applied is not known: logged every time. */
  bug({ node }: Collector, batch: number, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#log.error('BUG: a batch could not be applied; please report this', { node, batch, error: text });
  }
}
