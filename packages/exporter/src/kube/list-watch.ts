import { type BackoffLimits, backoffMs } from '@egressd/daemon/backoff';
import { sleep } from '@egressd/daemon/sleep';
import type { KubeApi } from './api.ts';
import { type Asked, failureFrom, failureOf, KubeFailure } from './failure.ts';
import { asMap, asText } from './json.ts';
import { linesOf } from './lines.ts';
import { versionOf } from './records.ts';

/** Objects in a page of a list: a page of pods is some 2 MB of JSON. */
export const PAGE_ITEMS = 250;
/** A watch on which not even a bookmark comes (they come about every minute) is taken for dead. */
export const SILENCE_MS = 150_000;
/** An answer that is not a watch begins and goes on within this. */
export const ANSWER_MS = 30_000;
/** The server is asked to end a watch after a time between these, so that those of all clients do not end at once. */
const WATCH_SECONDS = { min: 240, max: 480 };
/** A watch that ends sooner is followed by a pause. */
const SHORT_WATCH_MS = 1000;
/** One that lasted so long worked, whatever came: the backoff begins anew. A list alone does not show that the watch after it will. */
const LONG_WATCH_MS = 20_000;

const BACKOFF: BackoffLimits = { minMs: 500, maxMs: 30_000 };

/** Times that tests shorten. */
export interface ListWatchTimes {
  readonly silenceMs?: number;
  readonly answerMs?: number;
  readonly backoff?: BackoffLimits;
  readonly pageItems?: number;
}

/** What is done with what a list and the watch after it tell of one resource. Times are Unix milliseconds. */
export interface Follower {
  /** A list begins: all that there is comes as `present`, unless it is broken off. */
  listing(): void;
  /** An object is there, or has changed. */
  present(object: unknown, atMs: number): void;
  gone(object: unknown, atMs: number): void;
  /** The list is whole: what was not in it is gone. @param beganMs when it was asked for */
  listed(beganMs: number): void;
}

/** What is told of the work, for log and metrics. */
export interface ListWatchReport {
  failed(resource: string, failure: KubeFailure, backoffMs: number): void;
  /** It goes on after failures. */
  recovered(resource: string): void;
  listed(resource: string, objects: number): void;
  changed(resource: string, type: string): void;
  /** The server has said something: a change or a bookmark. */
  heard(resource: string): void;
}

export interface ListWatchOptions extends ListWatchTimes {
  readonly api: KubeApi;
  /** Of the core API group: `pods`, `nodes`. */
  readonly resource: string;
  /** Of one object: `Pod`. */
  readonly kind: string;
  readonly follower: Follower;
  readonly report: ListWatchReport;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/**
 * Follows one resource as Kubernetes wants it: a list in pages, then a watch from the list's version on, with bookmarks. A watch that
 * ends goes on at the last version that was seen; where the server no longer has that (410) there is a new list. Whatever fails is
 * tried again, and what is known stays.
 *
 *   list ──> watch ──ends, breaks, is silent──> watch ...
 *    ^         └──410──┐
 *    └─────────────────┘
 */
export class ListWatch {
  readonly #options: ListWatchOptions;
  #version = '';
  #failures = 0;

  constructor(options: ListWatchOptions) {
    this.#options = options;
  }

  /** Lists until it has succeeded once. Resolves too when the signal is aborted. */
  async list(): Promise<void> {
    await this.#list();
    this.#works();
  }

  /** Watches from where the list ended, until the signal is aborted. */
  async follow(): Promise<void> {
    const { signal, now } = this.#options;
    while (!signal.aborted) {
      const beganMs = now();
      try {
        await this.#watchOnce();
      } catch (error) {
        if (now() - beganMs >= LONG_WATCH_MS) this.#works();
        await this.#failed(error);
        if (error instanceof KubeFailure && error.reason === 'gone') await this.#list();
      }
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

  /** Tells of it, and waits. */
  async #failed(error: unknown): Promise<void> {
    const { signal, resource, report, backoff = BACKOFF } = this.#options;
    if (signal.aborted) return;
    const failure = failureFrom(error);
    const ms = backoffMs(++this.#failures, backoff, { askedMs: failure.retryAfterMs });
    report.failed(resource, failure, ms);
    await sleep(ms, signal);
  }

  async #listOnce(): Promise<void> {
    const { follower, report, resource, now } = this.#options;
    const beganMs = now();
    follower.listing();
    let objects = 0;
    let page = { version: '', continue: '' };
    do {
      page = await this.#page(page.continue, (item) => {
        objects++;
        follower.present(item, beganMs);
      });
    } while (page.continue !== '');
    this.#version = page.version;
    follower.listed(beganMs);
    report.listed(resource, objects);
  }

  async #page(token: string, onItem: (item: unknown) => void): Promise<{ version: string; continue: string }> {
    const { api, resource, kind, signal, answerMs = ANSWER_MS, pageItems = PAGE_ITEMS } = this.#options;
    const asked: Asked = { verb: 'list', resource };
    // Without a version: with `0` the server would answer from its cache, all in one page.
    const query = { limit: String(pageItems), ...(token === '' ? {} : { continue: token }) };
    const call = { asked, path: `/api/v1/${resource}`, query, silenceMs: answerMs, signal };
    const body = asMap(await api.list(call, onItem));
    const version = versionOf(body);
    if (body.kind !== `${kind}List` || version === '') {
      const found = asText(body.kind) || 'something else';
      throw new KubeFailure('unexpected', `a list of ${resource} was asked for, the API server answers with ${found}`);
    }
    return { version, continue: asText(asMap(body.metadata).continue) };
  }

  async #watchOnce(): Promise<void> {
    const { api, resource, now, signal, silenceMs = SILENCE_MS } = this.#options;
    const seconds = WATCH_SECONDS.min + Math.floor(Math.random() * (WATCH_SECONDS.max - WATCH_SECONDS.min));
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: this.#version,
      timeoutSeconds: String(seconds),
    };
    const beganMs = now();
    const asked: Asked = { verb: 'watch', resource };
    const answer = api.stream({ asked, path: `/api/v1/${resource}`, query, silenceMs, signal });
    for await (const line of linesOf(answer)) this.#take(asked, line);
    if (now() - beganMs < SHORT_WATCH_MS)
      throw new KubeFailure('unexpected', `the API server ends a watch of ${resource} as soon as it has begun`);
    this.#works();
  }

  #take(asked: Asked, line: string): void {
    const { follower, report, resource, now } = this.#options;
    const { type, object } = readLine(line);
    if (type === 'ERROR') throw failureOf(asked, Number(asMap(object).code), JSON.stringify(object), undefined);
    if (type === 'ADDED' || type === 'MODIFIED') follower.present(object, now());
    else if (type === 'DELETED') follower.gone(object, now());
    else if (type !== 'BOOKMARK') throw new KubeFailure('unexpected', `a watch tells of ${JSON.stringify(type)}`);
    const version = versionOf(object);
    if (version !== '') this.#version = version;
    this.#works();
    report.heard(resource);
    if (type !== 'BOOKMARK') report.changed(resource, type);
  }

  #works(): void {
    if (this.#failures > 0) this.#options.report.recovered(this.#options.resource);
    this.#failures = 0;
  }
}

function readLine(line: string): { type: string; object: unknown } {
  try {
    const { type, object } = asMap(JSON.parse(line));
    return { type: asText(type), object };
  } catch {
    throw new KubeFailure('unexpected', `a line of a watch is not JSON: ${JSON.stringify(line.slice(0, 60))}`);
  }
}
