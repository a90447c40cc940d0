import { Counter, type Registry } from 'prom-client';

/** Why a client was refused, or its connection closed. */
export type HttpRefusal =
  /** All connections, or all unread pages, that there may be: the oldest of the address with most of them made room. */
  | 'limit'
  /** All that one address may have. */
  | 'address_limit'
  /** It sent a request before it had the response to the one before. */
  | 'pipelined'
  /** It did not send its request, or read its response, in time. */
  | 'timeout'
  /** Not HTTP, or too long a header. */
  | 'malformed';

/** Counts them. */
export type HttpRefusals = Counter<'reason'>;

/** Registers the counter of a daemon's HTTP server. */
export function createHttpRefusals(registry: Registry, daemon: 'collector' | 'exporter'): HttpRefusals {
  return new Counter({
    name: `egressd_${daemon}_http_refused_total`,
    help: 'Connections to the HTTP port that were closed, by reason. limit, address_limit: too many connections or unread pages, the oldest made room; pipelined, timeout, malformed: no client that behaves does this. Where it rises, find out who connects to the port.',
    labelNames: ['reason'],
    registers: [registry],
  });
}
