import type { Owner, Ownership, Workload } from './owners.ts';

/** A node as one who has addresses. Zone and region are changed in place: they are corrections, not a new owner. */
export interface NodeOwner {
  readonly kind: 'node';
  readonly name: string;
  zone: string;
  region: string;
  /** What `ownershipOf` made of it last. */
  ownership?: OneOwner;
}

/** A pod as one who has addresses. */
export interface PodOwner {
  readonly kind: 'pod';
  readonly namespace: string;
  readonly name: string;
  readonly workload: Workload | undefined;
  node: NodeOwner;
  /** As long as this holds, a pod of another node that is said to have its address does not take it over. */
  running?: boolean;
  ownership?: OneOwner;
}

export type IpOwner = NodeOwner | PodOwner;
type OneOwner = Extract<Ownership, { known: 'owner' }>;

/** How it is known who has an address: from the node's own kernel, or from the inventory or Kubernetes. */
export type Evidence = 'kernel' | 'declared';

/** One span in which an owner had an address. Unix milliseconds. */
export interface OwnershipSpan {
  readonly ipOwner: IpOwner;
  readonly evidence: Evidence;
  fromMs: number;
  /** Exclusive; Infinity while it lasts. */
  toMs: number;
  /** The begin by the clock of the pod's node, which was not known when it was reported; undefined: known, or it does not matter. */
  byNodeMs?: number | undefined;
  /** What a process before had measured: the begin, or both. */
  readonly restored?: 'begin' | 'both';
  /** Of a kernel's evidence: it counts in what other nodes report too (`believedClaims`). */
  believed?: boolean;
}

/**
 * The end of a pod is known to be no later than this after its true end, and the begin of the next no earlier before its true one:
 * Kubernetes writes both in whole seconds, and an end of them counts up to the next second.
 */
export const ROUNDING_MS = 2000;
/** Spans of an address: with one more, the oldest that has ended is dropped. Pods that follow each other within seconds have fewer in an hour. */
export const MAX_SPANS = 256;

const NO_OWNER: Ownership = { known: 'none' };

/**
 * Which IP address had which owner, and when.
 *
 *   address (addressKey)  ->  spans, in the order in which they were reported
 *   10.1.0.7                  | job-a  09:00 .. 09:40 |  job-b  10:02 .. |
 *   10.1.0.8                  | web-0  always ..      |
 *   192.168.0.1               | node-1 always ..      |  (never a pod, whatever the source)
 *
 * At any moment an address has one ipOwner: a declared node before all; then a pod, the one that came last (a delete that was
 * missed ends there; where two overlap by no more than times are rounded, both; and both where one runs still, on another node); then the node whose kernel says it has the address, which goes before a pod of that same node. Where
 * that leaves two, both are in the answer (`several`).
 */
export class IpHistory {
  readonly #byAddress = new Map<string, OwnershipSpan[]>();
  /** Past spans that were dropped since the registry last counted them: an address had more than `MAX_SPANS`. */
  dropped = 0;

  /** Addresses that have or had an owner. */
  get size(): number {
    return this.#byAddress.size;
  }

  /**
   * The ipOwner has the address from this time on; no change where it has it already.
   * @param byNodeMs the same by the clock of a node that is not known yet: see `settle`
   */
  begin(key: string, ipOwner: IpOwner, evidence: Evidence, fromMs: number, byNodeMs?: number): void {
    const list = this.#byAddress.get(key);
    const span = { ipOwner, evidence, fromMs, toMs: Number.POSITIVE_INFINITY, byNodeMs };
    if (list === undefined) this.#byAddress.set(key, [span]);
    else if (indexOfLasting(list, ipOwner, evidence) === -1) this.#append(list, span);
  }

  /** The ipOwner has the address no more. */
  end(key: string, ipOwner: IpOwner, evidence: Evidence, atMs: number): void {
    const list = this.#byAddress.get(key) ?? [];
    const span = list[indexOfLasting(list, ipOwner, evidence)];
    if (span !== undefined) span.toMs = Math.max(atMs, span.fromMs);
  }

  /** Whether others believe what the node's kernel says of an address that it has now. */
  believe(key: string, node: NodeOwner, believed: boolean): void {
    const list = this.#byAddress.get(key) ?? [];
    const span = list[indexOfLasting(list, node, 'kernel')];
    if (span !== undefined) span.believed = believed;
  }

  /** Takes a span as it was. */
  restore(key: string, span: OwnershipSpan): void {
    const list = this.#byAddress.get(key);
    if (list === undefined) this.#byAddress.set(key, [{ ...span }]);
    else this.#append(list, { ...span });
  }

