import { create, toBinary } from '@bufbuild/protobuf';
import { backoffMs } from '@egressd/daemon/backoff';
import { type Log, LogLimiter } from '@egressd/daemon/log';
import { DeliverRequestSchema } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { encodeNodeHealth, type NodeHealth } from '@egressd/flow/node-health';
import { OLDEST_PROTOCOL, PROTOCOL } from '@egressd/flow/service';
import type { StreamSettings } from '@egressd/flow/stream-settings';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Registry } from 'prom-client';
import type { FrozenBatch } from '../state/frozen-batch.ts';
import { STREAM_TIMING, type StreamTiming } from './connection.ts';
import { Delivery } from './delivery.ts';
import { createStreamMetrics, type StreamMetrics } from './metrics.ts';
import { Outbox } from './outbox.ts';
import { Signal } from './signal.ts';
import { ADVICE, type Ending } from './stream-end.ts';

/** Longest pause between attempts while the stream is being closed, and how long the exporter has to end it in order. */
const CLOSING_PAUSE_MS = 250;
const FINISH_MS = 500;

/** Who speaks, and to whom. */
export interface StreamOptions {
  /** `host:port` of the exporter. */
  readonly address: string;
  /** Asked before each attempt, so that renewed certificates are used. What it throws is logged, and tried again. */
  readonly credentials: () => ChannelCredentials;
  readonly node: string;
  readonly bootId: string;
  /** Asked at each attempt. */
  readonly epoch: string;
  readonly version: string;
  readonly settings: StreamSettings;
  /** The node's own addresses as they are now, 16 bytes each. */
  readonly nodeAddresses: () => readonly Uint8Array[];
  readonly log: Log;
  readonly registry: Registry;
  readonly outbox?: Outbox;
  /** The exporter has more batches of this epoch than were sent from here: another epoch is to begin. */
  readonly onAhead?: () => void;
  readonly timing?: Partial<StreamTiming>;
  readonly random?: () => number;
}

/**
 * Brings batches to the exporter: each once where nothing breaks, again where something did, in order, unchanged, until it is
 * committed.
 *
 *    attempt -> Hello -> Welcome{applied, committed} -> batches behind `applied` -> Ack ... -> end
 *       ^                                                                                          |
 *       +------------------------------- pause, longer each time ----------------------------------+
 */
