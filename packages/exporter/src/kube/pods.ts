import { addressKey } from '@egressd/flow/address';
import { type OwnerSource, type PodRecord, REMEMBER_MS } from '../owners/registry.ts';
import { asMap, asText } from './json.ts';
import type { Follower } from './list-watch.ts';
import { type PodFacts, type Problem, readPod } from './records.ts';

/** Where what is known of pods goes: before the first whole state nowhere. */
export type PodOwners = Pick<OwnerSource, 'upsertPod' | 'endPod'>;

/** Called for each problem, with the object it is of. */
export type OnProblem = (problem: Problem, object: string) => void;

/**
 * Pods, from list and watch into the owners. Of a pod that has an address there is only whether it still runs, by UID:
 *
 *   live       uid -> addresses that it has, as keys
 *   finished   uids of pods that have ended and are still in the API: what they show counts no more
 */
export class PodFollower implements Follower {
  readonly #problem: OnProblem;
  readonly #live = new Map<string, readonly string[]>();
  readonly #finished = new Set<string>();
  /** Address -> the pod that has it. */
  readonly #holders = new Map<string, string>();
  #seen: Set<string> | undefined;
  #owners: PodOwners | undefined;
  /** What was told before there were owners to tell. */
  readonly #early = new Map<string, PodFacts>();

  constructor(problem: OnProblem) {
    this.#problem = problem;
  }

  /** Pods that run, as far as was told before there was anybody to tell. */
  get first(): PodRecord[] {
    return [...this.#early.values()].filter((facts) => !facts.finished).map(({ pod }) => pod);
  }

  /** Tells these from now on. They have `first` already; what finished before goes to them now. */
  tell(owners: PodOwners, nowMs: number): void {
    this.#owners = owners;
    for (const facts of this.#early.values()) if (facts.finished) this.#past(owners, facts, nowMs);
    this.#early.clear();
  }

  listing(): void {
    this.#seen = new Set();
  }

  present(object: unknown, atMs: number): void {
    const facts = readPod(object);
    if (facts === undefined) {
      this.#problem('malformed', nameIn(object));
      return;
    }
    const { pod } = facts;
    this.#seen?.add(pod.key);
    for (const problem of facts.problems) this.#problem(problem, `${pod.namespace}/${pod.name}`);
    // Nothing has moved to or from a pod that has no place yet.
    if (pod.node === '' || this.#finished.has(pod.key)) return;
    if (facts.finished) this.#finish(facts, atMs);
    else this.#runs(facts, atMs);
  }

  gone(object: unknown, atMs: number): void {
    const facts = readPod(object);
    if (facts === undefined) {
      this.#problem('malformed', nameIn(object));
      return;
    }
    // Where its last words say when it ended, that is when its address was free.
    this.#forget(facts.pod.key, Math.min(facts.endedMs ?? atMs, atMs));
  }

  listed(beganMs: number): void {
    const seen = this.#seen ?? new Set();
    this.#seen = undefined;
    for (const key of [...this.#live.keys(), ...this.#finished]) if (!seen.has(key)) this.#forget(key, beganMs);
  }

  #runs(facts: PodFacts, atMs: number): void {
    const { pod } = facts;
    const keys = pod.addresses.map((bytes) => addressKey(bytes));
    const before = this.#live.get(pod.key);
    // Most of what is told of a pod is nothing to us: its place never changes, its addresses hardly ever.
    if (before !== undefined && before.length === keys.length && before.every((key, i) => key === keys[i])) return;
    this.#take(pod, keys);
    if (this.#owners === undefined) this.#early.set(pod.key, facts);
    else if (before === undefined || before.length === 0) this.#owners.upsertPod(pod, atMs);
    // Its network was made anew: the new address was not its own all the time.
    else this.#owners.upsertPod({ ...pod, fromMs: atMs }, atMs);
  }

  #finish(facts: PodFacts, atMs: number): void {
    const { pod, endedMs = atMs } = facts;
    const known = this.#live.has(pod.key);
    this.#release(pod.key);
    this.#finished.add(pod.key);
    if (this.#owners === undefined) this.#early.set(pod.key, facts);
    else if (known) this.#owners.endPod(pod.key, Math.min(endedMs, atMs));
    else this.#past(this.#owners, facts, atMs);
  }

  /** A pod that had ended before we heard of it: what it moved may still be on its way to us. */
  #past(owners: PodOwners, { pod, endedMs }: PodFacts, nowMs: number): void {
    if (endedMs === undefined || endedMs <= nowMs - REMEMBER_MS || pod.fromMs === undefined) return;
    owners.upsertPod(pod, nowMs);
    owners.endPod(pod.key, Math.min(endedMs, nowMs));
  }

  #forget(key: string, atMs: number): void {
    this.#release(key);
    this.#early.delete(key);
    if (!this.#finished.delete(key)) this.#owners?.endPod(key, atMs);
  }

  #take({ key, namespace, name }: PodRecord, addresses: readonly string[]): void {
    this.#release(key);
    for (const address of addresses) {
      if (this.#holders.has(address)) this.#problem('duplicate_address', `${namespace}/${name}`);
      this.#holders.set(address, key);
    }
    this.#live.set(key, addresses);
  }

  #release(key: string): void {
    for (const address of this.#live.get(key) ?? [])
      if (this.#holders.get(address) === key) this.#holders.delete(address);
    this.#live.delete(key);
  }
}

function nameIn(object: unknown): string {
  const { namespace, name } = asMap(asMap(object).metadata);
  return `${asText(namespace)}/${asText(name)}`;
}
