import type { Owner, Ownership, Workload } from './owners.ts';

/** A node as one who has addresses. Zone and region are changed in place: they are corrections, not a new owner. */
export interface NodeHolder {
  readonly kind: 'node';
  readonly name: string;
  zone: string;
  region: string;
  /** What `ownershipOf` made of it last. */
  ownership?: OneOwner;
}

/** A pod as one who has addresses. */
export interface PodHolder {
  readonly kind: 'pod';
  readonly namespace: string;
  readonly name: string;
  readonly workload: Workload | undefined;
  node: NodeHolder;
  ownership?: OneOwner;
}

export type Holder = NodeHolder | PodHolder;
type OneOwner = Extract<Ownership, { known: 'owner' }>;

/** How it is known who has an address: a node's own kernel says so, or inventory or Kubernetes do. */
export type Claim = 'kernel' | 'declared';

/** One time in which somebody had an address. Unix milliseconds. */
export interface Tenure {
  readonly holder: Holder;
  readonly claim: Claim;
  readonly fromMs: number;
  /** Exclusive; Infinity while it lasts. */
  toMs: number;
}

const NOBODY: Ownership = { known: 'nobody' };

/**
 * Who had which address when.
 *
 *   address (addressKey)  ->  tenures, in the order in which they were told
 *   10.1.0.7                  | job-a  09:00 .. 09:40 |  job-b  10:02 .. |
 *   10.1.0.8                  | web-0  always ..      |
 *   192.168.0.1               | node-1 always ..      |  (never a pod, whoever says so)
 *
 * At any moment an address has one holder: a declared node before all; then a pod, the one that came last (a delete that was
 * missed ends there); then the node whose kernel says it has the address, which goes before a pod of that same node. Where
 * that leaves two, nobody knows.
 */
export class Tenures {
  readonly #byAddress = new Map<string, Tenure[]>();

  /** Addresses that somebody has or had. */
  get size(): number {
    return this.#byAddress.size;
  }

  /** The holder has the address from this time on; no change where it has it already. */
  begin(key: string, holder: Holder, claim: Claim, fromMs: number): void {
    const list = this.#byAddress.get(key);
    const tenure = { holder, claim, fromMs, toMs: Number.POSITIVE_INFINITY };
    if (list === undefined) this.#byAddress.set(key, [tenure]);
    else if (!list.some((it) => lasting(it, holder, claim))) list.push(tenure);
  }

  /** The holder has the address no more. */
  end(key: string, holder: Holder, claim: Claim, atMs: number): void {
    const tenure = this.#byAddress.get(key)?.find((it) => lasting(it, holder, claim));
    if (tenure !== undefined) tenure.toMs = Math.max(atMs, tenure.fromMs);
  }

  /** Takes a tenure as it was. */
  restore(key: string, tenure: Tenure): void {
    const list = this.#byAddress.get(key);
    if (list === undefined) this.#byAddress.set(key, [{ ...tenure }]);
    else list.push({ ...tenure });
  }

  /** All tenures, each with its address. */
  *all(): Generator<[string, Tenure]> {
    for (const [key, list] of this.#byAddress) for (const tenure of list) yield [key, tenure];
  }

  /** Drops tenures that ended before this time. `seen` is called with each holder that is kept. */
  forget(beforeMs: number, seen: (holder: Holder) => void): void {
    for (const [key, list] of this.#byAddress) {
      const kept = list.filter((it) => it.toMs > beforeMs);
      if (kept.length === 0) this.#byAddress.delete(key);
      else if (kept.length < list.length) this.#byAddress.set(key, kept);
      for (const tenure of kept) seen(tenure.holder);
    }
  }

  /** Who had the address from `fromMs` to `toMs` (exclusive). For a part of that time is enough, as long as it was one. */
  during(key: string, fromMs: number, toMs: number): Ownership {
    const list = this.#byAddress.get(key);
    if (list === undefined) return NOBODY;
    const end = Math.max(toMs, fromMs + 1);
    const only = list[0]!;
    if (list.length === 1) return only.fromMs < end && fromMs < only.toMs ? ownershipOf(only.holder) : NOBODY;
    const found = new Map<string, OneOwner>();
    for (const moment of moments(list, fromMs, end))
      for (const holder of holdersAt(list, moment)) found.set(nameOf(holder), ownershipOf(holder));
    const [first, ...others] = found.values();
    if (first === undefined) return NOBODY;
    if (others.length === 0) return first;
    return { known: 'several', owners: [first, ...others].map((it) => it.owner) };
  }
}

function lasting(tenure: Tenure, holder: Holder, claim: Claim): boolean {
  return tenure.holder === holder && tenure.claim === claim && tenure.toMs === Number.POSITIVE_INFINITY;
}

/** The start of the time and every moment within it at which something begins or ends: in between nothing changes. */
function moments(list: readonly Tenure[], fromMs: number, endMs: number): number[] {
  const changes = list.flatMap((it) => [it.fromMs, it.toMs]).filter((at) => at > fromMs && at < endMs);
  return [fromMs, ...changes];
}

function holdersAt(list: readonly Tenure[], atMs: number): Holder[] {
  const now = list.filter((it) => it.fromMs <= atMs && atMs < it.toMs);
  const declared = latest(now.filter((it) => it.claim === 'declared' && it.holder.kind === 'node'));
  if (declared.length > 0) return declared;
  const pods = latest(now.filter((it) => it.holder.kind === 'pod'));
  const nodes = now.filter((it) => it.holder.kind === 'node').map((it) => it.holder);
  if (pods.length === 0) return nodes;
  return pods.map((pod) => (pod.kind === 'pod' && nodes.includes(pod.node) ? pod.node : pod));
}

/** Those who came last: more than one only where they came at the same time. */
function latest(tenures: readonly Tenure[]): Holder[] {
  const last = Math.max(...tenures.map((it) => it.fromMs));
  return tenures.filter((it) => it.fromMs === last).map((it) => it.holder);
}

/** A pod that comes back under its name, on its node, is to us the one that it was. */
function nameOf(holder: Holder): string {
  return holder.kind === 'node' ? holder.name : `${holder.namespace}/${holder.name}@${holder.node.name}`;
}

/** The same object as long as nothing about the holder changes. */
function ownershipOf(holder: Holder): OneOwner {
  const node = holder.kind === 'pod' ? holder.node : holder;
  const last = holder.ownership?.owner;
  if (last === undefined || last.node !== node.name || last.zone !== node.zone || last.region !== node.region)
    holder.ownership = { known: 'owner', owner: ownerOf(holder, node) };
  return holder.ownership!;
}

function ownerOf(holder: Holder, { name, zone, region }: NodeHolder): Owner {
  const pod = holder.kind === 'pod' ? { namespace: holder.namespace, pod: holder.name } : { namespace: '', pod: '' };
  const workload = holder.kind === 'pod' && holder.workload !== undefined ? { workload: holder.workload } : {};
  return { kind: holder.kind, ...pod, node: name, zone, region, ...workload };
}