export class Stream {
  readonly #options: StreamOptions;
  readonly #timing: StreamTiming;
  readonly #outbox: Outbox;
  readonly #metrics: StreamMetrics;
  /** Failed attempts in a row. */
  #failures = 0;
  readonly #logLimiter = new LogLimiter();
  /** The delivery changed, or there is none any more. */
  readonly #changed = new Signal();
  /** `close` was called, or is done waiting. */
  readonly #stopping = new Signal();
  #delivery: Delivery | undefined;
  /** The newest that was told, encoded. */
  #health: Uint8Array | undefined;
  #running: Promise<void> | undefined;
  #closing = false;
  #stopped = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#timing = { ...STREAM_TIMING, ...options.timing };
    this.#outbox = options.outbox ?? new Outbox();
    this.#metrics = createStreamMetrics(options.registry, this.#outbox, () => this.connected);
  }

  /** Begins to connect, and keeps at it until `close`. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** The exporter has answered and takes batches. While it does not, few large batches are better than many. */
  get connected(): boolean {
    return this.#delivery?.connected ?? false;
  }

  /** Another batch may be frozen. Where not, let the reducer merge: nothing is lost. */
  get canFreeze(): boolean {
    return this.#outbox.room;
  }

  /** The exporter asked for the columns of the original destination (before DNAT). */
  get wantOriginalDestination(): boolean {
    return this.#delivery?.wantOriginalDestination ?? false;
  }

  /** Takes a batch, whose number must be higher than all before. It goes out when its turn comes. */
  send(batch: FrozenBatch): void {
    this.#outbox.push(batch);
    this.#delivery?.wake();
  }

  /** Begins another epoch, on another stream. @see Outbox.begin */
  begin(rename: Parameters<Outbox['begin']>[0]): readonly FrozenBatch[] {
    const batches = this.#outbox.begin(rename);
    this.#delivery?.end({ reason: 'closed', text: 'another epoch begins' });
    return batches;
  }

  /** Takes how the node's kernel counts. The newest goes out on every stream, and again when it differs. */
  tell(health: NodeHealth): void {
    const message = encodeNodeHealth(health);
    if (this.#health === undefined || Buffer.compare(message, this.#health) !== 0) this.#health = message;
    // Also where it is the same: the one before may have found no room.
    this.#delivery?.wake();
  }

  /**
   * Stops as soon as all batches are applied, or at the deadline.
   * @returns what the exporter has not applied as far as is known here: batches, and the bytes of traffic in them
   */
  async close({ deadlineMs }: { deadlineMs: number }): Promise<{ batches: number; flowBytes: number }> {
    const deadline = Date.now() + deadlineMs;
    this.#closing = true;
    this.#stopping.raise();
    while (this.#running !== undefined && this.#notApplied().length > 0 && Date.now() < deadline)
      await this.#changed.wait(deadline - Date.now());
    const left = this.#notApplied();
    await this.#stop();
    return { batches: left.length, flowBytes: left.reduce((sum, batch) => sum + batch.flowBytes, 0) };
  }

  /** What an exporter that lost its memory, or went away, might not have. */
  #notApplied(): readonly FrozenBatch[] {
    return this.#outbox.behind(this.connected ? this.#delivery!.applied : 0);
  }

  /** Lets the exporter end the stream in order if it does so soon. */
  async #stop(): Promise<void> {
    this.#stopped = true;
    this.#stopping.raise();
    const ended = { reason: 'closed', text: 'closed by this side' } as const;
    if (this.connected) this.#delivery?.finish();
    else this.#delivery?.end(ended);
    const timer = setTimeout(() => this.#delivery?.end(ended), FINISH_MS);
    await this.#running;
    clearTimeout(timer);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const began = Date.now();
      const ending = await this.#attempt();
      if (this.#stopped) return;
      this.#report(ending);
      if (ending.reason === 'ahead') this.#options.onAhead?.();
      if (Date.now() - began >= this.#timing.steadyMs) this.#failures = 0;
      const waitMs = this.#backoffMs();
      await this.#stopping.wait(this.#closing ? Math.min(waitMs, CLOSING_PAUSE_MS) : waitMs);
    }
  }

  /** With full jitter: thousands of collectors may have lost the same exporter. */
  #backoffMs(): number {
    const { reconnectMinMs: minMs, reconnectMaxMs: maxMs } = this.#timing;
    const { random = Math.random } = this.#options;
    return backoffMs(++this.#failures, { minMs, maxMs }, { random: random(), jitter: 'full' });
  }

  /** One connection, from its attempt to its end. */
  async #attempt(): Promise<Ending> {
    const { address, log } = this.#options;
    let credentials: ChannelCredentials;
    try {
      credentials = this.#options.credentials();
    } catch (error) {
      return { reason: 'tls_files', text: error instanceof Error ? error.message : String(error) };
    }
    let said = false;
    const onChange = (): void => {
      if (delivery.connected && !said) this.#welcomed(delivery);
      said ||= delivery.connected;
      this.#changed.raise();
    };
    const delivery = new Delivery({
      address,
      credentials,
      hello: encodeHello(this.#options),
      timing: this.#timing,
      outbox: this.#outbox,
      health: () => this.#health,
      metrics: this.#metrics,
      log,
      onChange,
    });
    this.#delivery = delivery;
    const ending = await delivery.ended;
    this.#delivery = undefined;
    return ending;
  }

  #welcomed(delivery: Delivery): void {
    const { address, log } = this.#options;
    const waiting = this.#outbox.behind(delivery.applied).length;
    this.#logLimiter.limit('welcome', (leftOut) =>
      log.info('the exporter takes batches', {
        exporter: address,
        applied: delivery.applied,
        waiting,
        left_out: leftOut,
      }),
    );
  }

  #report({ reason, text }: Ending): void {
    this.#metrics.countEnd(reason);
    this.#logLimiter.limit(reason, (leftOut) =>
      this.#options.log.warn(`no stream to the exporter: ${text}`, {
        exporter: this.#options.address,
        reason,
        advice: ADVICE[reason],
        waiting: this.#outbox.length,
        left_out: leftOut,
      }),
    );
  }
}

function encodeHello({ node, bootId, epoch, version, settings, nodeAddresses }: StreamOptions): Uint8Array {
  const { excludeNamespaces, groupPublicIps, sendTrafficDelta } = settings;
  const value = {
    protocol: PROTOCOL,
    oldestProtocol: OLDEST_PROTOCOL,
    node,
    bootId,
    epoch,
    version,
    nodeAddresses: [...nodeAddresses()],
    settings: {
      excludeNamespaces: [...excludeNamespaces],
      groupPublicIps,
      ...(sendTrafficDelta === undefined ? {} : { sendTrafficDelta }),
    },
  };
  return toBinary(DeliverRequestSchema, create(DeliverRequestSchema, { message: { case: 'hello', value } }));
}
