import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { acceptsOpenMetrics, OPENMETRICS_CONTENT_TYPE, OPENMETRICS_END, toOpenMetrics } from './openmetrics.ts';

/** A request's line and headers may not be longer. */
const MAX_HEADER_BYTES = 8 * 1024;
/** A client must have sent its whole request within this time. */
const REQUEST_TIMEOUT_MS = 10_000;
/** A connection that is idle for this long is closed. */
const IDLE_TIMEOUT_MS = 30_000;
/** Scrapers and probes together: one more connection is closed at once. */
const MAX_CONNECTIONS = 64;
/** How often connections are checked against these times. */
const CHECK_MS = 5_000;

const TEXT = 'text/plain; charset=utf-8';

/** Where a daemon serves HTTP, and what. */
export interface HttpOptions {
  /** 0: a free one. */
  readonly port: number;
  /** An address of this machine to listen on; not set: all of them. */
  readonly host?: string;
  readonly registry: Registry;
  /** Why the daemon cannot do its work now, a sentence each; none: it can. */
  ready(): readonly string[];
  /** Prometheus text that follows the registry's at `/metrics`, in pieces of whole lines. Counters' names end with `_total`. */
  extraMetrics?(): Iterable<string>;
}

/** The HTTP server of a daemon. */
export interface HttpServer {
  readonly port: number;
  /** Stops listening and cuts every connection. */
  close(): Promise<void>;
}

/** The port cannot be listened on. */
export class HttpListenError extends Error {
  override readonly name = 'HttpListenError';
}

/**
 * Starts what any daemon serves over HTTP: `/healthz` (it runs), `/readyz` (it can do its work: 200, or 503 with the reasons)
 * and `/metrics` (Prometheus text format 0.0.4, or OpenMetrics 1.0 where a client asks for it). GET and HEAD only, and no request changes anything.
 * @throws HttpListenError where the port is taken or not allowed
 */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_MS,
    },
    (request, response) => {
      // A client that closes the connection in the middle of a response is no error of ours.
      respond(options, request, response).catch(() => response.destroy());
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(IDLE_TIMEOUT_MS, (socket) => socket.destroy());
  await listen(server, options);
  return { port: (server.address() as AddressInfo).port, close: () => close(server) };
}

async function listen(server: Server, { port, host }: HttpOptions): Promise<void> {
  try {
    server.listen(host === undefined ? { port } : { port, host });
    await once(server, 'listening');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const where = `port ${port}${host === undefined ? '' : ` of ${host}`}`;
    throw new HttpListenError(`cannot listen on ${where} for HTTP: ${ADVICE[code ?? ''] ?? message}`);
  }
}

const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process has it; choose another with -http-listen-port',
  EACCES: 'not allowed for this user; choose one above 1023 with -http-listen-port',
  EADDRNOTAVAIL: 'this machine does not have that address',
};

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

async function respond(options: HttpOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url?.split('?')[0];
  const page = path === undefined ? undefined : PAGES.get(path);
  if (page === undefined) return respondText(response, 404, `not found; there is ${[...PAGES.keys()].join(', ')}`);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return respondText(response, 405, 'only GET and HEAD');
  }
  await page(options, response, request);
}

type Page = (options: HttpOptions, response: ServerResponse, request: IncomingMessage) => void | Promise<void>;

const PAGES: ReadonlyMap<string, Page> = new Map<string, Page>([
  ['/healthz', (_options, response) => respondText(response, 200, 'ok')],
  [
    '/readyz',
    ({ ready }, response) => {
      const reasons = ready();
      return reasons.length === 0 ? respondText(response, 200, 'ok') : respondText(response, 503, reasons.join('\n'));
    },
  ],
  ['/metrics', metrics],
]);

/** Node leaves the body out of an answer to HEAD by itself. */
function respondText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': TEXT, 'X-Content-Type-Options': 'nosniff' });
  response.end(`${text}\n`);
}

/** Writes piece by piece, as fast as the client reads. */
async function metrics(
  { registry, extraMetrics }: HttpOptions,
  response: ServerResponse,
  { method, headers }: IncomingMessage,
): Promise<void> {
  const openMetrics = acceptsOpenMetrics(headers.accept);
  const written = openMetrics ? toOpenMetrics : (text: string) => text;
  const own = await registry.metrics();
  response.writeHead(200, { 'Content-Type': openMetrics ? OPENMETRICS_CONTENT_TYPE : registry.contentType });
  if (method !== 'HEAD') {
    response.write(written(own));
    for (const piece of extraMetrics?.() ?? []) if (!response.write(written(piece))) await drained(response);
    if (openMetrics) response.write(OPENMETRICS_END);
  }
  response.end();
}

/** Resolves when the client has read on; rejects when it is gone. */
async function drained(response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  const close = (): void => gone.abort();
  response.once('close', close);
  try {
    if (response.destroyed) throw new Error('the client is gone');
    await once(response, 'drain', { signal: gone.signal });
  } finally {
    response.off('close', close);
  }
}
