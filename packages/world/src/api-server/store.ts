import { goJson } from './go-json.ts';
import { badRequest, continueExpired, resourceVersionTooOld, type StatusError } from './status.ts';

/** An object as it is stored: what Kubernetes calls metadata is there, the rest is the object's own. */
export interface ApiObject {
  readonly metadata: { readonly name: string; readonly namespace?: string } & Record<string, unknown>;
  readonly [key: string]: unknown;
}

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** One change, as a watch sends it. */
interface WatchEvent {
  readonly version: number;
  readonly type: EventType;
  /** The object as JSON, with its `resourceVersion`. */
  readonly json: string;
}

/** A page of a list: objects as JSON. */
interface Page {
  readonly items: readonly string[];
  readonly version: number;
  readonly continue: string;
  /** Items after this page. */
  readonly remaining: number;
}

/** A version that all resources of one server share, as etcd's revision is. */
export class Revision {
  #now = 1;

  get now(): number {
    return this.#now;
  }

  next(): number {
    return ++this.#now;
  }
}

interface Version {
  readonly version: number;
  /** undefined: deleted. */
  readonly json: string | undefined;
}

/**
 * One resource with its history, as etcd and the API server's watch cache keep it:
 *
 *   objects   namespace/name -> versions, oldest first: lists go on at the version at which they began
 *   changes   in order, in memory: a watch starts anywhere after the server's last start
 */
export class Store {
  readonly #revision: Revision;
  readonly #objects = new Map<string, Version[]>();
  #changes: WatchEvent[] = [];
  /** Lists of older versions are gone. */
  #compacted = 0;
  /** Watches from older versions are gone. */
  #cachedFrom = 0;
  readonly #listeners = new Set<(change: WatchEvent) => void>();

  constructor(revision: Revision) {
    this.#revision = revision;
  }

  /** Adds or replaces. */
  put(object: ApiObject): void {
    const key = keyOf(object.metadata);
    const known = this.#objects.get(key)?.at(-1)?.json !== undefined;
    this.#record(key, known ? 'MODIFIED' : 'ADDED', object);
  }

  /** The newest, as JSON; undefined: there is none. */
  get(name: string, namespace?: string): string | undefined {
    return this.#objects.get(keyOf(namespace === undefined ? { name } : { name, namespace }))?.at(-1)?.json;
  }

  /** @returns whether it was there */
  delete(name: string, namespace?: string): boolean {
    const key = keyOf(namespace === undefined ? { name } : { name, namespace });
    const json = this.#objects.get(key)?.at(-1)?.json;
    if (json === undefined) return false;
    this.#record(key, 'DELETED', JSON.parse(json) as ApiObject);
    return true;
  }

  /** Compacts as etcd does: lists under way get 410. Watches are served from memory. */
  compact(): void {
    this.#compacted = this.#revision.now;
    for (const [key, versions] of this.#objects) {
      const last = versions.at(-1)!;
      if (last.json === undefined) this.#objects.delete(key);
      else this.#objects.set(key, [last]);
    }
  }

  /** A server that starts has only what is there now: watches from older versions get 410. */
  forgetChanges(): void {
    this.#cachedFrom = this.#revision.now;
    this.#changes = [];
  }

  /** The newest version of any object, as far as this resource goes. */
  get version(): number {
    return this.#changes.at(-1)?.version ?? this.#cachedFrom;
  }

  /** One page, in the order of namespace and name. @param token of the page before */
  list(limit: number, token: string): Page | StatusError {
    const from = token === '' ? { version: this.#revision.now, after: '' } : readToken(token);
    if (from === undefined) return badRequest('continue key is not valid: illegal base64 data');
    // An inconsistent token has no version: it goes on with what is there now.
    const version = from.version === 0 ? this.#revision.now : from.version;
    if (version < this.#compacted) return continueExpired(writeToken(0, from.after));
    const keys = [...this.#objects.keys()].filter((key) => key > from.after).sort();
    const items: string[] = [];
    let last = '';
    let remaining = 0;
    for (const key of keys) {
      const json = this.#objects.get(key)!.findLast((it) => it.version <= version)?.json;
      if (json === undefined) continue;
      if (limit > 0 && items.length === limit) {
        remaining++;
      } else {
        items.push(json);
        last = key;
      }
    }
    return { items, version, remaining, continue: remaining > 0 ? writeToken(version, last) : '' };
  }

  /** All objects that there are, as JSON. */
  everything(): readonly string[] {
    return [...this.#objects.values()].flatMap((versions) => versions.at(-1)?.json ?? []);
  }

  /** Changes after a version, then every new one until the returned function is called. */
  watch(after: number, listener: (change: WatchEvent) => void): (() => void) | StatusError {
    if (after < this.#cachedFrom) return resourceVersionTooOld(after, this.#cachedFrom);
    for (const change of this.#changes) if (change.version > after) listener(change);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #record(key: string, type: EventType, object: ApiObject): void {
    const version = this.#revision.next();
    const json = goJson({ ...object, metadata: { ...object.metadata, resourceVersion: String(version) } });
    const change = { version, type, json };
    const versions = this.#objects.get(key) ?? [];
    versions.push({ version, json: type === 'DELETED' ? undefined : json });
    this.#objects.set(key, versions);
    this.#changes.push(change);
    for (const listener of this.#listeners) listener(change);
  }
}

function keyOf({ name, namespace = '' }: { readonly name: string; readonly namespace?: string }): string {
  return `${namespace}/${name}`;
}

function writeToken(version: number, after: string): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: version, start: after })).toString('base64url');
}

function readToken(token: string): { version: number; after: string } | undefined {
  try {
    const { rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    return { version: Number(rv), after: String(start) };
  } catch {
    return undefined;
  }
}
