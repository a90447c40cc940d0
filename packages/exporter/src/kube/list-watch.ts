import { type BackoffLimits, backoffMs } from '@egressd/daemon/backoff';
import { sleep } from '@egressd/daemon/sleep';
import type { KubeApi } from './api.ts';
import { failureOfResponse, KubeFailure, type ResourceAttributes, toKubeFailure } from './failure.ts';
import { asMap, asText } from './json.ts';
import { linesOf } from './lines.ts';
import { resourceVersionOf } from './object-parts.ts';

/** Objects in a page of a list: a page of pods is some 2 MB of JSON. */
const PAGE_ITEMS = 250;
/** A watch on which not even a bookmark comes (one comes about every minute) is considered dead. */
const WATCH_IDLE_TIMEOUT_MS = 150_000;
/** Of a response that is not a watch: until it begins, and between its parts. */
export const IDLE_TIMEOUT_MS = 30_000;
/** The server is asked to end a watch after a time between these, so that those of all clients do not end at once. */
const WATCH_SECONDS = { min: 240, max: 480 };
/** A watch that ends sooner is followed by a backoff. */
const SHORT_WATCH_MS = 1000;
/** One that lasted so long worked, whatever came: the backoff is reset. A list alone does not show that the watch after it will work. */
const LONG_WATCH_MS = 20_000;

const BACKOFF: BackoffLimits = { minMs: 500, maxMs: 30_000 };

/** Times that tests shorten. */
export interface ListWatchTimes {
  readonly watchIdleTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
  readonly backoff?: BackoffLimits;
  readonly pageItems?: number;
}

/** Where the objects of one resource go. Times are Unix milliseconds. */
export interface ResourceHandler {
  /** A list begins: every object that exists follows by `upsert`, unless the list fails. */
  beginList(): void;
  /** An object exists, or has changed. */
  upsert(object: unknown, atMs: number): void;
  delete(object: unknown, atMs: number): void;
  /** An object has more JSON than is read: it was skipped. */
  tooLarge(): void;
  /** The list is complete: what was not in it is deleted. @param beganMs when it was requested */
  endList(beganMs: number): void;
}

/** Is informed of the work, for log and metrics. */
export interface ListWatchObserver {
  failed(resource: string, failure: KubeFailure, backoffMs: number): void;
  /** The first success after failures. */
  recovered(resource: string): void;
  listed(resource: string, objects: number): void;
  /** @param type of the watch event: ADDED, MODIFIED, DELETED */
  changed(resource: string, type: string): void;
  /** Any watch event has come, also a bookmark. */
  received(resource: string): void;
}

interface ListWatchOptions extends ListWatchTimes {
  readonly api: KubeApi;
  /** Of the core API group: `pods`, `nodes`. */
  readonly resource: string;
  /** Of one object: `Pod`. */
  readonly kind: string;
  readonly handler: ResourceHandler;
  readonly observer: ListWatchObserver;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/**
 * Follows one resource by list and watch, as client-go's reflector does: a list in pages, then a watch from the list's resource version
 * on, with bookmarks. A watch that ends is resumed at the last version seen; where the server no longer has that (410 Gone) there is a
 * new list. Whatever fails is retried, and what is known stays.
 *
 *   list ──> watch ──ends, breaks, times out──> watch ...
 *    ^         └──410──┐
 *    └─────────────────┘
 */
export class ListWatch {
  readonly #options: ListWatchOptions;
  #version = '';
  #failures = 0;
  /** When a version was gone last. */
  #goneMs = Number.NEGATIVE_INFINITY;

  constructor(options: ListWatchOptions) {
    this.#options = options;
  }

