import { Bug } from '@egressd/flow/bug';
import type { EndOwner, Endpoint } from '../enrich/endpoint.ts';
import { formatKey, type LabelledEnd } from './labels.ts';

/** No endpoint: ids start at 1. */
export const NO_ENDPOINT = 0;

interface Entry extends LabelledEnd {
  readonly id: number;
  /** Series that have it as an end: its reference count. */
  uses: number;
  /** Another one with the same address. */
  next: Entry | undefined;
}

/**
 * Endpoints as small integers, each once while it is used, counted by reference.
 *
 *   byKey    address -> the endpoints with that address, chained: one, or more while labels of its owner change
 *   entries  id -> endpoint, address as text, number of series that use it
 *   free     ids to be reused
 */
export class Endpoints {
  readonly #byKey = new Map<string, Entry>();
  readonly #entries: (Entry | undefined)[] = [undefined];
  readonly #free: number[] = [];

  /** Endpoints that are known now. */
  get size(): number {
    return this.#entries.length - 1 - this.#free.length;
  }

  /** The id of an endpoint, the same as long as it is used. One that is not passed to `retain` must be passed to `evictUnused`. */
  idOf(end: Endpoint): number {
    const first = this.#byKey.get(end.key);
    for (let it = first; it !== undefined; it = it.next) if (same(it.end, end)) return it.id;
    const entry = { id: this.#free.pop() ?? this.#entries.length, end, ip: formatKey(end.key), uses: 0, next: first };
    this.#entries[entry.id] = entry;
    this.#byKey.set(end.key, entry);
    return entry.id;
  }

  /** All endpoints, and by id the place of each in that list, counted from 1. */
  list(): { readonly ends: readonly Endpoint[]; readonly places: Uint32Array } {
    const places = new Uint32Array(this.#entries.length);
    const ends: Endpoint[] = [];
    for (const [id, entry] of this.#entries.entries()) if (entry !== undefined) places[id] = ends.push(entry.end);
    return { ends, places };
  }

  get(id: number): LabelledEnd {
    return this.#entry(id);
  }

  /** One more series has it as an end. */
  retain(id: number): void {
    this.#entry(id).uses++;
  }

  /** One series less has it as an end: without any it is evicted. */
  release(id: number): void {
    this.#entry(id).uses--;
    this.evictUnused(id);
  }

  /** Evicts it, unless a series uses it. */
  evictUnused(id: number): void {
    const entry = this.#entry(id);
    if (entry.uses > 0) return;
    this.#unchain(entry);
    this.#entries[id] = undefined;
    this.#free.push(id);
  }

  #unchain(entry: Entry): void {
    const { key } = entry.end;
    const first = this.#byKey.get(key);
    if (first !== entry) {
      let before = first;
      while (before !== undefined && before.next !== entry) before = before.next;
      if (before !== undefined) before.next = entry.next;
    } else if (entry.next === undefined) this.#byKey.delete(key);
    else this.#byKey.set(key, entry.next);
  }

  #entry(id: number): Entry {
    const entry = this.#entries[id];
    if (entry === undefined) throw new Bug(`no endpoint has the id ${id}`);
    return entry;
  }
}

function same(a: Endpoint, b: Endpoint): boolean {
  if (a.place !== b.place) return false;
  const [left, right] = [a.owner, b.owner];
  if (left === right) return true;
  const who = left.pod === right.pod && left.namespace === right.namespace && left.node === right.node;
  const where = left.zone === right.zone && left.region === right.region;
  return who && where && sameWorkload(left.workload, right.workload) && sameNetwork(left.network, right.network);
}

/** After a reload a network may be another object. */
function sameNetwork(a: EndOwner['network'], b: EndOwner['network']): boolean {
  return a === b || (a?.name === b?.name && a?.kind === b?.kind && a?.service === b?.service);
}

function sameWorkload(a: EndOwner['workload'], b: EndOwner['workload']): boolean {
  return a === b || (a?.kind === b?.kind && a?.name === b?.name);
}
