import { addressKey } from '@egressd/flow/address';
import type { NodeClocks } from '../clock/node-clocks.ts';
import type { OwnerSource, PodRecord } from '../owners/owner-source.ts';
import { EVICT_AFTER_MS } from '../owners/registry.ts';
import { asMap, asText } from './json.ts';
import type { ResourceHandler } from './list-watch.ts';
import { podInOurTime } from './node-time.ts';
import { type PodFacts, readPod } from './pod-record.ts';
import type { OnProblem } from './problems.ts';

/** Where pods go, once they are synced. */
type PodOwners = Pick<OwnerSource, 'upsertPod' | 'endPod'>;

interface RunningPod {
  readonly keys: readonly string[];
  readonly running: boolean | undefined;
}

/**
 * Pods, from list and watch to the owners. The only state of a pod that has a node is whether it still runs, by UID:
 *
 *   running    uid -> its addresses, as keys, and whether its deletion has not begun
 *   finished   uids of pods that have ended and are still in the API: further changes of them are ignored
 */
export class PodHandler implements ResourceHandler {
  readonly #onProblem: OnProblem;
  readonly #aheadOf: NodeClocks['aheadOf'];
  readonly #running = new Map<string, RunningPod>();
  readonly #finished = new Set<string>();
  /** Address -> UID of the pod that has it. */
  readonly #podOf = new Map<string, string>();
  /** UIDs in the list that is being read. */
  #listed: Set<string> | undefined;
  #owners: PodOwners | undefined;
  /** What came before `attach`. */
  readonly #unattached = new Map<string, PodFacts>();

  /** @param aheadOf what is known of the clocks of the kubelets, which write a pod's times */
  constructor(onProblem: OnProblem, aheadOf: NodeClocks['aheadOf'] = () => undefined) {
    this.#onProblem = onProblem;
    this.#aheadOf = aheadOf;
  }

  /** Running pods, before `attach`. */
  get records(): PodRecord[] {
    return [...this.#unattached.values()].filter((facts) => !facts.finished).map(({ pod }) => pod);
  }

  /** Changes go to these owners from now on. They have `records` already; pods that had finished go to them now. */
  attach(owners: PodOwners, nowMs: number): void {
    this.#owners = owners;
    for (const facts of this.#unattached.values()) if (facts.finished) this.#addFinished(owners, facts, nowMs);
    this.#unattached.clear();
  }

  beginList(): void {
    this.#listed = new Set();
  }

  upsert(object: unknown, atMs: number): void {
    const facts = this.#read(object);
    if (facts === undefined) {
      this.#onProblem('malformed', nameIn(object));
      return;
    }
    const { pod } = facts;
    this.#listed?.add(pod.key);
    for (const problem of facts.problems) this.#onProblem(problem, `${pod.namespace}/${pod.name}`);
    // A pod that is not scheduled has no traffic.
    if (pod.node === '' || this.#finished.has(pod.key)) return;
    if (facts.finished) this.#finish(facts, atMs);
    else this.#run(facts, atMs);
  }

  delete(object: unknown, atMs: number): void {
    const facts = this.#read(object);
    if (facts === undefined) {
      this.#onProblem('malformed', nameIn(object));
      return;
    }
    // Where its last status has the end of its containers, its address was free from then on.
    this.#delete(facts.pod.key, Math.min(facts.endedMs ?? atMs, atMs));
  }

  tooLarge(): void {
    this.#onProblem('too_large', 'a pod');
  }

  endList(beganMs: number): void {
    const listed = this.#listed ?? new Set();
    this.#listed = undefined;
    for (const key of [...this.#running.keys(), ...this.#finished]) if (!listed.has(key)) this.#delete(key, beganMs);
  }

  #read(object: unknown): PodFacts | undefined {
    const facts = readPod(object);
    return facts && podInOurTime(facts, this.#aheadOf(facts.pod.node));
  }

  #run(facts: PodFacts, atMs: number): void {
    const { pod } = facts;
    const keys = pod.addresses.map((bytes) => addressKey(bytes));
    const before = this.#running.get(pod.key);
    // Most updates of a pod are of no interest here: its node never changes, its addresses hardly ever.
    const same = before?.keys.length === keys.length && before.keys.every((key, i) => key === keys[i]);
    if (same && before.running === pod.running) return;
    if (!same) this.#releaseAddresses(pod.key);
    if (!same) this.#takeAddresses(pod, keys);
    this.#running.set(pod.key, { keys, running: pod.running });
    if (this.#owners === undefined) this.#unattached.set(pod.key, facts);
    else if (same || before === undefined || before.keys.length === 0) this.#owners.upsertPod(pod, atMs);
    // Its sandbox was made anew: the new address was not its own all the time.
    else this.#owners.upsertPod({ ...pod, fromMs: atMs, byNodeClock: false }, atMs);
  }

  #finish(facts: PodFacts, atMs: number): void {
    const { pod, endedMs = atMs } = facts;
    const known = this.#running.has(pod.key);
    this.#releaseAddresses(pod.key);
    this.#finished.add(pod.key);
    if (this.#owners === undefined) this.#unattached.set(pod.key, facts);
    else if (known) this.#owners.endPod(pod.key, Math.min(endedMs, atMs));
    else this.#addFinished(this.#owners, facts, atMs);
  }

  /** A pod that had ended before it was first seen: batches with its traffic may still come. */
  #addFinished(owners: PodOwners, { pod, endedMs }: PodFacts, nowMs: number): void {
    if (endedMs === undefined || endedMs <= nowMs - EVICT_AFTER_MS || pod.fromMs === undefined) return;
    owners.upsertPod(pod, nowMs);
    owners.endPod(pod.key, Math.min(endedMs, nowMs));
  }

  #delete(key: string, atMs: number): void {
    this.#releaseAddresses(key);
    this.#unattached.delete(key);
    if (!this.#finished.delete(key)) this.#owners?.endPod(key, atMs);
  }

  #takeAddresses({ key, namespace, name }: PodRecord, addresses: readonly string[]): void {
    for (const address of addresses) {
      if (this.#podOf.has(address)) this.#onProblem('duplicate_address', `${namespace}/${name}`);
      this.#podOf.set(address, key);
    }
  }

  #releaseAddresses(key: string): void {
    for (const address of this.#running.get(key)?.keys ?? [])
      if (this.#podOf.get(address) === key) this.#podOf.delete(address);
    this.#running.delete(key);
  }
}

function nameIn(object: unknown): string {
  const { namespace, name } = asMap(asMap(object).metadata);
  return `${asText(namespace)}/${asText(name)}`;
}
