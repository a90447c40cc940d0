import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** A fault of a request. */
export type RequestFault =
  /** Priority and fairness: 429 with `Retry-After`, the text as Kubernetes writes it. Without seconds they grow: 1, 4, 8, 16. */
  | { readonly kind: 'throttled'; readonly seconds?: number }
  /** etcd has no leader, a webhook fails, a proxy has no backend. */
  | { readonly kind: 'status'; readonly code: number; readonly body: string; readonly type?: string }
  /** The connection is reset before a response. */
  | { readonly kind: 'reset' }
  /** A body that breaks off. */
  | { readonly kind: 'broken_off'; readonly body: string }
  /** There is never a response. */
  | { readonly kind: 'hang' };

/** Responds as the fault says. */
export function injectFault(fault: RequestFault, response: ServerResponse, retryAfter: () => number): void {
  if (fault.kind === 'throttled') {
    const text = 'Too many requests, please try again later.\n';
    response
      .writeHead(429, { 'Content-Type': 'text/plain', 'Retry-After': String(fault.seconds ?? retryAfter()) })
      .end(text);
  } else if (fault.kind === 'status') {
    response.writeHead(fault.code, { 'Content-Type': fault.type ?? 'application/json' }).end(fault.body);
  } else if (fault.kind === 'broken_off') {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': fault.body.length + 1000 });
    response.write(fault.body, () => cut(response.socket));
  } else if (fault.kind === 'reset') {
    cut(response.socket);
  }
}

/** Cuts a connection: with a reset where the socket is a plain one, in the middle of the record where it is TLS. */
export function cut(socket: Socket | null): void {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket?.resetAndDestroy();
}
