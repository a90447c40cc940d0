import type { Log } from '@egressd/daemon/log';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { FrozenBatch } from '../state/frozen-batch.ts';
import { DeliverCall } from './deliver-call.ts';
import type { CollectorStreamMetrics } from './metrics.ts';
import type { Outbox } from './outbox.ts';
import { Signal } from './signal.ts';
import type { StreamEnd } from './stream-end.ts';
import type { StreamTiming } from './timing.ts';

/** A NodeHealth: one object for what is sent once. */
export interface OutgoingHealth {
  /** With the node's clock as it is now. */
  encode(): Uint8Array;
}

/** What a sender works with. */
interface BatchSenderOptions {
  readonly address: string;
  readonly credentials: ChannelCredentials;
  /** The encoded Hello. */
  readonly hello: Uint8Array;
  readonly timing: StreamTiming;
  readonly outbox: Outbox;
  /** The newest NodeHealth; undefined: none yet. */
  readonly health: () => OutgoingHealth | undefined;
  readonly metrics: CollectorStreamMetrics;
  readonly log: Log;
  /** One of the sender's properties changed. */
  readonly onChange: () => void;
}

/**
 * Sends the batches of the outbox in one call, in order, and commits what the exporter acks. Ends a call that stalls.
 *
 *   outbox ──batches──> call ──> exporter
 *      <──────commit─────┴────────Ack
 */
export class BatchSender {
  readonly ended: Promise<StreamEnd>;
  readonly #options: BatchSenderOptions;
  readonly #call: DeliverCall;
  readonly #work = new Signal();
  #welcomed = false;
  #wantOriginalDestination = false;
  /** The last batch that was begun in this call, or was at the exporter before. */
  #sent = 0;
  #applied = 0;
  /** The NodeHealth that was sent in this call. */
  #sentHealth: OutgoingHealth | undefined;
  #stall: NodeJS.Timeout | undefined;

  constructor(options: BatchSenderOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<StreamEnd>();
    this.ended = promise;
    this.#call = new DeliverCall(options.address, options.credentials, options.hello, options.timing, {
      welcome: (welcome) => this.#welcome(welcome),
      ack: (applied, committed) => this.#ack(applied, committed),
      rejected: (number, reason) => this.#rejected(number, reason),
      ignored: () => options.metrics.ignored.inc(),
      ended: (end) => {
        clearTimeout(this.#stall);
        this.#work.raise();
        resolve(end);
        options.onChange();
      },
    });
  }

  /** The exporter has answered Hello, and the call is open. */
  get connected(): boolean {
    return this.#welcomed && this.#call.open;
  }

  /** The exporter asked for the columns of the original destination (before DNAT). */
  get wantOriginalDestination(): boolean {
    return this.#wantOriginalDestination;
  }

  /** Last batch that the exporter has, as it said in this call. */
  get applied(): number {
    return this.#applied;
  }

  /** There is something new in the outbox, or another NodeHealth. */
  wake(): void {
    this.#work.raise();
  }

  /** Says that nothing more will come. */
  finish(): void {
    this.#call.finish();
  }

  /** Ends it from this side. */
  end(end: StreamEnd): void {
    this.#call.end(end);
  }

  #welcome(welcome: { applied: number; committed: number; wantOriginalDestination: boolean }): StreamEnd | undefined {
    const { applied, committed, wantOriginalDestination } = welcome;
    const { lastSent } = this.#options.outbox;
    if (applied > lastSent)
      return {
        reason: 'ahead',
        text: `the exporter has batch ${applied}, and ${lastSent} is the last that was sent from here`,
      };
    this.#welcomed = true;
    this.#wantOriginalDestination = wantOriginalDestination;
    this.#sent = applied;
    this.#ack(applied, committed);
    void this.#pump();
    return undefined;
  }

  #ack(applied: number, committed: number): void {
    // Never believed further than what was sent: a batch that was not sent must not be committed.
    this.#applied = Math.max(this.#applied, Math.min(applied, this.#sent));
    this.#options.outbox.commit(Math.min(committed, this.#applied));
    this.#progressed();
    this.#options.onChange();
  }

  #rejected(number: number, reason: string): void {
    const { outbox, metrics, log } = this.#options;
    const batch = outbox.reject(number);
    this.#progressed();
    if (batch === undefined) return;
    metrics.rejected.inc();
    metrics.rejectedFlowBytes.inc(batch.flowBytes);
    log.error('exporter rejected batch, its bytes are not accounted', {
      batch: number,
      error: reason,
      rows: batch.rows,
      flow_bytes: batch.flowBytes,
      advice: 'please report this',
    });
    this.#options.onChange();
  }

  /** Sends what is in the outbox, in order, for as long as the call is open. */
  async #pump(): Promise<void> {
    while (this.#call.open) {
      this.#sendHealth();
      const batch = this.#options.outbox.after(this.#sent);
      if (batch === undefined) await this.#work.wait();
      else await this.#send(batch);
    }
  }

  /** Under backpressure it waits for a later turn, when there may be a newer one: batches go first, and health messages never queue up. */
  #sendHealth(): void {
    const health = this.#options.health();
    if (health === undefined || health === this.#sentHealth || this.#call.full) return;
    this.#sentHealth = health;
    this.#call.write(health.encode());
  }

  async #send(batch: FrozenBatch): Promise<void> {
    this.#sent = batch.number;
    this.#options.outbox.markSent(batch.number);
    if (this.#stall === undefined) this.#progressed();
    for (const message of batch.messages) {
      if (!this.#call.open) return;
      if (this.#call.write(message)) continue;
      await this.#call.drained();
      this.#progressed();
    }
    this.#options.metrics.countSent(batch.number);
  }

  /** There was progress: the stall timer starts anew while any batch is sent and not applied. */
  #progressed(): void {
    clearTimeout(this.#stall);
    this.#stall = undefined;
    if (!this.#call.open || this.#sent <= this.#applied) return;
    const { stallMs } = this.#options.timing;
    this.#stall = setTimeout(() => {
      const text = `batch ${this.#applied + 1} was sent and nothing moved for ${stallMs} ms`;
      this.end({ reason: 'stalled', text });
    }, stallMs);
  }
}
