import type { ServerResponse } from 'node:http';
import { cut } from './faults.ts';
import { goJson } from './go-json.ts';
import { respondStatus, type StatusError, statusObject } from './status.ts';
import type { Store } from './store.ts';

interface WatchOptions {
  readonly store: Store;
  readonly kind: string;
  readonly apiVersion: string;
  /** Changes after this version. */
  readonly after: number;
  /** What there is comes first, as ADDED: `marked`: and then a bookmark that says so (`sendInitialEvents`). */
  readonly initial: 'none' | 'everything' | 'marked';
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

  /** Keeps a watch of a version that is to come without headers, until its time is over. */
  hold(response: ServerResponse, timeoutMs: number, error: StatusError): void {
    const timer = setTimeout(() => respondStatus(response, error), timeoutMs);
    response.on('close', () => clearTimeout(timer));
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
    const { store, after, initial, bookmarks, timeoutMs } = options;
    this.#response = response;
    const bookmark = (annotations?: object) => this.#bookmarkLine(options, annotations);
    if (bookmarks) this.#bookmark = setInterval(bookmark, bookmarkMs, undefined);
    this.#timeout = setTimeout(() => {
      // One as the end comes near, one at the end.
      for (let left = bookmarks ? 2 : 0; left > 0; left--) bookmark();
      this.end();
    }, timeoutMs);
    if (initial !== 'none') for (const json of store.everything()) this.line(`{"type":"ADDED","object":${json}}`);
    if (initial === 'marked' && bookmarks) bookmark({ 'k8s.io/initial-events-end': 'true' });
    const subscribed = store.watch(after, ({ type, json }) => this.line(`{"type":"${type}","object":${json}}`));
    if (typeof subscribed === 'function') this.#unsubscribe = subscribed;
    else this.#respondStatus(subscribed);
  }

  /** The version is the resource's, also where it is that of the bookmark before. */
  #bookmarkLine({ store, after, kind, apiVersion }: WatchOptions, annotations?: object): void {
    const resourceVersion = String(Math.max(after, store.version));
    const metadata = { resourceVersion, creationTimestamp: null, ...(annotations && { annotations }) };
    this.line(goJson({ type: 'BOOKMARK', object: { kind, apiVersion, metadata } }));
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
    this.line(goJson({ type: 'ERROR', object: statusObject(refusal) }));
    this.#response.end();
  }
}
