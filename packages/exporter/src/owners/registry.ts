import { addressKey, isHostAddress, type Range } from '@egressd/flow/address';
import { Bug } from '@egressd/flow/bug';
import type { NodeOwner } from './ip-history.ts';
import type { IpHistoryImage } from './ip-history-image.ts';
import type { KernelChange } from './kernel-addresses.ts';
import type { OwnerSource } from './owner-source.ts';
import { ALWAYS, OwnerTables } from './owner-tables.ts';
import type { NodeRecord, Owner, Owners, Ownership } from './owners.ts';
import { imageOfOwners, restoreOwners } from './restore.ts';
import { sourceInto } from './source-updates.ts';

/** A span is kept for this long after it ended: batches of a collector that was cut off may come late. */
export const EVICT_AFTER_MS = 60 * 60_000;
/** Nodes of which addresses from their own kernels are kept. One more, and the oldest is evicted. */
export const MAX_KERNEL_ADDRESS_NODES = 20_000;

/** Addresses that are kept of a node that is not declared (yet): it has a few, and a name can be made up. */
export const MAX_UNDECLARED_ADDRESSES = 16;
/**
 * Addresses of a node that may come and go between two calls of `evict`: each leaves a span for an hour. What it reports beyond is ignored
 * until then.
 */
export const MAX_CHANGED_ADDRESSES = 1024;

/** How many there are, for metrics. */
interface OwnerCounts {
  readonly nodes: number;
  readonly pods: number;
  /** Those with only a past included. */
  readonly addresses: number;
}

/** What was not kept of what is reported, by why: each has a named limit. */
export interface OwnerDrops {
  /** Past owners of an address that had more than `MAX_SPANS`. */
  pastOwners: number;
  /** Reports of a node's own addresses that were ignored: more had come and gone than `MAX_CHANGED_ADDRESSES`. */
  changedReports: number;
  /** Addresses of undeclared nodes beyond `MAX_UNDECLARED_ADDRESSES`. */
  undeclaredAddresses: number;
}

/** Who has which address, and had it, from any number of sources. */
export class OwnerRegistry implements Owners {
  readonly #tables: OwnerTables;
  /** By node: addresses that its kernel has reported to have come or gone since the last `evict`. */
  readonly #changed = new Map<string, number>();
  #drops: Omit<OwnerDrops, 'pastOwners'> = { changedReports: 0, undeclaredAddresses: 0 };

  /** @param sources names of all sources: synced once each has delivered its state. */
  constructor(sources: readonly string[]) {
    this.#tables = new OwnerTables(sources);
  }

