import type { Socket } from 'node:net';
import { FairShare, type ShareLimits, shareAddress } from '@egressd/daemon/fair-share';

/** Limits of connections without an accepted stream: TLS handshakes, and what has no Hello yet. */
export interface ConnectionLimits extends ShareLimits {
  /** After so long without an accepted stream a connection is closed. */
  readonly idleMs: number;
}

/**
 * Each takes about 75 KB while its handshake waits. A collector needs one for a moment, at most a second where thousands come at once; so
 * what is older makes room, and an address behind which all collectors of a large cluster are has enough.
 */
export const CONNECTION_LIMITS: ConnectionLimits = { all: 1024, perAddress: 256, graceMs: 2_000, idleMs: 10_000 };

/** Why a connection was closed. */
export type ConnectionRefusal =
  /** There are as many without an accepted stream as there may be. */
  | 'limit'
  /** As many from one address. */
  | 'address_limit'
  /** It has had no accepted stream for too long: a handshake or a Hello that did not come, for example. */
  | 'idle';

interface Connection {
  readonly socket: Socket;
  readonly address: string;
  /** Streams on it that were accepted and are open. */
  streams: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Connections to the stream port, from the first packet on: whoever reaches the port may open them, without a certificate. Those that have
 * no accepted stream are few, shared between the addresses that they come from, and end soon.
 *
 *   opened ──> waiting (limits, time) ──accepted()──> has a stream (no limit here) ──ended()──> waiting
 */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #waiting: FairShare<Connection>;
  readonly #byPeer = new Map<string, Connection>();
  readonly #onRefused: (reason: ConnectionRefusal, peer: string) => void;

  constructor(limits: ConnectionLimits, onRefused: (reason: ConnectionRefusal, peer: string) => void) {
    this.#limits = limits;
    this.#waiting = new FairShare(limits);
    this.#onRefused = onRefused;
  }

  /** How many are open. */
  get size(): number {
    return this.#byPeer.size;
  }

  /** Takes a new one. @returns false: it was closed at once */
  open(socket: Socket): boolean {
    const peer = peerOf(socket);
    const connection = { socket, address: shareAddress(socket.remoteAddress), streams: 0, timer: undefined };
    this.#byPeer.set(peer, connection);
    socket.once('close', () => {
      this.#stopWaiting(connection);
      if (this.#byPeer.get(peer) === connection) this.#byPeer.delete(peer);
    });
    this.#wait(connection);
    return !socket.destroyed;
  }

  /** A stream on it was accepted. @param peer as gRPC writes it: `address:port` */
  accepted(peer: string): void {
    const connection = this.#byPeer.get(peer);
    if (connection !== undefined && connection.streams++ === 0) this.#stopWaiting(connection);
  }

  /** An accepted stream on it has ended. */
  ended(peer: string): void {
    const connection = this.#byPeer.get(peer);
    if (connection !== undefined && --connection.streams === 0) this.#wait(connection);
  }

  #wait(connection: Connection): void {
    connection.timer = setTimeout(() => this.#close(connection, 'idle'), this.#limits.idleMs).unref();
    const full = this.#waiting.add(connection, connection.address, performance.now());
    if (full !== undefined) this.#close(full.evicted, full.limit);
  }

  #stopWaiting(connection: Connection): void {
    clearTimeout(connection.timer);
    this.#waiting.delete(connection, connection.address);
  }

  #close({ socket }: Connection, reason: ConnectionRefusal): void {
    this.#onRefused(reason, peerOf(socket));
    socket.destroy();
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}
