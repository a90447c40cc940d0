import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** A request must have come this long after its first byte. */
const REQUEST_TIMEOUT_MS = 5_000;
/** A connection on which nothing moves for this long is closed. */
const IDLE_TIMEOUT_MS = 10_000;

const END_OF_REQUEST = '\r\n\r\n';

/** Why a gate is shut for good. */
export type GateRefusal = 'pipelined' | 'timeout';

/**
 * A client's connection as the HTTP server sees it: one request at a time. Node's own parser takes all requests that a client sends at once
 * (pipelining), hundreds in a piece, before any can be refused; here what follows a request that is not answered shuts the gate, unparsed.
 *
 *   waiting ──first byte──> coming (a time limit) ──empty line──> answering ──answered()──> waiting
 *
 * Requests with a body are none that a daemon serves: their body is taken for the next request.
 */
export class RequestGate extends Duplex {
  readonly remoteAddress: string | undefined;
  /** The client is on this machine, or is this machine itself. */
  readonly isOwn: boolean;
  readonly #socket: Socket;
  readonly #onRefused: (reason: GateRefusal) => void;
  #answering = false;
  /** The last characters that came, as far as they may begin the end of the request. */
  #tail = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, onRefused: (reason: GateRefusal) => void) {
    super();
    this.remoteAddress = socket.remoteAddress;
    this.isOwn = socket.remoteAddress !== undefined && socket.remoteAddress === socket.localAddress;
    this.#socket = socket;
    this.#onRefused = onRefused;
    socket.setTimeout(IDLE_TIMEOUT_MS, () => this.destroy());
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('end', () => this.push(null));
    socket.on('error', () => this.destroy());
    socket.on('close', () => this.destroy());
  }

  /** A request has come, and its response has not been sent. */
  get isAnswering(): boolean {
    return this.#answering;
  }

  /** The response has been sent: the next request may come. */
  answered(): void {
    this.#answering = false;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(bytes: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(bytes, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer);
    this.#socket.destroy();
    done(error);
  }

  #take(bytes: Buffer): void {
    const end = this.#answering ? 0 : this.#endOfRequest(bytes);
    if (end !== undefined && end < bytes.length) this.#refuse('pipelined');
    else {
      this.#advance(end !== undefined);
      if (!this.push(bytes)) this.#socket.pause();
    }
  }

  /** @param whole the request is there */
  #advance(whole: boolean): void {
    if (!whole) {
      this.#timer ??= setTimeout(() => this.#refuse('timeout'), REQUEST_TIMEOUT_MS).unref();
      return;
    }
    this.#answering = true;
    this.#tail = '';
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Where in these bytes the request ends; undefined: further on. */
  #endOfRequest(bytes: Buffer): number | undefined {
    const text = this.#tail + bytes.toString('latin1');
    const at = text.indexOf(END_OF_REQUEST);
    if (at >= 0) return at + END_OF_REQUEST.length - this.#tail.length;
    this.#tail = text.slice(1 - END_OF_REQUEST.length);
    return undefined;
  }

  #refuse(reason: GateRefusal): void {
    if (this.destroyed) return;
    this.#onRefused(reason);
    this.destroy();
  }
}