  /** Lists until it has succeeded once. Resolves too when the signal is aborted. */
  async list(): Promise<void> {
    await this.#list();
    if (!this.#options.signal.aborted) this.#succeeded();
  }

  /** Watches from the end of the list on, until the signal is aborted. */
  async watch(): Promise<void> {
    const { signal, now } = this.#options;
    while (!signal.aborted) {
      const beganMs = now();
      try {
        await this.#watchOnce();
      } catch (error) {
        if (now() - beganMs >= LONG_WATCH_MS) this.#succeeded();
        await this.#resumeAfter(error);
      }
    }
  }

  /** A watch has failed. Where its version is gone there is a new list, at once unless that has just been so. */
  async #resumeAfter(error: unknown): Promise<void> {
    const { now, signal } = this.#options;
    const isGone = error instanceof KubeFailure && error.reason === 'gone';
    const again = now() - this.#goneMs < LONG_WATCH_MS;
    if (isGone) this.#goneMs = now();
    if (!isGone || again) await this.#failed(error);
    else this.#options.observer.failed(this.#options.resource, error, 0);
    const isIdle = error instanceof KubeFailure && error.reason === 'timeout';
    if (!signal.aborted && (isGone || (isIdle && (await this.#isRestored())))) await this.#list();
  }

  /** A watch on which nothing comes may wait for a version that is to come again: etcd was restored to an older one. */
  async #isRestored(): Promise<boolean> {
    try {
      const { version } = await this.#page('', () => {}, 1);
      return /^\d+$/.test(version) && /^\d+$/.test(this.#version) && BigInt(version) < BigInt(this.#version);
    } catch {
      return false; // The next watch says what is wrong.
    }
  }

  async #list(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      try {
        return await this.#listOnce();
      } catch (error) {
        await this.#failed(error);
      }
    }
  }

  /** Reports a failure, and waits for the backoff. */
  async #failed(error: unknown): Promise<void> {
    const { signal, resource, observer, backoff = BACKOFF } = this.#options;
    if (signal.aborted) return;
    const failure = toKubeFailure(error);
    const ms = backoffMs(++this.#failures, backoff, { askedMs: failure.retryAfterMs });
    observer.failed(resource, failure, ms);
    await sleep(ms, signal);
  }

  async #listOnce(): Promise<void> {
    const { handler, observer, resource, now } = this.#options;
    const beganMs = now();
    handler.beginList();
    let objects = 0;
    let page = { version: '', continue: '' };
    do {
      page = await this.#page(page.continue, (item) => {
        objects++;
        handler.upsert(item, beganMs);
      });
    } while (page.continue !== '');
    this.#version = page.version;
    handler.endList(beganMs);
    observer.listed(resource, objects);
  }

  async #page(
    token: string,
    onItem: (item: unknown) => void,
    pageItems = this.#options.pageItems ?? PAGE_ITEMS,
  ): Promise<{ version: string; continue: string }> {
    const { api, resource, kind, handler, signal, idleTimeoutMs = IDLE_TIMEOUT_MS } = this.#options;
    const attributes: ResourceAttributes = { verb: 'list', resource };
    // Without a resource version: with `0` the server would answer from its cache, all in one page.
    const query = { limit: String(pageItems), ...(token === '' ? {} : { continue: token }) };
    const request = { attributes, path: `/api/v1/${resource}`, query, idleTimeoutMs, signal };
    const body = asMap(await api.list(request, onItem, () => handler.tooLarge()));
    const version = resourceVersionOf(body);
    if (body.kind !== `${kind}List` || version === '') {
      const found = asText(body.kind) || 'something else';
      throw new KubeFailure('unexpected', `expected a list of ${resource}, the API server answered with ${found}`);
    }
    return { version, continue: asText(asMap(body.metadata).continue) };
  }

  async #watchOnce(): Promise<void> {
    const { api, resource, now, signal, watchIdleTimeoutMs: idleTimeoutMs = WATCH_IDLE_TIMEOUT_MS } = this.#options;
    const seconds = WATCH_SECONDS.min + Math.floor(Math.random() * (WATCH_SECONDS.max - WATCH_SECONDS.min));
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: this.#version,
      timeoutSeconds: String(seconds),
    };
    const beganMs = now();
    const attributes: ResourceAttributes = { verb: 'watch', resource };
    const response = api.stream({ attributes, path: `/api/v1/${resource}`, query, idleTimeoutMs, signal });
    for await (const line of linesOf(response))
      if (line === undefined) this.#options.handler.tooLarge();
      else this.#event(attributes, line);
    if (now() - beganMs < SHORT_WATCH_MS)
      throw new KubeFailure('unexpected', `the API server ended a watch of ${resource} as soon as it began`);
    this.#succeeded();
  }

  #event(attributes: ResourceAttributes, line: string): void {
    const { handler, observer, resource, now } = this.#options;
    const { type, object } = parseEvent(line);
    if (type === 'ERROR')
      throw failureOfResponse(attributes, Number(asMap(object).code), JSON.stringify(object), undefined);
    if (type === 'ADDED' || type === 'MODIFIED') handler.upsert(object, now());
    else if (type === 'DELETED') handler.delete(object, now());
    else if (type !== 'BOOKMARK')
      throw new KubeFailure('unexpected', `a watch event has the type ${JSON.stringify(type)}`);
    const version = resourceVersionOf(object);
    if (version !== '') this.#version = version;
    this.#succeeded();
    observer.received(resource);
    if (type !== 'BOOKMARK') observer.changed(resource, type);
  }

  #succeeded(): void {
    if (this.#failures > 0) this.#options.observer.recovered(this.#options.resource);
    this.#failures = 0;
  }
}

function parseEvent(line: string): { type: string; object: unknown } {
  try {
    const { type, object } = asMap(JSON.parse(line));
    return { type: asText(type), object };
  } catch {
    throw new KubeFailure('unexpected', `a line of a watch is not JSON: ${JSON.stringify(line.slice(0, 60))}`);
  }
}
