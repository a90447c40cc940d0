import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FairShare, type ShareLimits, shareAddress } from './fair-share.ts';
import type { HttpRefusal, HttpRefusals } from './http-refusals.ts';
import { RequestGate } from './request-gate.ts';

/** Connections of scrapers and probes. An address has more than it needs, since many clients may be behind one. */
const CONNECTIONS: ShareLimits = { all: 256, perAddress: 64 };
/** Kept apart for this machine itself: the kubelet, where the daemon is in the node's network. */
const OWN_CONNECTIONS: ShareLimits = { all: 64, perAddress: 64 };

const isBusy = (gate: RequestGate): boolean => gate.isAnswering;

/** The connections of a daemon's HTTP server: as many as it can bear, none that shuts others out, one request at a time on each. */
export class HttpConnections {
  readonly #http: Server;
  readonly #refused: HttpRefusals;
  readonly #others = new FairShare<RequestGate>(CONNECTIONS, isBusy);
  readonly #own = new FairShare<RequestGate>(OWN_CONNECTIONS, isBusy);
  readonly #open = new Set<RequestGate>();

  /** @param http answers requests; it does not listen itself */
  constructor(http: Server, refused: HttpRefusals) {
    this.#http = http;
    this.#refused = refused;
    http.on('clientError', (error: NodeJS.ErrnoException, gate) => this.#malformed(error, gate));
    http.prependListener('request', ({ socket }, response: ServerResponse) => {
      response.once('close', () => (socket as unknown as RequestGate).answered());
    });
  }

  /** A client has connected: where there are too many, the oldest idle one of the address with most of them makes room. */
  open(socket: Socket): void {
    const gate = new RequestGate(socket, (reason) => this.#refused.inc({ reason }));
    const address = shareAddress(gate.remoteAddress);
    const share = gate.isOwn ? this.#own : this.#others;
    const full = share.add(gate, address, performance.now());
    this.#open.add(gate);
    gate.once('close', () => {
      this.#open.delete(gate);
      share.delete(gate, address);
    });
    if (full !== undefined) this.#close(full.evicted, full.limit);
    if (!gate.destroyed) this.#http.emit('connection', gate);
  }

  /** Cuts them all. */
  close(): void {
    for (const gate of this.#open) gate.destroy();
  }

  /** What came is no request. */
  #malformed({ code = '' }: NodeJS.ErrnoException, gate: Duplex): void {
    // A client that is gone needs no answer.
    if (code === 'ECONNRESET' || !gate.writable) return void gate.destroy();
    this.#refused.inc({ reason: 'malformed' });
    const status = code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
    gate.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`, () => gate.destroy());
  }

  #close(gate: RequestGate, reason: HttpRefusal): void {
    this.#refused.inc({ reason });
    gate.destroy();
  }
}
