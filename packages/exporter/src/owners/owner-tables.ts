import type { Range } from '@egressd/flow/address';
import { type Evidence, IpHistory, type IpOwner, type NodeOwner, type PodOwner } from './ip-history.ts';
import { KernelAddresses } from './kernel-addresses.ts';
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
  /** Of all sources. */
  clusterRanges: readonly Range[] = [];

  /** @param sources names of all sources */
  constructor(sources: readonly string[]) {
    this.sources = new Map(sources.map((name) => [name, emptySource()]));
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
