import type { Log } from '@egressd/daemon/log';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { FrozenBatch } from '../state/frozen-batch.ts';
import { Connection, type StreamTiming } from './connection.ts';
import type { StreamMetrics } from './metrics.ts';
import type { Outbox } from './outbox.ts';
import { Signal } from './signal.ts';
import type { Ending } from './stream-end.ts';

/** What a delivery works with. */
export interface DeliveryOptions {
  readonly address: string;
  readonly credentials: ChannelCredentials;
  /** The encoded Hello. */
  readonly hello: Uint8Array;
  readonly timing: StreamTiming;
  readonly outbox: Outbox;
  /** The newest encoded NodeHealth; undefined: none yet. The same bytes are the same object. */
  readonly health: () => Uint8Array | undefined;
  readonly metrics: StreamMetrics;
  readonly log: Log;
  /** Something about this delivery is new: see its properties. */
  readonly onChange: () => void;
}

/** The hand-over on one connection: what goes out, how far the exporter is, and whether anything still moves. */
export class Delivery {
  readonly ended: Promise<Ending>;
  readonly #options: DeliveryOptions;
  readonly #connection: Connection;
  readonly #work = new Signal();
  #welcomed = false;
  #wantOriginalDestination = false;
  /** The last batch that was begun on this connection, or was at the exporter before. */
  #sent = 0;
  #applied = 0;
  /** The NodeHealth that went out on this connection. */
  #toldHealth: Uint8Array | undefined;
  #stall: NodeJS.Timeout | undefined;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.ended = promise;
    this.#connection = new Connection(options.address, options.credentials, options.hello, options.timing, {
      welcome: (welcome) => this.#welcome(welcome),
      ack: (applied, committed) => this.#ack(applied, committed),
      rejected: (number, reason) => this.#rejected(number, reason),
      ignored: () => options.metrics.ignored.inc(),
      ended: (ending) => {
        clearTimeout(this.#stall);
        this.#work.raise();
        resolve(ending);
        options.onChange();
      },
    });
  }

  /** The exporter takes batches. */
  get connected(): boolean {
    return this.#welcomed && this.#connection.open;
  }

  get wantOriginalDestination(): boolean {
    return this.#wantOriginalDestination;
  }

  /** Last batch that the exporter has, as it said on this connection. */
  get applied(): number {
    return this.#applied;
  }

  /** There is something new in the outbox, or another NodeHealth. */
  wake(): void {
    this.#work.raise();
  }

  /** Says that nothing more will come. */
  finish(): void {
    this.#connection.finish();
  }

  /** Ends it from this side. */
  end(ending: Ending): void {
    this.#connection.end(ending);
  }

  #welcome(welcome: { applied: number; committed: number; wantOriginalDestination: boolean }): Ending | undefined {
    const { applied, committed, wantOriginalDestination } = welcome;
    const { shown } = this.#options.outbox;
    if (applied > shown)
      return {
        reason: 'ahead',
        text: `the exporter has batch ${applied}, and ${shown} is the last that was sent from here`,
      };
    this.#welcomed = true;
    this.#wantOriginalDestination = wantOriginalDestination;
    this.#sent = applied;
    this.#ack(applied, committed);
    void this.#pump();
    return undefined;
  }

  #ack(applied: number, committed: number): void {
    // Never believed further than what was sent: batches that nobody has seen must not be forgotten.
    this.#applied = Math.max(this.#applied, Math.min(applied, this.#sent));
    this.#options.outbox.commit(Math.min(committed, this.#applied));
    this.#moved();
    this.#options.onChange();
  }

  #rejected(number: number, reason: string): void {
    const { outbox, metrics, log } = this.#options;
    const batch = outbox.reject(number);
    this.#moved();
    if (batch === undefined) return;
    metrics.rejected.inc();
    metrics.rejectedFlowBytes.inc(batch.flowBytes);
    log.error('the exporter rejected a batch: its bytes are lost to the accounts; please report this', {
      batch: number,
      reason,
      rows: batch.rows,
      flow_bytes: batch.flowBytes,
    });
    this.#options.onChange();
  }

  /** Sends what is in the outbox, in order, for as long as the connection is open. */
  async #pump(): Promise<void> {
    while (this.#connection.open) {
      this.#tellHealth();
      const batch = this.#options.outbox.after(this.#sent);
      if (batch === undefined) await this.#work.wait();
      else await this.#send(batch);
    }
  }

  /** Where there is no room it waits for a later turn, when there may be a newer one: batches go first, and none piles up. */
  #tellHealth(): void {
    const health = this.#options.health();
    if (health === undefined || health === this.#toldHealth || this.#connection.full) return;
    this.#toldHealth = health;
    this.#connection.write(health);
  }

  async #send(batch: FrozenBatch): Promise<void> {
    this.#sent = batch.number;
    this.#options.outbox.show(batch.number);
    if (this.#stall === undefined) this.#moved();
    for (const message of batch.messages) {
      if (!this.#connection.open) return;
      if (this.#connection.write(message)) continue;
      await this.#connection.drained();
      this.#moved();
    }
    this.#options.metrics.countSent(batch.number);
  }

  /** Something moved: the watchdog starts anew while anything is under way, and sleeps otherwise. */
  #moved(): void {
    clearTimeout(this.#stall);
    this.#stall = undefined;
    if (!this.#connection.open || this.#sent <= this.#applied) return;
    const { stallMs } = this.#options.timing;
    this.#stall = setTimeout(() => {
      const text = `batch ${this.#applied + 1} was sent and nothing moved for ${stallMs} ms`;
      this.end({ reason: 'stalled', text });
    }, stallMs);
  }
}
