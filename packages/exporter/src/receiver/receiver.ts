import type { Log } from '@egressd/daemon/log';
import type { NodeHealth } from '@egressd/flow/node-health';
import { FLOW_SERVICE, MAX_MESSAGE_BYTES } from '@egressd/flow/service';
import { Server, type ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import type { Registry } from 'prom-client';
import { type NodeClocks, UNKNOWN_CLOCKS } from '../clock/node-clocks.ts';
import type { BatchOffsets } from '../state/batch-offsets.ts';
import { CONNECTION_LIMITS, type ConnectionLimits, Connections } from './connections.ts';
import { hookListener } from './listener.ts';
import { createReceiverMetrics } from './metrics.ts';
import type { OpenStreams } from './open-streams.ts';
import type { Collector, ReceivedBatch } from './received.ts';
import { type Call, Session, type SessionHost } from './session.ts';
import { FILES, STREAM_ADVICE, type StreamLimit, streamLimit } from './stream-limit.ts';
import { StreamReport } from './stream-report.ts';
import { boundUnfinished } from './unfinished-messages.ts';

/** Limits of the receiver. */
interface ReceiverLimits {
  /** Streams at a time that memory has room for, those without a Hello included. Fewer where there are few descriptors. */
  readonly streams: number;
  /** Bytes of messages, over all streams, that have begun and not ended. */
  readonly unfinishedMessageBytes: number;
  /** Bytes of batches, over all streams, whose last part has not come. */
  readonly unfinishedBytes: number;
  /** How long a stream may be open without Hello. */
  readonly helloMs: number;
  readonly connections: ConnectionLimits;
}

const RECEIVER_LIMITS: ReceiverLimits = {
  streams: 20_000,
  unfinishedMessageBytes: 64 * 1024 * 1024,
  unfinishedBytes: 64 * 1024 * 1024,
  helloMs: 10_000,
  connections: {
    ...CONNECTION_LIMITS,
    all: FILES.untrusted,
    perAddress: Math.min(CONNECTION_LIMITS.perAddress, Math.floor(FILES.untrusted / 2)),
  },
};

/** Streams on one connection: a collector opens one. */
const STREAMS_PER_CONNECTION = 4;
/** A connection without a stream is closed after so long. */
const CONNECTION_IDLE_MS = 5_000;
/** Pings find connections whose other end is gone. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** How often idle nodes are evicted. */
const EVICT_INTERVAL_MS = 10 * 60_000;

/** Options of the receiver. */
export interface ReceiverOptions {
  /** Where to listen: an address; IPv6 without brackets. `::` is every address of both families. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly credentials: ServerCredentials;
  /** Whether the credentials ask collectors for a certificate. */
  readonly certificates: boolean;
  readonly offsets: BatchOffsets;
  /** Where it keeps the open streams. */
  readonly streams: OpenStreams;
  /** Why no stream is accepted now, as "the inventory is not loaded"; undefined: ready. */
  readonly notReady: () => string | undefined;
  /** Why a collector is not authorized for its node; undefined: it is. */
  readonly admit: (collector: Collector, nodeAddresses: readonly Uint8Array[]) => string | undefined;
  /** Whether a node's name is known from the inventory or Kubernetes; not set: all are. */
  readonly isListed?: (node: string) => boolean;
  /** Gets each batch once. When it returns, the batch is applied. It must not throw. */
  readonly onBatch: (batch: ReceivedBatch) => void;
  /** Gets each collector's NodeHealth: after its Hello, and when it has changed. It must not throw. */
  readonly onHealth: (collector: Collector, health: NodeHealth) => void;
  /** Ask collectors for the columns of the original destination (before DNAT). */
  readonly wantOriginalDestination: boolean;
  readonly log: Log;
  readonly registry: Registry;
  readonly now?: () => number;
  /** Where nodes' clocks are compared with `now`; not set: they are not. */
  readonly clocks?: NodeClocks;
  readonly limits?: Partial<ReceiverLimits>;
}

/** Accepts the streams of all collectors. */
export class Receiver {
  readonly #server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_concurrent_streams': STREAMS_PER_CONNECTION,
    'grpc.max_connection_idle_ms': CONNECTION_IDLE_MS,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  });
  readonly #limits: ReceiverLimits;
  readonly #streamLimit: StreamLimit;
  readonly #sessions = new Set<Session>();
  readonly #streams: OpenStreams;
  readonly #connections: Connections;
  readonly #host: SessionHost;
  readonly #evictTimer: NodeJS.Timeout;
  #unfinishedBytes = 0;
  #stopping = false;
  #port = 0;
  #stopBounding: () => void = () => {};

  constructor(options: ReceiverOptions) {
    const { offsets, log, registry, now = Date.now, clocks = UNKNOWN_CLOCKS } = options;
    this.#limits = { ...RECEIVER_LIMITS, ...options.limits };
    this.#streamLimit = streamLimit(this.#limits.streams);
    this.#streams = options.streams;
    const metrics = createReceiverMetrics(
      registry,
      () => this.#streams.size,
      this.#streamLimit,
      () => offsets.size,
      () => this.#connections.size,
    );
    const report = new StreamReport(log, metrics);
    this.#connections = new Connections(this.#limits.connections, (reason, peer) => report.refused(reason, peer));
    this.#host = {
      offsets,
      report,
      now,
      clocks,
      wantOriginalDestination: options.wantOriginalDestination,
      helloMs: this.#limits.helloMs,
      certificates: options.certificates,
      notReady: () => (this.#stopping ? 'it is shutting down' : options.notReady()),
      admit: options.admit,
      onBatch: options.onBatch,
      onHealth: options.onHealth,
      opened: (node, session) => this.#opened(node, session),
      evictableFor: (node) => this.#evictableFor(node, options.isListed),
      closed: (session) => this.#closed(session),
      reserve: (bytes) => this.#reserve(bytes),
    };
    this.#server.addService(serviceOfBytes(), { deliver: (call: Call) => this.#open(call) });
    this.#evictTimer = setInterval(
      () => offsets.evictIdle(now(), (node) => this.#streams.has(node)),
      EVICT_INTERVAL_MS,
    ).unref();
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#port;
  }

  /** @throws Error that says which address and port cannot be had, and why */
  async listen({ host, port, credentials }: Pick<ReceiverOptions, 'host' | 'port' | 'credentials'>): Promise<void> {
    try {
      this.#port = await this.#bind(host, port, credentials);
      this.#streams.listening = true;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      // A host without IPv6 has no `::`.
      if (host === '::' && why.includes('EAFNOSUPPORT')) return this.listen({ host: '0.0.0.0', port, credentials });
      throw new Error(`cannot listen for collectors on ${host} port ${port}: ${why}; see grpc-listen-port`);
    }
  }

  #bind(host: string, port: number, credentials: ServerCredentials): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    const found = hookListener(port, {
      open: (socket) => this.#connections.open(socket),
      onFailedHandshake: (failed) => this.#host.report.handshake(failed),
    });
    this.#server.bindAsync(address, credentials, (error, bound) => {
      found();
      if (error !== null) return reject(error);
      this.#stopBounding = boundUnfinished({
        port: bound,
        maxBytes: this.#limits.unfinishedMessageBytes,
        onRefused: (reason, peer) => this.#host.report.refusedMessage(reason, peer),
      });
      resolve(bound);
    });
    return promise;
  }

  /**
   * The first half of a stop: no batch is accepted any more, and streams stay open, so that what is delivered in the end can still be
   * committed.
   */
  stopAccepting(): void {
    this.#stopping = true;
    for (const session of this.#sessions) session.pause();
  }

  /** Acknowledges what is committed, ends all streams and stops listening. Those that do not end in time are cut. */
  async close({ deadlineMs }: { deadlineMs: number }): Promise<void> {
    this.stopAccepting();
    clearInterval(this.#evictTimer);
    for (const session of [...this.#sessions]) {
      if (session.collector !== undefined) session.ack();
      session.end({ reason: 'shutdown', text: 'the exporter is shutting down' });
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, deadlineMs);
    this.#server.tryShutdown(() => resolve());
    await promise;
    clearTimeout(timer);
    this.#server.forceShutdown();
    this.#stopBounding();
  }

  #open(call: Call): void {
    const session = new Session(call, this.#host);
    this.#sessions.add(session);
    const { streams, by } = this.#streamLimit;
    if (this.#sessions.size <= streams) return;
    const bound = by === 'memory' ? 'memory' : 'limit of open files';
    const text = `the exporter has as many streams (${streams}) as its ${bound} has room for: ${STREAM_ADVICE[by]}`;
    session.end({ reason: 'limit', text });
  }

  #opened(node: string, session: Session): void {
    this.#connections.accepted(session.peer);
    this.#streams.add(node, session);
  }

  /** A node that is listed takes the place of those that are not and do not stream: names can be made up. */
  #evictableFor(node: string, isListed: ReceiverOptions['isListed']): ((node: string) => boolean) | undefined {
    if (isListed?.(node) !== true) return undefined;
    return (other) => !isListed(other) && !this.#streams.has(other);
  }

  #closed(session: Session): void {
    this.#sessions.delete(session);
    if (session.collector !== undefined) this.#connections.ended(session.peer);
    this.#streams.delete(session);
    const { node } = session.collector ?? {};
    if (node !== undefined && !this.#streams.has(node)) this.#host.clocks.forget(node);
  }

  #reserve(bytes: number): boolean {
    if (bytes > 0 && this.#unfinishedBytes + bytes > this.#limits.unfinishedBytes) return false;
    this.#unfinishedBytes += bytes;
    return true;
  }
}

/** Makes a receiver that listens. @throws Error where it cannot */
export async function startReceiver(options: ReceiverOptions): Promise<Receiver> {
  const receiver = new Receiver(options);
  await receiver.listen(options);
  return receiver;
}

/** The service with requests left as bytes, so that one that cannot be read is ours to count and to answer. */
function serviceOfBytes(): ServiceDefinition<{ deliver: (typeof FLOW_SERVICE)['deliver'] }> {
  return { deliver: { ...FLOW_SERVICE.deliver, requestDeserialize: (bytes: Buffer) => bytes } };
}