  /** A node's clock is known now, and so is when pods on it began. */
  settle(node: string, aheadMs: number): void {
    for (const [, span] of this.all()) {
      const { ipOwner, byNodeMs } = span;
      if (byNodeMs === undefined || ipOwner.kind !== 'pod' || ipOwner.node.name !== node) continue;
      span.fromMs = Math.min(byNodeMs - aheadMs, span.toMs);
      span.byNodeMs = undefined;
    }
  }

  /**
   * Our clock was set: times move along.
   * @param learned it had been off all the time: what a process before had measured is right, and so is what other clocks said
   */
  shift(byMs: number, learned: boolean): void {
    for (const [, span] of this.all()) {
      const { restored, byNodeMs } = span;
      if (!learned || restored === undefined) span.fromMs = (learned ? byNodeMs : undefined) ?? span.fromMs + byMs;
      if (!learned || restored !== 'both') span.toMs = Math.max(span.toMs + byMs, span.fromMs);
    }
  }

  /** All spans, each with its address. */
  *all(): Generator<[string, OwnershipSpan]> {
    for (const [key, list] of this.#byAddress) for (const span of list) yield [key, span];
  }

  /** Drops spans that ended before this time. `seen` is called with each ipOwner that is kept. */
  evict(beforeMs: number, seen: (ipOwner: IpOwner) => void): void {
    for (const [key, list] of this.#byAddress) {
      const kept = list.filter((it) => it.toMs > beforeMs);
      if (kept.length === 0) this.#byAddress.delete(key);
      else if (kept.length < list.length) this.#byAddress.set(key, kept);
      for (const span of kept) seen(span.ipOwner);
    }
  }

  /** The one pod of a node that had the address from `fromMs` to `toMs`, in all of this time. */
  podOn(node: string, key: string, fromMs: number, toMs: number): Owner | undefined {
    const pods = (this.#byAddress.get(key) ?? []).filter(
      ({ ipOwner, fromMs: begin, toMs: end }) =>
        ipOwner.kind === 'pod' && ipOwner.node.name === node && begin < toMs && fromMs < end,
    );
    const [only, another] = pods;
    if (only === undefined || another !== undefined || only.fromMs > fromMs || toMs > only.toMs) return undefined;
    return ownershipOf(only.ipOwner).owner;
  }

  /** The owner whom inventory or Kubernetes declare for the address at this time: a node before a pod. */
  declaredOwner(key: string, atMs: number): Owner | undefined {
    const now = (this.#byAddress.get(key) ?? []).filter(
      ({ evidence, fromMs, toMs }) => evidence === 'declared' && fromMs <= atMs && atMs < toMs,
    );
    const nodes = now.filter(({ ipOwner }) => ipOwner.kind === 'node');
    const [last] = now.length === 0 ? [] : latest(nodes.length > 0 ? nodes : now);
    return last === undefined ? undefined : ownershipOf(last).owner;
  }

  /**
   * Who had the address from `fromMs` to `toMs` (exclusive). For a part of that time is enough, as long as it was one.
   * @param seenBy the node that saw it: its own kernel is believed
   */
  ownerBetween(key: string, fromMs: number, toMs: number, seenBy?: string): Ownership {
    const all = this.#byAddress.get(key);
    if (all === undefined) return NO_OWNER;
    const list = believedBy(all, seenBy);
    const end = Math.max(toMs, fromMs + 1);
    const only = list[0];
    if (only === undefined) return NO_OWNER;
    if (list.length === 1) {
      if (only.fromMs >= end || fromMs >= only.toMs) return NO_OWNER;
      return only.toMs < end ? { ...ownershipOf(only.ipOwner), ended: true } : ownershipOf(only.ipOwner);
    }
    const found = new Map<string, OneOwner>();
    for (const moment of moments(list, fromMs, end))
      for (const ipOwner of ownersAt(list, moment)) found.set(nameOf(ipOwner), ownershipOf(ipOwner));
    const [first, ...others] = found.values();
    if (first === undefined) return NO_OWNER;
    const ownership: Ownership =
      others.length === 0 ? first : { known: 'several', owners: [first, ...others].map((it) => it.owner) };
    return list.some((it) => it.fromMs < end && end <= it.toMs) ? ownership : { ...ownership, ended: true };
  }

  /** Keeps an address's past short: every look-up goes through it. Those that last stay, whatever their number. */
  #append(list: OwnershipSpan[], span: OwnershipSpan): void {
    list.push(span);
    if (list.length <= MAX_SPANS) return;
    const ended = list.findIndex(({ toMs }) => toMs !== Number.POSITIVE_INFINITY);
    if (ended === -1) return;
    list.splice(ended, 1);
    this.dropped++;
  }
}

