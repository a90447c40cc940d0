import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type BatchPart,
  type DeliverRequest,
  type DeliverResponse,
  DeliverResponseSchema,
  type Hello,
  type NodeHealth as NodeHealthMessage,
} from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { isNodeHealth, type NodeHealth, readNodeHealth } from '@egressd/flow/node-health';
import { FLOW_SERVICE } from '@egressd/flow/service';
import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import { type CertificateNodes, certificateNodes } from '../authorization/certificate-nodes.ts';
import type { NodeClocks } from '../clock/node-clocks.ts';
import type { BatchOffsets } from '../state/batch-offsets.ts';
import { BatchAssembly } from './batch-assembly.ts';
import { readHello } from './hello.ts';
import type { StreamEnd } from './metrics.ts';
import type { Collector, ReceivedBatch } from './received.ts';
import { checkSpan } from './span-check.ts';
import type { StreamReport } from './stream-report.ts';

/** Answers that a collector may leave unread (backpressure). Acks do not pile up, rejections could. */
const MAX_UNREAD_ANSWERS = 1000;

/** By reason: the status that the collector sees. */
const STATUS: Readonly<Record<StreamEnd, status>> = {
  closed: status.OK,
  broken: status.CANCELLED,
  superseded: status.ABORTED,
  no_hello: status.DEADLINE_EXCEEDED,
  invalid: status.INVALID_ARGUMENT,
  protocol: status.FAILED_PRECONDITION,
  not_ready: status.UNAVAILABLE,
  refused: status.PERMISSION_DENIED,
  limit: status.RESOURCE_EXHAUSTED,
  shutdown: status.UNAVAILABLE,
  bug: status.INTERNAL,
};

/** Why a stream must end. */
export interface End {
  readonly reason: StreamEnd;
  readonly text: string;
}

/** gRPC's side of a stream. Requests are bytes: what is wrong with them is counted here. */
export type Call = ServerDuplexStream<Uint8Array, DeliverResponse>;

/** What a session asks of the receiver, which sees all of them. */
export interface SessionHost {
  readonly offsets: BatchOffsets;
  readonly report: StreamReport;
  readonly now: () => number;
  readonly clocks: NodeClocks;
  readonly wantOriginalDestination: boolean;
  readonly helloMs: number;
  /** Whether the peer must have shown a certificate. */
  readonly certificates: boolean;
  /** Why no stream is accepted now. */
  notReady(): string | undefined;
  /** Why this collector is not authorized. */
  admit(collector: Collector, nodeAddresses: readonly Uint8Array[]): string | undefined;
  /** The session is its node's stream from now on; an older one is ended. */
  opened(node: string, session: Session): void;
  /** Which nodes' offsets may be evicted where there is no room for this one: undefined: none. */
  evictableFor(node: string): ((node: string) => boolean) | undefined;
  /** The session has ended. */
  closed(session: Session): void;
  /** Room for so many bytes more (or fewer) of batches whose last part has not come; false: there is none. */
  reserve(bytes: number): boolean;
  onBatch(batch: ReceivedBatch): void;
  onHealth(collector: Collector, health: NodeHealth): void;
}

/** One stream, from its first message to its end. */
export class Session {
  readonly #host: SessionHost;
  readonly #call: Call;
  readonly #assembly = new BatchAssembly();
  readonly #helloTimer: NodeJS.Timeout;
  readonly #certificate: CertificateNodes;
  /** Where the stream comes from, as gRPC writes it: `address:port`. */
  readonly peer: string;
  #collector: Collector | undefined;
  #welcomedMs = 0;
  #reserved = 0;
  #ended = false;
  /** An Ack is due. */
  #ackDue = false;

