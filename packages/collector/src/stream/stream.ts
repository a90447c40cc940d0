import { create, toBinary } from '@bufbuild/protobuf';
import { backoffMs } from '@egressd/daemon/backoff';
import { ClockSteps } from '@egressd/daemon/clock-steps';
import { type Log, LogLimiter } from '@egressd/daemon/log';
import { DeliverRequestSchema } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { encodeNodeHealth, type NodeHealth } from '@egressd/flow/node-health';
import { OLDEST_PROTOCOL, PROTOCOL } from '@egressd/flow/service';
import type { StreamSettings } from '@egressd/flow/stream-settings';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Registry } from 'prom-client';
import type { FrozenBatch } from '../state/frozen-batch.ts';
import { BatchSender, type OutgoingHealth } from './batch-sender.ts';
import { type CollectorStreamMetrics, createCollectorStreamMetrics } from './metrics.ts';
import { Outbox } from './outbox.ts';
import { Signal } from './signal.ts';
import { ADVICE, type StreamEnd } from './stream-end.ts';
import { STREAM_TIMING, type StreamTiming } from './timing.ts';

/** Longest backoff while the stream is being closed, and how long the exporter has to end it in order. */
const CLOSING_BACKOFF_MS = 250;
const FINISH_MS = 500;
/** How often the exporter gets the node's clock anew: clocks that nobody sets right drift by less than 10 ms in this time. */
const CLOCK_REPORT_MS = 60_000;

/** The two ends of the stream, and what goes with its Hello. */
export interface StreamOptions {
  /** `host:port` of the exporter. */
  readonly address: string;
  /** Called before each attempt, so that renewed certificates are used. What it throws is logged, and tried again. */
  readonly credentials: () => ChannelCredentials;
  readonly node: string;
  readonly bootId: string;
  /** The present epoch, by name: may be another at the next attempt. */
  readonly epoch: { readonly name: string };
  readonly version: string;
  readonly settings: StreamSettings;
  /** The node's own addresses as they are now, 16 bytes each. */
  readonly nodeAddresses: () => readonly Uint8Array[];
  readonly log: Log;
  readonly registry: Registry;
  readonly outbox?: Outbox;
  readonly timing?: Partial<StreamTiming>;
  readonly random?: () => number;
}

/**
 * Brings batches to the exporter: each once where nothing breaks, again where something did, in order, unchanged, until it is
 * committed. The stream connects and reconnects; one `BatchSender` sends on each connection.
 *
 *    attempt -> Hello -> Welcome{applied, committed} -> batches after `applied` -> Ack ... -> end
 *       ^                                                                                       |
 *       +------------------------------------ backoff ------------------------------------------+
 */
