import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FairShare, type ShareLimits, shareAddress } from './fair-share.ts';
import type { HttpRefusal, HttpRefusals } from './http-refusals.ts';

/** Connections of scrapers and probes. An address has more than it needs, since many clients may be behind one. */
const CONNECTIONS: ShareLimits = { all: 256, perAddress: 64 };
/** Kept apart for this machine itself: the kubelet, where the daemon is in the node's network. */
const OWN_CONNECTIONS: ShareLimits = { all: 64, perAddress: 64 };

/** What a client that is no client of HTTP gets, by the code of Node.js; any other: 400. */
const STATUS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** The connections of a daemon's HTTP server: as many as it can bear, none that shuts others out, one request at a time on each. */
export class HttpConnections {
  readonly #refused: HttpRefusals;
  /** What is being answered. */
  readonly #responses = new WeakMap<Duplex, ServerResponse>();
  readonly #others = new FairShare<Socket>(CONNECTIONS, (socket) => this.#isBusy(socket));
  readonly #own = new FairShare<Socket>(OWN_CONNECTIONS, (socket) => this.#isBusy(socket));

  constructor(refused: HttpRefusals) {
    this.#refused = refused;
  }

  /** A client has connected: where there are too many, the oldest idle one of the address with most of them makes room. */
  open(socket: Socket): void {
    const address = shareAddress(socket.remoteAddress);
    const share = isOwn(socket) ? this.#own : this.#others;
    const full = share.add(socket, address, performance.now());
    socket.once('close', () => share.delete(socket, address));
    if (full !== undefined) this.#close(full.evicted, full.limit);
  }

  /** @returns false: the client has not waited for the response to its last request, and is cut off */
  begin({ socket }: IncomingMessage, response: ServerResponse): boolean {
    // What came in one piece is still parsed.
    if (socket.destroyed) return false;
    if (this.#isBusy(socket)) {
      this.#close(socket, 'pipelined');
      return false;
    }
    this.#responses.set(socket, response);
    return true;
  }

  /** What came is no request. */
  malformed({ code = '' }: NodeJS.ErrnoException, socket: Duplex): void {
    // A client that is gone needs no answer.
    if (code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
    this.#refused.inc({ reason: code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'timeout' : 'malformed' });
    if (this.#isBusy(socket)) return void socket.destroy();
    socket.end(`HTTP/1.1 ${STATUS[code] ?? '400 Bad Request'}\r\nConnection: close\r\n\r\n`, () => socket.destroy());
  }

  #isBusy(socket: Duplex): boolean {
    const response = this.#responses.get(socket);
    return response !== undefined && !response.writableFinished;
  }

  #close(socket: Duplex, reason: HttpRefusal): void {
    this.#refused.inc({ reason });
    socket.destroy();
  }
}

function isOwn({ remoteAddress, localAddress }: Socket): boolean {
  return remoteAddress !== undefined && remoteAddress === localAddress;
}
