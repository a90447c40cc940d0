import { once } from 'node:events';
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { Registry } from 'prom-client';
import { HttpConnections } from './http-connections.ts';
import type { HttpRefusals } from './http-refusals.ts';
import { MetricsPage } from './metrics-page.ts';

/** A request's line and headers may not be longer. */
const MAX_HEADER_BYTES = 8 * 1024;

const TEXT = 'text/plain; charset=utf-8';

/** Where a daemon serves HTTP, and what. */
export interface HttpOptions {
  /** 0: a free one. */
  readonly port: number;
  /** An address of this machine to listen on; not set: all of them. */
  readonly host?: string;
  readonly registry: Registry;
  readonly refused: HttpRefusals;
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
  const metrics = new MetricsPage(options);
  const http = createHttp({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
    // A client that closes the connection in the middle of a response is no error of ours.
    respond({ ...options, metrics }, request, response).catch(() => response.destroy());
  });
  const connections = new HttpConnections(http, options.refused);
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => connections.open(socket));
  await listen(server, options);
  return { port: (server.address() as AddressInfo).port, close: () => close(server, connections) };
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

async function close(server: Server, connections: HttpConnections): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  connections.close();
  await closed;
}

interface Pages {
  readonly metrics: MetricsPage;
  ready(): readonly string[];
}

async function respond(pages: Pages, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url?.split('?')[0];
  const page = path === undefined ? undefined : PAGES.get(path);
  if (page === undefined) return respondText(response, 404, `not found; there is ${[...PAGES.keys()].join(', ')}`);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return respondText(response, 405, 'only GET and HEAD');
  }
  await page(pages, response, request);
}

type Page = (pages: Pages, response: ServerResponse, request: IncomingMessage) => void | Promise<void>;

const PAGES: ReadonlyMap<string, Page> = new Map<string, Page>([
  ['/healthz', (_pages, response) => respondText(response, 200, 'ok')],
  [
    '/readyz',
    ({ ready }, response) => {
      const reasons = ready();
      return reasons.length === 0 ? respondText(response, 200, 'ok') : respondText(response, 503, reasons.join('\n'));
    },
  ],
  ['/metrics', ({ metrics }, response, request) => metrics.respond(request, response)],
]);

/** Node leaves the body out of an answer to HEAD by itself. */
function respondText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': TEXT, 'X-Content-Type-Options': 'nosniff' });
  response.end(`${text}\n`);
}
