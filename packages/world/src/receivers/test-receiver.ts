import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fromBinary } from '@bufbuild/protobuf';
import { type WriteRequest, WriteRequestSchema } from '@egressd/flow/gen/prometheus/v1/remote_pb';
import { uncompressSync } from 'snappy';

/** One request as it came in. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** Answers a request, or does what a broken receiver does. */
export type Answer = (received: Received, response: ServerResponse) => void;

/** A receiver for tests on a free port of loopback: keeps every request, and answers with `answer`. */
export class TestReceiver {
  readonly requests: Received[] = [];
  answer: Answer;
  readonly #server: Server;

  private constructor(answer: Answer, tls: ServerOptions | undefined) {
    this.answer = answer;
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('error', () => {});
      request.on('end', () => {
        const { method = '', url = '', headers } = request;
        const received = { method, url, headers, body: Buffer.concat(chunks) };
        this.requests.push(received);
        this.answer(received, response);
      });
    };
    this.#server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  }

  /** @param tls speaks TLS with these */
  static async start(answer: Answer = status(204), tls?: ServerOptions): Promise<TestReceiver> {
    const receiver = new TestReceiver(answer, tls);
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/api/v1/write`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Answers with a status, headers and a body. */
export function status(code: number, headers: Record<string, string> = {}, body = ''): Answer {
  return (_received, response) => response.writeHead(code, headers).end(body);
}

/** The series in a request. */
export function decodeWrite(received: { readonly body: Uint8Array }): WriteRequest {
  return fromBinary(WriteRequestSchema, uncompressSync(received.body) as Buffer);
}

/** Labels of each series in a request, by name. */
export function labelsOf(request: WriteRequest): Record<string, string>[] {
  return request.timeseries.map(({ labels }) => Object.fromEntries(labels.map(({ name, value }) => [name, value])));
}