  constructor(call: Call, host: SessionHost) {
    this.#call = call;
    this.#host = host;
    const { helloMs } = host;
    this.peer = call.getPeer();
    // Now: once the connection is gone its certificate is, and what came on it may still be read.
    this.#certificate = certificateNodes(call.getAuthContext(), host.certificates);
    this.#helloTimer = setTimeout(
      () => this.end({ reason: 'no_hello', text: `no Hello within ${helloMs} ms` }),
      helloMs,
    );
    call.on('data', (bytes: Uint8Array) => this.#receive(bytes));
    call.on('end', () => this.end({ reason: 'closed', text: '' }));
    call.on('cancelled', () => this.end({ reason: 'broken', text: '' }));
    call.on('drain', () => this.#sendAck());
  }

  /** Whose stream it is; undefined before Hello. */
  get collector(): Collector | undefined {
    return this.#collector;
  }

  /** Acknowledges batches (applied, committed): soon, several in one Ack. */
  ack(): void {
    if (this.#ackDue || this.#ended) return;
    this.#ackDue = true;
    setImmediate(() => this.#sendAck());
  }

  /** Takes no more; what was taken can still be committed. */
  pause(): void {
    this.#call.pause();
  }

  /** Ends the stream; the first end counts. An Ack that is due goes before. */
  end({ reason, text }: End): void {
    if (this.#ended) return;
    if (reason !== 'broken') this.#sendAck();
    this.#ended = true;
    clearTimeout(this.#helloTimer);
    this.#host.report.ended(reason, text, this.peer, this.#collector);
    if (this.#assembly.bytes > 0) this.#host.report.dropped('partial');
    this.#host.reserve(-this.#reserved);
    this.#host.closed(this);
    if (reason === 'closed') this.#call.end();
    else if (reason !== 'broken') this.#call.emit('error', { code: STATUS[reason], details: text });
    // What is still on its way is not worth keeping: it comes again on the next stream.
    this.#call.resume();
  }

  #receive(bytes: Uint8Array): void {
    const end = this.#ended ? undefined : this.#take(bytes);
    if (end !== undefined) this.end(end);
  }

  #take(bytes: Uint8Array): End | undefined {
    this.#host.report.message(bytes.length);
    let message: DeliverRequest['message'];
    try {
      ({ message } = FLOW_SERVICE.deliver.requestDeserialize(bytes));
    } catch (error) {
      if (this.#collector !== undefined && isNodeHealth(bytes)) return this.#host.report.ignored('malformed_health');
      return { reason: 'invalid', text: `a message is not a DeliverRequest: ${String(error)}` };
    }
    if (message.case === 'hello' && this.#collector === undefined) return this.#hello(message.value);
    if (message.case === 'part' && this.#collector !== undefined)
      return this.#part(this.#collector, message.value, bytes.length);
    if (message.case === 'health' && this.#collector !== undefined) return this.#health(this.#collector, message.value);
    // A newer collector has more kinds of messages. Before Hello none is accepted.
    if (message.case === undefined && this.#collector !== undefined) return this.#host.report.ignored('unknown');
    return { reason: 'invalid', text: `${message.case ?? 'a message of unknown kind'} came out of turn` };
  }

  #hello(hello: Hello): End | undefined {
    const { offsets, report, now, wantOriginalDestination } = this.#host;
    const notReady = this.#host.notReady();
    if (notReady !== undefined) return { reason: 'not_ready', text: `the exporter is not ready: ${notReady}` };
    const admission = readHello(hello, this.peer, this.#certificate);
    if (admission.kind !== 'admitted') return { reason: admission.kind, text: admission.text };
    const { collector, protocol } = admission;
    const refusal = this.#host.admit(collector, admission.nodeAddresses);
    if (refusal !== undefined) return { reason: 'refused', text: refusal };
    // First the older stream of the node ends, then its epoch may change: it must not get this one's Ack.
    this.#collector = collector;
    this.#host.opened(collector.node, this);
    const position = offsets.open(collector.node, collector.epoch, now(), this.#host.evictableFor(collector.node));
    if (position === undefined)
      return { reason: 'limit', text: 'the exporter holds the offsets of as many nodes as it can' };
    clearTimeout(this.#helloTimer);
    this.#welcomedMs = now();
    const { applied, committed } = position;
    const value = { protocol, applied: BigInt(applied), committed: BigInt(committed), wantOriginalDestination };
    this.#answer({ case: 'welcome', value });
    report.opened(collector, applied, committed);
    return undefined;
  }

  #part(collector: Collector, part: BatchPart, bytes: number): End | undefined {
    const { offsets, report } = this.#host;
    // A number of 0 is malformed: the assembly rejects it.
    if (part.number > 0n && offsets.isDuplicate(collector.node, Number(part.number))) {
      if (part.last) {
        report.dropped('duplicate');
        this.ack();
      }
      return undefined;
    }
    const assembled = this.#assembly.push(part, bytes);
    if (!this.#reserve()) return { reason: 'limit', text: 'the exporter holds as many unfinished batches as it can' };
    if (assembled.kind === 'whole') return this.#batch({ collector, span: assembled.span, parts: assembled.parts });
    if (assembled.kind === 'malformed') return this.#reject(collector, assembled.number, assembled.reason);
    return assembled.kind === 'disorder' ? { reason: 'invalid', text: assembled.text } : undefined;
  }

  /** What goes wrong with it ends nothing: batches are what counts. */
  #health(collector: Collector, message: NodeHealthMessage): undefined {
    const health = readNodeHealth(message);
    if (health === undefined) return this.#host.report.ignored('malformed_health');
    const { clockMs, ...rest } = health;
    if (clockMs !== undefined) this.#host.clocks.take(collector.node, clockMs);
    this.#host.onHealth(collector, rest);
    return undefined;
  }

  /** Hands a batch over, once. It is acknowledged only if that went well. */
  #batch(batch: ReceivedBatch): End | undefined {
    const { report, now } = this.#host;
    const { collector, span, parts } = batch;
    const aheadMs = this.#host.clocks.aheadOf(collector.node);
    const checked = checkSpan(span, now(), { sinceWelcomeMs: now() - this.#welcomedMs, aheadMs });
    if (checked.clock !== 'fine') report.clock(collector, checked.clock, aheadMs ?? span.toMs - now());
    try {
      this.#host.onBatch({ collector, span: checked.span, parts });
    } catch (error) {
      report.bug(collector, span.number, error);
      return { reason: 'bug', text: `batch ${span.number} could not be applied: see the log of the exporter` };
    }
    report.applied();
    this.#applied(collector, span.number);
    return undefined;
  }

  #reject(collector: Collector, number: number, reason: string): End | undefined {
    this.#host.report.malformed(collector, number, reason);
    if (this.#call.writableLength >= MAX_UNREAD_ANSWERS)
      return { reason: 'limit', text: 'the collector does not read its answers' };
    this.#answer({ case: 'rejection', value: { number: BigInt(number), reason } });
    this.#applied(collector, number);
    return undefined;
  }

  #applied(collector: Collector, number: number): void {
    const missing = this.#host.offsets.apply(collector.node, number, this.#host.now());
    if (missing > 0) this.#host.report.missing(collector, missing, number);
    this.ack();
  }

  /** Accounts for the unfinished parts. */
  #reserve(): boolean {
    const more = this.#assembly.bytes - this.#reserved;
    if (!this.#host.reserve(more)) return false;
    this.#reserved += more;
    return true;
  }

  #sendAck(): void {
    if (!this.#ackDue || this.#ended || this.#call.writableNeedDrain) return;
    this.#ackDue = false;
    const { applied, committed } = this.#host.offsets.of(this.#collector!.node);
    this.#answer({ case: 'ack', value: { applied: BigInt(applied), committed: BigInt(committed) } });
  }

  #answer(message: NonNullable<MessageInitShape<typeof DeliverResponseSchema>['message']>): void {
    this.#call.write(create(DeliverResponseSchema, { message }));
  }
}
