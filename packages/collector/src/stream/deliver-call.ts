import type { DeliverResponse, Welcome } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { FLOW_SERVICE, OLDEST_PROTOCOL, PROTOCOL } from '@egressd/flow/service';
import { type ChannelCredentials, Client, type ClientDuplexStream, Metadata } from '@grpc/grpc-js';
import { type StreamEnd, streamEndOf } from './stream-end.ts';
import type { StreamTiming } from './timing.ts';

/** What happens in a call. Nothing comes after `ended`. */
interface DeliverCallEvents {
  /** @returns why the stream must end, where it must */
  welcome(welcome: { applied: number; committed: number; wantOriginalDestination: boolean }): StreamEnd | undefined;
  ack(applied: number, committed: number): void;
  rejected(number: number, reason: string): void;
  /** A message of a kind that only newer exporters know. */
  ignored(): void;
  ended(end: StreamEnd): void;
}

/**
 * One gRPC call of `FlowService.Deliver`, from Hello to its end, on a channel of its own, so that each attempt uses the certificates of
 * its time. Checks the order of messages; what is sent is up to `BatchSender`.
 */
export class DeliverCall {
  readonly #client: Client;
  readonly #call: ClientDuplexStream<Uint8Array, DeliverResponse>;
  readonly #events: DeliverCallEvents;
  readonly #welcomeTimer: NodeJS.Timeout;
  #welcomed = false;
  #open = true;
  #onDrain: (() => void) | undefined;

  /** @param hello the encoded first message */
  constructor(
    address: string,
    credentials: ChannelCredentials,
    hello: Uint8Array,
    timing: StreamTiming,
    events: DeliverCallEvents,
  ) {
    this.#events = events;
    this.#client = new Client(address, credentials, channelOptions(timing));
    const { path, requestSerialize, responseDeserialize } = FLOW_SERVICE.deliver;
    this.#call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata());
    this.#call.on('data', (response: DeliverResponse) => this.#receive(response));
    this.#call.on('drain', () => this.#release());
    this.#call.on('status', ({ code, details }) => this.end(streamEndOf(code, details)));
    // The status has everything; without a listener the error would be thrown.
    this.#call.on('error', () => {});
    this.#welcomeTimer = setTimeout(
      () => this.end({ reason: 'no_welcome', text: `no answer to Hello within ${timing.welcomeMs} ms` }),
      timing.welcomeMs,
    );
    this.#call.write(hello);
  }

  /** It has not ended. */
  get open(): boolean {
    return this.#open;
  }

  /** Backpressure: what was sent is still on its way, nothing should be added that can wait. */
  get full(): boolean {
    return this.#call.writableNeedDrain;
  }

  /** Sends a message. @returns false where the caller should wait for `drained` before the next */
  write(message: Uint8Array): boolean {
    return this.#call.write(message);
  }

  /** Resolves when there is room for another message, or the stream has ended. */
  drained(): Promise<void> {
    if (!this.#open || !this.#call.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDrain = resolve;
    });
  }

  /** Says that nothing more will come. The exporter ends the stream then. */
  finish(): void {
    if (this.#open) this.#call.end();
  }

  /** Ends the stream from this side; the first end counts. */
  end(end: StreamEnd): void {
    if (!this.#open) return;
    this.#open = false;
    clearTimeout(this.#welcomeTimer);
    this.#call.cancel();
    this.#client.close();
    this.#release();
    this.#events.ended(end);
  }

  #release(): void {
    this.#onDrain?.();
    this.#onDrain = undefined;
  }

  #receive(response: DeliverResponse): void {
    const wrong = this.#open ? this.#take(response) : undefined;
    if (wrong !== undefined) this.end(wrong);
  }

  /** @returns why the stream must end, where it must */
  #take({ message }: DeliverResponse): StreamEnd | undefined {
    if (message.case === 'welcome' && !this.#welcomed) return this.#welcome(message.value);
    if (message.case === 'ack' && this.#welcomed)
      this.#events.ack(Number(message.value.applied), Number(message.value.committed));
    else if (message.case === 'rejection' && this.#welcomed)
      this.#events.rejected(Number(message.value.number), message.value.reason);
    else if (message.case === undefined && this.#welcomed) this.#events.ignored();
    else return { reason: 'invalid', text: `unexpected ${message.case ?? 'unknown message'} from the exporter` };
    return undefined;
  }

  #welcome({ protocol, applied, committed, wantOriginalDestination }: Welcome): StreamEnd | undefined {
    if (protocol < OLDEST_PROTOCOL || protocol > PROTOCOL) {
      const ours = `this collector speaks ${OLDEST_PROTOCOL} to ${PROTOCOL}`;
      return { reason: 'protocol', text: `the exporter chose protocol ${protocol}; ${ours}` };
    }
    clearTimeout(this.#welcomeTimer);
    this.#welcomed = true;
    return this.#events.welcome({ applied: Number(applied), committed: Number(committed), wantOriginalDestination });
  }
}

function channelOptions(timing: StreamTiming): Record<string, number> {
  return {
    'grpc.keepalive_time_ms': timing.keepaliveMs,
    'grpc.keepalive_timeout_ms': timing.keepaliveTimeoutMs,
    'grpc.keepalive_permit_without_calls': 1,
    // Attempts, backoff and certificates are ours: nothing is shared with the attempt before.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
    // HTTPS_PROXY is for the world outside; the exporter is in the cluster.
    'grpc.enable_http_proxy': 0,
  };
}