  get synced(): boolean {
    return [...this.#tables.sources.values()].every((source) => source.synced);
  }

  get clusterRanges(): readonly Range[] {
    return this.#tables.clusterRanges;
  }

  get counts(): OwnerCounts {
    const pods = [...this.#tables.sources.values()].reduce((sum, source) => sum + source.pods.size, 0);
    const nodes = [...this.#tables.nodes.values()].reduce((sum, node) => sum + (node.record === undefined ? 0 : 1), 0);
    return { nodes, pods, addresses: this.#tables.ipHistory.size };
  }

  /** What was dropped since this was last asked. */
  takeDrops(): OwnerDrops {
    const { ipHistory } = this.#tables;
    const drops = { ...this.#drops, pastOwners: ipHistory.dropped };
    ipHistory.dropped = 0;
    this.#drops = { changedReports: 0, undeclaredAddresses: 0 };
    return drops;
  }

  ownerBetween(bytes: Uint8Array, at: number, fromMs: number, toMs: number, seenBy?: string): Ownership {
    return this.#tables.ipHistory.ownerBetween(addressKey(bytes, at), fromMs, toMs, seenBy);
  }

  podOn(node: string, bytes: Uint8Array, at: number, fromMs: number, toMs: number): Owner | undefined {
    return this.#tables.ipHistory.podOn(node, addressKey(bytes, at), fromMs, toMs);
  }

  declaredOwner(address: Uint8Array, nowMs: number): Owner | undefined {
    return this.#tables.ipHistory.declaredOwner(addressKey(address), nowMs);
  }

  nodeOfPodRange(address: Uint8Array): string | undefined {
    return this.#tables.nodeOfPodRange(address);
  }

  node(name: string): NodeRecord | undefined {
    return this.#tables.nodes.get(name)?.record;
  }

  /** Takes all addresses of a node, from its own kernel: those that it had before and not now have ended. */
  addNodeAddresses(node: string, addresses: readonly Uint8Array[], atMs: number): void {
    const { kernelAddresses } = this.#tables;
    const changed = this.#changed.get(node) ?? 0;
    if (changed > MAX_CHANGED_ADDRESSES) {
      this.#drops.changedReports++;
      return;
    }
    const fromMs = kernelAddresses.has(node) ? atMs : ALWAYS;
    const most = this.node(node) === undefined ? MAX_UNDECLARED_ADDRESSES : addresses.length;
    const own = addresses.filter((bytes) => isHostAddress(bytes));
    const taken = own.slice(0, most);
    this.#drops.undeclaredAddresses += own.length - taken.length;
    const changes = kernelAddresses.set(
      node,
      taken.map((bytes) => addressKey(bytes)),
    );
    this.#changed.set(node, changed + changes[0]!.begun.length + changes[0]!.ended.length);
    for (const change of changes) this.#kernelChanged(change, fromMs, atMs);
    this.#tables.weighClaims(node);
    const { oldest } = kernelAddresses;
    if (kernelAddresses.size > MAX_KERNEL_ADDRESS_NODES && oldest !== undefined)
      this.#kernelChanged({ node: oldest, begun: [], ended: kernelAddresses.delete(oldest) }, atMs, atMs);
  }

  /** They count while the node is declared. */
  #kernelChanged({ node, begun, ended }: KernelChange, fromMs: number, atMs: number): void {
    const entry = this.#tables.nodes.get(node);
    if (entry === undefined) return;
    const now = entry.record === undefined ? [] : begun;
    this.#tables.changeAddresses(entry.ipOwner, 'kernel', ended, now, fromMs, atMs);
  }

  /** Evicts spans that ended before `nowMs - EVICT_AFTER_MS`. To be called now and then. */
  evict(nowMs: number): void {
    this.#changed.clear();
    this.#tables.weighClaimsAgain();
    const { sources, nodes, ipHistory } = this.#tables;
    const used = new Set<NodeOwner>();
    for (const source of sources.values()) for (const pod of source.pods.values()) used.add(pod.ipOwner.node);
    ipHistory.evict(nowMs - EVICT_AFTER_MS, (ipOwner) => used.add(ipOwner.kind === 'pod' ? ipOwner.node : ipOwner));
    for (const [name, entry] of nodes) if (entry.record === undefined && !used.has(entry.ipOwner)) nodes.delete(name);
  }

  /** The clock of a node has been compared with ours: when its pods began is known better. */
  settleClock(node: string, aheadMs: number): void {
    this.#tables.ipHistory.settle(node, aheadMs);
  }

  /** Our clock was set: what was measured by it moves along. @see IpHistory.shift */
  shift(byMs: number, learned: boolean): void {
    this.#tables.ipHistory.shift(byMs, learned);
    if (learned) return;
    for (const source of this.#tables.sources.values()) if (source.knownMs !== undefined) source.knownMs += byMs;
  }

  /** Who had which address until now, for `restore` of a registry to come. */
  history(nowMs: number): IpHistoryImage {
    return imageOfOwners(this.#tables, nowMs);
  }

  /** Takes a history, before any source delivers. */
  restore(history: IpHistoryImage): void {
    restoreOwners(this.#tables, history);
  }

  /** Where the source of this name puts what it knows. */
  source(name: string): OwnerSource {
    const source = this.#tables.sources.get(name);
    if (source === undefined) throw new Bug(`no source of owners is called ${name}`);
    return sourceInto(this.#tables, source);
  }
}
