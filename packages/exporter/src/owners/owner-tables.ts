import { inRange, type Range } from '@egressd/flow/address';
import { type Evidence, IpHistory, type IpOwner, type NodeOwner, type PodOwner } from './ip-history.ts';
import { KernelAddresses } from './kernel-addresses.ts';
import { believedClaims } from './kernel-claims.ts';
import type { NodeRecord } from './owners.ts';

/** Before any time. */
export const ALWAYS = Number.NEGATIVE_INFINITY;

/** A pod that its source declares now. */
interface LivePod {
  readonly ipOwner: PodOwner;
  keys: readonly string[];
}

/** A node that is declared, or on which there are pods. */
interface NodeEntry {
  readonly ipOwner: NodeOwner;
  /** What its sources declare, as one; undefined once it is gone, or while only its pods are known. */
  record: NodeRecord | undefined;
  keys: readonly string[];
}

/** What one source has reported. */
export interface SourceState {
  synced: boolean;
  /** What it had reported by then is known from a restored image: who is new in its first state came after. */
  knownMs: number | undefined;
  readonly pods: Map<string, LivePod>;
  /** By name; undefined: it had declared it when the restored image was saved, and has not delivered since. */
  readonly nodes: Map<string, NodeRecord | undefined>;
  clusterRanges: readonly Range[];
}

/**
 * What is known of who has which address:
 *
 *   sources          inventory | kubernetes     each with its own pods, by key, and its nodes, by name
 *   nodes            name -> zone, region, declared addresses: of all sources that declare it
 *   kernelAddresses  name -> addresses from the node's own kernel; they count while the node is declared
 *   ipHistory        address -> spans: owner, from, to
 */
export class OwnerTables {
  readonly ipHistory = new IpHistory();
  readonly nodes = new Map<string, NodeEntry>();
  readonly kernelAddresses = new KernelAddresses();
  readonly sources: ReadonlyMap<string, SourceState>;
  #clusterRanges: readonly Range[] = [];
  /** What is known of ranges has changed since all claims were weighed. */
  #claimsAreOld = false;

  /** @param sources names of all sources */
  constructor(sources: readonly string[]) {
    this.sources = new Map(sources.map((name) => [name, emptySource()]));
  }

  /** Of all sources. */
  get clusterRanges(): readonly Range[] {
    return this.#clusterRanges;
  }

  set clusterRanges(ranges: readonly Range[]) {
    this.#clusterRanges = ranges;
    this.#claimsAreOld = true;
  }

  /** The node whose pod ranges hold the address. */
  nodeOfPodRange(address: Uint8Array): string | undefined {
    for (const [name, { record }] of this.nodes)
      if (record?.podRanges?.some((range) => inRange(range, address))) return name;
    return undefined;
  }

  /** A node's record is another: what its kernel reports, and that of others, may be believed or not. */
  declare(entry: NodeEntry, record: NodeRecord | undefined): void {
    entry.record = record;
    this.#claimsAreOld = true;
    this.weighClaims(entry.ipOwner.name);
  }

  /** Finds anew which of the addresses that a node's kernel reports others believe. */
  weighClaims(name: string): void {
    const entry = this.nodes.get(name);
    const claims = this.kernelAddresses.get(name);
    if (entry?.record === undefined || claims.length === 0) return;
    const { clusterRanges: ranges } = this;
    const believed = believedClaims(claims, entry.record, { ranges, nodeOfPodRange: (ip) => this.nodeOfPodRange(ip) });
    for (const key of claims) this.ipHistory.believe(key, entry.ipOwner, believed.has(key));
  }

  /** The same for all nodes, where ranges have changed. */
  weighClaimsAgain(): void {
    if (!this.#claimsAreOld) return;
    this.#claimsAreOld = false;
    for (const name of this.nodes.keys()) this.weighClaims(name);
  }

  /** The node of this name, which is made where it is not known. */
  nodeEntry(name: string): NodeEntry {
    const known = this.nodes.get(name);
    if (known !== undefined) return known;
    const entry: NodeEntry = { ipOwner: { kind: 'node', name, zone: '', region: '' }, record: undefined, keys: [] };
    this.nodes.set(name, entry);
    return entry;
  }

  /**
   * The owner has these addresses instead of those: new ones since `fromMs`, those that are no more until `atMs`.
   * @param byNodeMs `fromMs` by the clock of a node that is not known yet
   */
  changeAddresses(
    ipOwner: IpOwner,
    evidence: Evidence,
    before: readonly string[],
    after: readonly string[],
    fromMs: number,
    atMs: number,
    byNodeMs?: number,
  ): void {
    // A node may report hundreds of addresses again and again, the same as all others: each has a span for every one of them.
    const [had, kept] = [new Set(before), new Set(after)];
    for (const key of before) if (!kept.has(key)) this.ipHistory.end(key, ipOwner, evidence, atMs);
    for (const key of after) if (!had.has(key)) this.ipHistory.begin(key, ipOwner, evidence, fromMs, byNodeMs);
  }
}

function emptySource(): SourceState {
  return { synced: false, knownMs: undefined, pods: new Map(), nodes: new Map(), clusterRanges: [] };
}
