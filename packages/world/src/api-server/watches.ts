import type { ServerResponse } from 'node:http';
import { cut } from './faults.ts';
import type { Refusal } from './status.ts';
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

/** Watches under way: chunked answers, a JSON object a line. */
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

  /** Answers with a watch. */
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

  /** Connections that are there, on which nothing comes any more: what a lost NAT entry or a hung proxy looks like. */
  silence(): void {
    for (const watch of this.#open) watch.silence();
  }

  /** Resets every connection in the middle of a line. */
  reset(): void {
    for (const watch of this.#open) watch.reset();
  }

  /** Ends every answer as the server does after `timeoutSeconds`. */
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
  #silent = false;

  constructor(response: ServerResponse, options: WatchOptions, bookmarkMs: number) {
    const { store, revision, kind, apiVersion, after, bookmarks, timeoutMs } = options;
    this.#response = response;
    const tell = () => {
      const metadata = { resourceVersion: String(revision.now), creationTimestamp: null };
      this.line(JSON.stringify({ type: 'BOOKMARK', object: { kind, apiVersion, metadata } }));
    };
    if (bookmarks) this.#bookmark = setInterval(tell, bookmarkMs);
    this.#timeout = setTimeout(() => {
      if (bookmarks) tell();
      this.end();
    }, timeoutMs);
    const subscribed = store.watch(after, ({ type, json }) => this.line(`{"type":"${type}","object":${json}}`));
    if (typeof subscribed === 'function') this.#unsubscribe = subscribed;
    else this.#refuse(subscribed);
  }

  line(text: string): void {
    if (!this.#silent) this.#response.write(`${text}\n`);
  }

  silence(): void {
    this.#silent = true;
  }

  reset(): void {
    this.#response.write('{"type":"MODIFIED","object":{"kind":"P');
    // The half line goes out first.
    setImmediate(() => cut(this.#response.socket));
  }

  end(): void {
    if (!this.#silent) this.#response.end();
  }

  stop(): void {
    clearInterval(this.#bookmark);
    clearTimeout(this.#timeout);
    this.#unsubscribe();
  }

  /** The watch cache has said yes already when it finds out: the answer is an event of a watch. */
  #refuse(refusal: Refusal): void {
    this.line(JSON.stringify({ type: 'ERROR', object: statusObject(refusal) }));
    this.#response.end();
  }
}
