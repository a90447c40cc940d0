import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Server, type Socket } from 'node:net';
import { type TLSSocket, Server as TlsServer } from 'node:tls';
import type { HandshakeFailure } from './metrics.ts';

/** A TLS handshake that failed. */
export interface FailedHandshake {
  readonly reason: HandshakeFailure;
  /** In the words of OpenSSL or Node.js. */
  readonly text: string;
  /** Remote address; undefined: the connection is gone already. */
  readonly peer: string | undefined;
}

/**
 * Node.js publishes on this channel each server that begins to listen (https://nodejs.org/api/diagnostics_channel.html, "net"). gRPC
 * keeps its servers to itself; were the channel gone, connections would have no limits, and tests would fail.
 */
const LISTEN = 'tracing:net.server.listen:asyncStart';

/** Who is asked about connections, and hears of failed handshakes. */
export interface ListenerHooks {
  /** Before anything is done with a connection. @returns false: it is closed already */
  open(socket: Socket): boolean;
  onFailedHandshake(failed: FailedHandshake): void;
}

/**
 * Hooks every server that begins to listen until the returned function is called.
 * @param port that such a server listens on
 */
export function hookListener(port: number, { open, onFailedHandshake }: ListenerHooks): () => void {
  const found = (message: unknown): void => {
    const { server, options } = message as { server: unknown; options?: { port?: unknown } };
    if (!(server instanceof Server) || options?.port !== port) return;
    askBefore(server, open);
    if (server instanceof TlsServer)
      server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) =>
        onFailedHandshake(read(error, socket)),
      );
  };
  subscribe(LISTEN, found);
  return () => {
    unsubscribe(LISTEN, found);
  };
}

/** Puts `open` before all that listens for connections: what it refuses costs no TLS. */
function askBefore(server: Server, open: ListenerHooks['open']): void {
  const listeners = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket) => {
    if (open(socket)) for (const listener of listeners) listener.call(server, socket);
  });
}

function read(error: NodeJS.ErrnoException, { authorizationError, remoteAddress }: TLSSocket): FailedHandshake {
  // Node.js gives the code, and its types say that it is an Error.
  if (authorizationError) return { reason: 'certificate', text: String(authorizationError), peer: remoteAddress };
  const { code = '' } = error;
  return { reason: reasonOf(code), text: code || error.message, peer: remoteAddress };
}

function reasonOf(code: string): HandshakeFailure {
  if (code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE') return 'no_certificate';
  // An alert is the other side's word (RFC 8446, 6.2).
  return code.startsWith('ERR_SSL_') && !code.includes('_ALERT_') ? 'protocol' : 'broken';
}
