import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type DeliverRequest,
  DeliverRequestSchema,
  type DeliverResponse,
} from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { FLOW_SERVICE } from '@egressd/flow/service';
import { Client, type ClientDuplexStream, credentials, Metadata, type status } from '@grpc/grpc-js';

type Message = NonNullable<MessageInitShape<typeof DeliverRequestSchema>['message']>;

/** Bytes of a request that may be anything. */
export function encodeRequest(message: Message): Uint8Array {
  const request: DeliverRequest = create(DeliverRequestSchema, { message });
  return toBinary(DeliverRequestSchema, request);
}

/** A Hello that is good but for what is given. */
export function helloBytes(hello: Extract<Message, { case?: 'hello' }>['value'] = {}): Uint8Array {
  const good = { protocol: 1, oldestProtocol: 1, node: 'node-a', epoch: 'epoch-1', version: '9.9' };
  return encodeRequest({ case: 'hello', value: { ...good, ...hello } });
}

/** A stand-in for a collector that sends any bytes, and keeps the answers. */
export class RawStream implements Disposable {
  readonly answers: DeliverResponse['message'][] = [];
  readonly #client: Client;
  readonly #call: ClientDuplexStream<Uint8Array, DeliverResponse>;
  /** Set when the stream has ended. */
  end: { code: status; details: string } | undefined;

  constructor(port: number, ...messages: readonly Uint8Array[]) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    const { path, requestSerialize, responseDeserialize } = FLOW_SERVICE.deliver;
    this.#call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata());
    this.#call.on('data', ({ message }: DeliverResponse) => this.answers.push(message));
    this.#call.on('status', ({ code, details }) => {
      this.end = { code, details };
    });
    this.#call.on('error', () => {});
    for (const message of messages) this.#call.write(message);
  }

  write(message: Uint8Array): void {
    this.#call.write(message);
  }

  /** The answers of one kind. */
  of<C extends DeliverResponse['message']['case']>(
    kind: C,
  ): Extract<DeliverResponse['message'], { case: C }>['value'][] {
    return this.answers.filter((answer) => answer.case === kind).map((answer) => answer.value as never);
  }

  [Symbol.dispose](): void {
    this.#call.cancel();
    this.#client.close();
  }
}