/** What counts for a node: of other nodes' kernels only what all believe. */
function believedBy(list: readonly OwnershipSpan[], node: string | undefined): readonly OwnershipSpan[] {
  const counts = ({ evidence, believed, ipOwner }: OwnershipSpan) =>
    evidence === 'declared' || believed === true || (ipOwner.kind === 'node' && ipOwner.name === node);
  return list.every(counts) ? list : list.filter(counts);
}

/** A plain loop: hundreds of nodes may have the same address, and each begins and ends. */
function indexOfLasting(list: readonly OwnershipSpan[], ipOwner: IpOwner, evidence: Evidence): number {
  for (let i = list.length - 1; i >= 0; i--) {
    const span = list[i]!;
    if (span.ipOwner === ipOwner && span.evidence === evidence && span.toMs === Number.POSITIVE_INFINITY) return i;
  }
  return -1;
}

/** The start of the time and every moment within it at which something begins or ends: in between nothing changes. */
function moments(list: readonly OwnershipSpan[], fromMs: number, endMs: number): number[] {
  const changes = list.flatMap((it) => [it.fromMs, it.toMs]).filter((at) => at > fromMs && at < endMs);
  return [fromMs, ...changes];
}

function ownersAt(list: readonly OwnershipSpan[], atMs: number): IpOwner[] {
  const now = list.filter((it) => it.fromMs <= atMs && atMs < it.toMs);
  const declared = latest(now.filter((it) => it.evidence === 'declared' && it.ipOwner.kind === 'node'));
  if (declared.length > 0) return declared;
  const pods = latestPods(now.filter((it) => it.ipOwner.kind === 'pod'));
  const nodes = now.filter((it) => it.ipOwner.kind === 'node').map((it) => it.ipOwner);
  if (pods.length === 0) return nodes;
  return pods.map((pod) => (pod.kind === 'pod' && nodes.includes(pod.node) ? pod.node : pod));
}

/** Those who came last: more than one only where they came at the same time. */
function latest(spans: readonly OwnershipSpan[]): IpOwner[] {
  const last = Math.max(...spans.map((it) => it.fromMs));
  return spans.filter((it) => it.fromMs === last).map((it) => it.ipOwner);
}

/**
 * The pod that came last, and of those before it: whose end is so close to its begin that the times, as they are rounded, do not say whose;
 * and who runs still on another node, since whoever may write to one node's pods must not take over another's.
 */
function latestPods(spans: readonly OwnershipSpan[]): IpOwner[] {
  if (spans.length < 2) return spans.map((it) => it.ipOwner);
  const lastMs = Math.max(...spans.map((it) => it.fromMs));
  const last = spans.findLast((it) => it.fromMs === lastMs)!;
  return spans
    .filter((it) => it.fromMs === lastMs || it.toMs < lastMs + ROUNDING_MS || runsElsewhere(it, last))
    .map((it) => it.ipOwner);
}

function runsElsewhere({ ipOwner, toMs }: OwnershipSpan, last: OwnershipSpan): boolean {
  const lasts = toMs === Number.POSITIVE_INFINITY;
  return lasts && ipOwner.kind === 'pod' && ipOwner.running === true && ipOwner.node !== nodeOf(last.ipOwner);
}

function nodeOf(ipOwner: IpOwner): NodeOwner {
  return ipOwner.kind === 'pod' ? ipOwner.node : ipOwner;
}

/** A pod that comes back under its name, on its node, is to us the one that it was. */
function nameOf(ipOwner: IpOwner): string {
  return ipOwner.kind === 'node' ? ipOwner.name : `${ipOwner.namespace}/${ipOwner.name}@${ipOwner.node.name}`;
}

/** The same object as long as nothing about the ipOwner changes. */
function ownershipOf(ipOwner: IpOwner): OneOwner {
  const node = nodeOf(ipOwner);
  const last = ipOwner.ownership?.owner;
  if (last === undefined || last.node !== node.name || last.zone !== node.zone || last.region !== node.region)
    ipOwner.ownership = { known: 'owner', owner: ownerOf(ipOwner, node) };
  return ipOwner.ownership!;
}

function ownerOf(ipOwner: IpOwner, { name, zone, region }: NodeOwner): Owner {
  const pod = ipOwner.kind === 'pod' ? { namespace: ipOwner.namespace, pod: ipOwner.name } : { namespace: '', pod: '' };
  const workload = ipOwner.kind === 'pod' && ipOwner.workload !== undefined ? { workload: ipOwner.workload } : {};
  return { kind: ipOwner.kind, ...pod, node: name, zone, region, ...workload };
}
