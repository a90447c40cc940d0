import type { DeliverResponse, Welcome } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { FLOW_SERVICE, OLDEST_PROTOCOL, PROTOCOL } from '@egressd/flow/service';
import { type ChannelCredentials, Client, type ClientDuplexStream, Metadata } from '@grpc/grpc-js';
import { type Ending, endingOf } from './stream-end.ts';

/** Times of a stream, milliseconds. */
export interface StreamTiming {
  /** From the attempt to the Welcome. */
  readonly welcomeMs: number;
  /** How long what was sent may stay where it is before the stream is given up. */
  readonly stallMs: number;
  /** Longest first pause between two attempts, and longest of all. */
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
  /** A stream that lasted so long was a good one: the next pause is a short one again. */
  readonly steadyMs: number;
  /** Pings, and how long to wait for their answer. */
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
}

export const STREAM_TIMING: StreamTiming = {
  welcomeMs: 20_000,
  stallMs: 60_000,
  reconnectMinMs: 500,
  reconnectMaxMs: 30_000,
  steadyMs: 10_000,
  keepaliveMs: 20_000,
  keepaliveTimeoutMs: 10_000,
};

/** What a connection tells. Nothing comes after `ended`. */
export interface ConnectionEvents {
  /** @returns why the stream must end, where it must */
  welcome(welcome: { applied: number; committed: number; wantOriginalDestination: boolean }): Ending | undefined;
  ack(applied: number, committed: number): void;
  rejected(number: number, reason: string): void;
  /** A message of a kind that only newer exporters know. */
  ignored(): void;
  ended(ending: Ending): void;
}

/** One attempt: a channel of its own, so that certificates are those of now, with one stream, from Hello to its end. */
export class Connection {
  readonly #client: Client;
  readonly #call: ClientDuplexStream<Uint8Array, DeliverResponse>;
  readonly #events: ConnectionEvents;
  readonly #welcomeTimer: NodeJS.Timeout;
  #welcomed = false;
  #open = true;
  #waiting: (() => void) | undefined;

  /** @param hello the encoded first message */
  constructor(
    address: string,
    credentials: ChannelCredentials,
    hello: Uint8Array,
    timing: StreamTiming,
    events: ConnectionEvents,
  ) {
    this.#events = events;
    this.#client = new Client(address, credentials, channelOptions(timing));
    const { path, requestSerialize, responseDeserialize } = FLOW_SERVICE.deliver;
    this.#call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata());
    this.#call.on('data', (response: DeliverResponse) => this.#receive(response));
    this.#call.on('drain', () => this.#release());
    this.#call.on('status', ({ code, details }) => this.end(endingOf(code, details)));
    // The status says it all; without a listener it would be thrown.
    this.#call.on('error', () => {});
    this.#welcomeTimer = setTimeout(
      () => this.end({ reason: 'no_welcome', text: `no answer to Hello within ${timing.welcomeMs} ms` }),
      timing.welcomeMs,
    );
    this.#call.write(hello);
  }

  get open(): boolean {
    return this.#open;
  }

  /** What was sent is still on its way: nothing should be added that can wait. */
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
      this.#waiting = resolve;
    });
  }

  /** Says that nothing more will come. The exporter ends the stream then. */
  finish(): void {
    if (this.#open) this.#call.end();
  }

  /** Ends the stream from this side; the first end counts. */
  end(ending: Ending): void {
    if (!this.#open) return;
    this.#open = false;
    clearTimeout(this.#welcomeTimer);
    this.#call.cancel();
    this.#client.close();
    this.#release();
    this.#events.ended(ending);
  }

  #release(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }

  #receive(response: DeliverResponse): void {
    const wrong = this.#open ? this.#take(response) : undefined;
    if (wrong !== undefined) this.end(wrong);
  }

  /** @returns why the stream must end, where it must */
  #take({ message }: DeliverResponse): Ending | undefined {
    if (message.case === 'welcome' && !this.#welcomed) return this.#welcome(message.value);
    if (message.case === 'ack' && this.#welcomed)
      this.#events.ack(Number(message.value.applied), Number(message.value.committed));
    else if (message.case === 'rejection' && this.#welcomed)
      this.#events.rejected(Number(message.value.number), message.value.reason);
    else if (message.case === undefined && this.#welcomed) this.#events.ignored();
    else return { reason: 'invalid', text: `the exporter said ${message.case ?? 'something unknown'} out of turn` };
    return undefined;
  }

  #welcome({ protocol, applied, committed, wantOriginalDestination }: Welcome): Ending | undefined {
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
    // Attempts, pauses and certificates are ours: nothing is shared with the attempt before.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
    // HTTPS_PROXY is for the world outside; the exporter is inside.
    'grpc.enable_http_proxy': 0,
  };
}