export class Stream {
  readonly #options: StreamOptions;
  readonly #timing: StreamTiming;
  readonly #outbox: Outbox;
  readonly #metrics: CollectorStreamMetrics;
  /** Failed attempts in a row. */
  #failures = 0;
  readonly #logLimiter = new LogLimiter();
  /** The sender changed, or there is none any more. */
  readonly #changed = new Signal();
  /** `close` was called, or is done waiting. */
  readonly #stopping = new Signal();
  #sender: BatchSender | undefined;
  #health: (OutgoingHealth & { readonly content: Uint8Array; readonly sinceMs: number }) | undefined;
  readonly #clock = new ClockSteps();
  #running: Promise<void> | undefined;
  #closing = false;
  #stopped = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#timing = { ...STREAM_TIMING, ...options.timing };
    this.#outbox = options.outbox ?? new Outbox();
    this.#metrics = createCollectorStreamMetrics(options.registry, this.#outbox, () => this.connected);
  }

  /**
   * Begins to connect, and keeps at it until `close`.
   * @param onAhead the exporter has more batches of this epoch than were sent from here: another epoch is to begin
   */
  start(onAhead: () => void = () => {}): void {
    this.#running ??= this.#run(onAhead);
  }

  /** The exporter has answered and takes batches. While it does not, few large batches are better than many. */
  get connected(): boolean {
    return this.#sender?.connected ?? false;
  }

  /** Another batch may be frozen. Where not, let the reducer merge: nothing is lost. */
  get canFreeze(): boolean {
    return this.#outbox.hasRoom;
  }

  /** The exporter asked for the columns of the original destination (before DNAT). */
  get wantOriginalDestination(): boolean {
    return this.#sender?.wantOriginalDestination ?? false;
  }

  /** Takes a batch, whose number must be higher than all before. It goes out when its turn comes. */
  send(batch: FrozenBatch): void {
    this.#outbox.push(batch);
    this.#sender?.wake();
  }

  /** Begins another epoch, on another connection. @see Outbox.beginEpoch */
  beginEpoch(renumber: Parameters<Outbox['beginEpoch']>[0]): readonly FrozenBatch[] {
    const batches = this.#outbox.beginEpoch(renumber);
    this.#sender?.end({ reason: 'closed', text: 'another epoch begins' });
    return batches;
  }

  /**
   * Takes how the node's kernel counts. The newest goes out on every connection, with the node's clock; again when it differs, when the
   * clock was set, and now and then.
   */
  reportHealth(health: NodeHealth): void {
    const content = encodeNodeHealth(health);
    const [last, sinceMs] = [this.#health, performance.now()];
    const clockDue = this.#clock.take() !== undefined || sinceMs - (last?.sinceMs ?? 0) >= CLOCK_REPORT_MS;
    if (last === undefined || clockDue || Buffer.compare(content, last.content) !== 0)
      this.#health = { content, sinceMs, encode: () => encodeNodeHealth({ ...health, clockMs: Date.now() }) };
    // Also where it is the same: the one before may have found no room.
    this.#sender?.wake();
  }

  /**
   * Stops as soon as all batches are applied, or at the deadline.
   * @returns what the exporter has not applied as far as is known here: batches, and the bytes of traffic in them
   */
  async close({ deadlineMs }: { deadlineMs: number }): Promise<{ batches: number; flowBytes: number }> {
    const deadline = performance.now() + deadlineMs;
    this.#closing = true;
    this.#stopping.raise();
    while (this.#running !== undefined && this.#notApplied().length > 0 && performance.now() < deadline)
      await this.#changed.wait(deadline - performance.now());
    const left = this.#notApplied();
    await this.#stop();
    return { batches: left.length, flowBytes: left.reduce((sum, batch) => sum + batch.flowBytes, 0) };
  }

  /** What an exporter that lost its memory, or is unavailable, might not have. */
  #notApplied(): readonly FrozenBatch[] {
    return this.#outbox.allAfter(this.connected ? this.#sender!.applied : 0);
  }

  /** Lets the exporter end the stream in order if it does so soon. */
  async #stop(): Promise<void> {
    this.#stopped = true;
    this.#stopping.raise();
    const end = { reason: 'closed', text: 'closed by this side' } as const;
    if (this.connected) this.#sender?.finish();
    else this.#sender?.end(end);
    const timer = setTimeout(() => this.#sender?.end(end), FINISH_MS);
    await this.#running;
    clearTimeout(timer);
  }

  async #run(onAhead: () => void): Promise<void> {
    while (!this.#stopped) {
      const began = performance.now();
      const end = await this.#attempt();
      if (this.#stopped) return;
      this.#logEnd(end);
      if (end.reason === 'ahead') onAhead();
      if (performance.now() - began >= this.#timing.steadyMs) this.#failures = 0;
      const waitMs = this.#backoffMs();
      await this.#stopping.wait(this.#closing ? Math.min(waitMs, CLOSING_BACKOFF_MS) : waitMs);
    }
  }

  /** With full jitter: thousands of collectors may have lost the same exporter. */
  #backoffMs(): number {
    const { reconnectMinMs: minMs, reconnectMaxMs: maxMs } = this.#timing;
    const { random = Math.random } = this.#options;
    return backoffMs(++this.#failures, { minMs, maxMs }, { random: random(), jitter: 'full' });
  }

  /** One connection, from its attempt to its end. */
  async #attempt(): Promise<StreamEnd> {
    const { address, log } = this.#options;
    let credentials: ChannelCredentials;
    try {
      credentials = this.#options.credentials();
    } catch (error) {
      return { reason: 'tls_files', text: error instanceof Error ? error.message : String(error) };
    }
    let logged = false;
    const onChange = (): void => {
      if (sender.connected && !logged) this.#logEstablished(sender);
      logged ||= sender.connected;
      this.#changed.raise();
    };
    const sender = new BatchSender({
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
    this.#sender = sender;
    const end = await sender.ended;
    this.#sender = undefined;
    return end;
  }

  #logEstablished({ applied }: BatchSender): void {
    const { address, log } = this.#options;
    const pending = this.#outbox.allAfter(applied).length;
    this.#logLimiter.limit('established', (suppressed) =>
      log.info('stream to exporter established', { exporter: address, applied, pending, suppressed }),
    );
  }

  #logEnd({ reason, text }: StreamEnd): void {
    this.#metrics.countEnd(reason);
    this.#logLimiter.limit(reason, (suppressed) =>
      this.#options.log.warn('stream to exporter ended', {
        exporter: this.#options.address,
        reason,
        error: text,
        advice: ADVICE[reason],
        unacked: this.#outbox.length,
        suppressed,
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
    epoch: epoch.name,
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
