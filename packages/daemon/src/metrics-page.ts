import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { FairShare, type ShareLimits, shareAddress } from './fair-share.ts';
import type { HttpRefusals } from './http-refusals.ts';
import { acceptsOpenMetrics, OPENMETRICS_CONTENT_TYPE, OPENMETRICS_END, toOpenMetrics } from './openmetrics.ts';
import { SharedRendering } from './rendering.ts';

/** Clients that wait for a page or read one. Each may hold a page in memory, and megabytes of the kernel's buffers. */
const READERS: ShareLimits = { all: 8, perAddress: 4 };
/** A client must have read the page within this time. */
const READ_TIMEOUT_MS = 10_000;

/** What is served at `/metrics`. */
interface Metrics {
  readonly registry: Registry;
  readonly refused: HttpRefusals;
  /** Text that follows the registry's, in pieces of whole lines. */
  extraMetrics?(): Iterable<string>;
}

/** `/metrics`: rendered once for all who ask at a time, and sent to each as fast as it reads. */
export class MetricsPage {
  readonly #contentType: string;
  readonly #refused: HttpRefusals;
  readonly #rendering: SharedRendering<readonly string[]>;
  readonly #readers = new FairShare<ServerResponse>(READERS);

  constructor({ registry, refused, extraMetrics }: Metrics) {
    this.#contentType = registry.contentType;
    this.#refused = refused;
    this.#rendering = new SharedRendering(async () => [await registry.metrics(), ...(extraMetrics?.() ?? [])]);
  }

  /** Responds in the format that the client prefers. Rejects when the client is gone. */
  async respond({ method, headers, socket }: IncomingMessage, response: ServerResponse): Promise<void> {
    const openMetrics = acceptsOpenMetrics(headers.accept);
    response.setHeader('Content-Type', openMetrics ? OPENMETRICS_CONTENT_TYPE : this.#contentType);
    if (method === 'HEAD') return void response.end();
    this.#limit(response, shareAddress(socket.remoteAddress));
    for (const piece of await this.#rendering.get())
      if (!response.write(openMetrics ? toOpenMetrics(piece) : piece)) await drained(response);
    response.end(openMetrics ? OPENMETRICS_END : undefined);
  }

  /** Makes it one of the readers, for as long as they have. */
  #limit(response: ServerResponse, address: string): void {
    const timer = setTimeout(() => this.#end(response, 'timeout'), READ_TIMEOUT_MS).unref();
    response.once('close', () => {
      clearTimeout(timer);
      this.#readers.delete(response, address);
    });
    const full = this.#readers.add(response, address, performance.now());
    if (full !== undefined) this.#end(full.evicted, full.limit);
  }

  #end(response: ServerResponse, reason: 'limit' | 'address_limit' | 'timeout'): void {
    this.#refused.inc({ reason });
    response.destroy();
  }
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
