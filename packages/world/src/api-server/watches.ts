import type { ServerResponse } from 'node:http';
import { cut } from './faults.ts';
import type { StatusError } from './status.ts';
import { statusObject } from './status.ts';
import type { Revision, Store } from './store.ts';

interface WatchOptions {
  readonly store: Store;
  readonly revision: Revision;
  readonly kind: string;
  readonly apiVersion: string;
  readonly after: number;
  readonly bookmarks: boolean;
  /** The server ends it then. */
  readonly timeoutMs: number;
}

/** Open watches: chunked responses, a JSON object a line. */
export class Watches {
  readonly #open = new Set<Watch>();
  readonly #bookmarkMs: number;

  /** @param bookmarkMs time between two bookmarks; Kubernetes: about a minute */
  constructor(bookmarkMs: number) {
    this.#bookmarkMs = bookmarkMs;
  }

  get count(): number {
    return this.#open.size;
  }

  /** Responds with a watch. */
  start(response: ServerResponse, options: WatchOptions): void {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' });
    response.flushHeaders();
    const watch = new Watch(response, options, this.#bookmarkMs);
    this.#open.add(watch);
    response.on('close', () => {
      watch.stop();
      this.#open.delete(watch);
    });
  }

  /** Connections stay open and nothing arrives on them any more: what a lost NAT entry or a hung proxy looks like. */
  stall(): void {
    for (const watch of this.#open) watch.stall();
  }

  /** Resets every connection in the middle of a line. */
  reset(): void {
    for (const watch of this.#open) watch.reset();
  }

  /** Ends every response as the server does after `timeoutSeconds`. */
  end(): void {
    for (const watch of this.#open) watch.end();
  }

  /** Writes a line to every watch, whatever it says. */
  write(line: string): void {
    for (const watch of this.#open) watch.line(line);
  }
}

class Watch {
  readonly #response: ServerResponse;
  readonly #bookmark: NodeJS.Timeout | undefined;
  readonly #timeout: NodeJS.Timeout;
  #unsubscribe = (): void => {};
  #stalled = false;

  constructor(response: ServerResponse, options: WatchOptions, bookmarkMs: number) {
    const { store, revision, kind, apiVersion, after, bookmarks, timeoutMs } = options;
    this.#response = response;
    const sendBookmark = () => {
      const metadata = { resourceVersion: String(revision.now), creationTimestamp: null };
      this.line(JSON.stringify({ type: 'BOOKMARK', object: { kind, apiVersion, metadata } }));
    };
    if (bookmarks) this.#bookmark = setInterval(sendBookmark, bookmarkMs);
    this.#timeout = setTimeout(() => {
      if (bookmarks) sendBookmark();
      this.end();
    }, timeoutMs);
    const subscribed = store.watch(after, ({ type, json }) => this.line(`{"type":"${type}","object":${json}}`));
    if (typeof subscribed === 'function') this.#unsubscribe = subscribed;
    else this.#respondStatus(subscribed);
  }

  line(text: string): void {
    if (!this.#stalled) this.#response.write(`${text}\n`);
  }

  stall(): void {
    this.#stalled = true;
  }

  reset(): void {
    this.#response.write('{"type":"MODIFIED","object":{"kind":"P');
    // The half line goes out first.
    setImmediate(() => cut(this.#response.socket));
  }

  end(): void {
    if (!this.#stalled) this.#response.end();
  }

  stop(): void {
    clearInterval(this.#bookmark);
    clearTimeout(this.#timeout);
    this.#unsubscribe();
  }

  /** The watch cache has responded with 200 already when it finds out: the error is an event of the watch. */
  #respondStatus(refusal: StatusError): void {
    this.line(JSON.stringify({ type: 'ERROR', object: statusObject(refusal) }));
    this.#response.end();
  }
}
