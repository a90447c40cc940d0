import type { AddressInfo } from 'node:net';
import { createServer, type Server, Socket } from 'node:net';

/** What can happen to a connection. */
type ConnectionFault =
  /** Both sides see a reset. */
  | 'cut'
  /** Nothing passes any more in either direction, and neither side is closed: as when a cable is pulled. */
  | 'stall'
  /** What the server sends is lost from now on; what the client sends still arrives. */
  | 'deaf'
  /** The client's side is closed in order, the server's side stays open. */
  | 'half-close';

/** All of them. */
export const FAULTS: readonly ConnectionFault[] = ['cut', 'stall', 'deaf', 'half-close'];

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** Bytes of the client that still pass before the fault happens. */
  left: number;
  fault: ConnectionFault | undefined;
}

/**
 * A TCP proxy on a free port of 127.0.0.1 that breaks connections, now or after so many bytes of the client.
 *
 *    client  --->  fault proxy  --->  127.0.0.1:target
 */
export class FaultProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #target: number;
  #next: { fault: ConnectionFault; afterBytes: number } | undefined;
  #refusing = false;
  #accepted = 0;

  constructor(target: number) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  /** Listens. @returns the port */
  async listen(): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.listen(0, '127.0.0.1', resolve);
    await promise;
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that were ever accepted. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Sends connections from now on to another port: an exporter that restarted. */
  set target(port: number) {
    this.#target = port;
  }

  /** Resets connections as soon as they come. */
  set refusing(refusing: boolean) {
    this.#refusing = refusing;
  }

  /** The next connection suffers a fault after so many bytes of the client. */
  schedule(fault: ConnectionFault, afterBytes: number): void {
    this.#next = { fault, afterBytes };
  }

  /** All present connections suffer it now. */
  strike(fault: ConnectionFault): void {
    for (const pair of this.#pairs) this.#strike(pair, fault);
  }

  async close(): Promise<void> {
    this.strike('cut');
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    await promise;
  }

  #accept(client: Socket): void {
    this.#accepted++;
    client.on('error', () => {});
    if (this.#refusing) {
      reset(client);
      return;
    }
    const server = new Socket({ allowHalfOpen: true });
    const pair: Pair = { client, server, left: this.#next?.afterBytes ?? Number.POSITIVE_INFINITY, fault: undefined };
    const fault = this.#next?.fault ?? 'cut';
    this.#next = undefined;
    this.#pairs.add(pair);
    server.on('error', () => client.destroy());
    client.on('data', (chunk: Buffer) => this.#fromClient(pair, chunk, fault));
    server.on('data', (chunk: Buffer) => {
      if (pair.fault === undefined) client.write(chunk);
    });
    client.on('close', () => this.#gone(pair, server));
    server.on('close', () => this.#gone(pair, client));
    client.on('end', () => pair.fault !== 'stall' && server.end());
    server.on('end', () => pair.fault !== 'stall' && client.end());
    server.connect(this.#target, '127.0.0.1');
  }

  #fromClient(pair: Pair, chunk: Buffer, fault: ConnectionFault): void {
    if (pair.fault === 'stall') return;
    const passing = chunk.subarray(0, Math.min(chunk.length, pair.left));
    pair.left -= passing.length;
    if (passing.length > 0) pair.server.write(passing);
    if (pair.left <= 0 && pair.fault === undefined) this.#strike(pair, fault);
    if (pair.fault === 'deaf' && passing.length < chunk.length) pair.server.write(chunk.subarray(passing.length));
  }

  #strike(pair: Pair, fault: ConnectionFault): void {
    pair.fault = fault;
    pair.left = fault === 'deaf' ? Number.POSITIVE_INFINITY : 0;
    if (fault === 'half-close') pair.client.end();
    if (fault !== 'cut') return;
    reset(pair.client);
    reset(pair.server);
  }

  /** One side is closed: so is the other, unless the fault hides it. */
  #gone(pair: Pair, other: Socket): void {
    this.#pairs.delete(pair);
    if (pair.fault !== 'stall') other.destroy();
    else other.setTimeout(1000, () => other.destroy());
  }
}

/** Resets a connection. One that is being shut down cannot be reset: its handle would never close, and Node never exit. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
