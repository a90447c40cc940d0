import { addressKey, inRange, type Range } from '@egressd/flow/address';
import { Bug } from '@egressd/flow/bug';
import { type Evidence, IpHistory, type IpOwner, type NodeOwner, type PodOwner } from './ip-history.ts';
import {
  type AddressSpan,
  type IpHistoryImage,
  imageOfIpHistory,
  type NodeHistory,
  type PodHistory,
} from './ip-history-image.ts';
import type { OwnerSource, OwnersState, PodRecord } from './owner-source.ts';
import type { NodeRecord, Owner, Owners, Ownership } from './owners.ts';

/** A span is kept for this long after it ended: batches of a collector that was cut off may come late. */
export const EVICT_AFTER_MS = 60 * 60_000;
/** Nodes of which addresses from their own kernels are kept. One more, and the oldest is evicted. */
export const MAX_KERNEL_ADDRESS_NODES = 20_000;

/** How many there are, for metrics. */
interface OwnerCounts {
  readonly nodes: number;
  readonly pods: number;
  /** Those with only a past included. */
  readonly addresses: number;
}

interface LivePod {
  readonly ipOwner: PodOwner;
  keys: readonly string[];
}

interface NodeEntry {
  readonly ipOwner: NodeOwner;
  /** What its source declared; undefined once it is gone, or while only its pods are known. */
  record: NodeRecord | undefined;
  keys: readonly string[];
}

/** What one source has reported. */
interface SourceState {
  synced: boolean;
  /** What it had reported by then is known from a restored image: who is new in its first state came after. */
  knownMs: number | undefined;
  readonly pods: Map<string, LivePod>;
  readonly nodes: Set<string>;
  clusterRanges: readonly Range[];
}

/**
 * Who has which address, and had it, from any number of sources.
 *
 *   sources          inventory | kubernetes     each with its own pods, by key, and its nodes, by name
 *   nodes            name -> zone, region, declared addresses
 *   kernelAddresses  name -> addresses from the node's own kernel; they count while the node is declared
 *   ipHistory        address -> spans: owner, from, to
 */
export class OwnerRegistry implements Owners {
  readonly #ipHistory = new IpHistory();
  readonly #nodes = new Map<string, NodeEntry>();
  readonly #kernelAddresses = new Map<string, readonly string[]>();
  readonly #sources = new Map<string, SourceState>();
  #clusterRanges: readonly Range[] = [];

  /** @param sources names of all sources: synced once each has delivered its state. */
  constructor(sources: readonly string[]) {
    for (const name of sources)
      this.#sources.set(name, {
        synced: false,
        knownMs: undefined,
        pods: new Map(),
        nodes: new Set(),
        clusterRanges: [],
      });
  }

  get synced(): boolean {
    return [...this.#sources.values()].every((source) => source.synced);
  }

  get clusterRanges(): readonly Range[] {
    return this.#clusterRanges;
  }

  get counts(): OwnerCounts {
    const pods = [...this.#sources.values()].reduce((sum, source) => sum + source.pods.size, 0);
    const nodes = [...this.#nodes.values()].reduce((sum, node) => sum + (node.record === undefined ? 0 : 1), 0);
    return { nodes, pods, addresses: this.#ipHistory.size };
  }

  ownerBetween(bytes: Uint8Array, at: number, fromMs: number, toMs: number): Ownership {
    return this.#ipHistory.ownerBetween(addressKey(bytes, at), fromMs, toMs);
  }

  podOn(node: string, bytes: Uint8Array, at: number, fromMs: number, toMs: number): Owner | undefined {
    return this.#ipHistory.podOn(node, addressKey(bytes, at), fromMs, toMs);
  }

  declaredOwner(address: Uint8Array, nowMs: number): Owner | undefined {
    return this.#ipHistory.declaredOwner(addressKey(address), nowMs);
  }

  nodeOfPodRange(address: Uint8Array): string | undefined {
    for (const [name, { record }] of this.#nodes)
      if (record?.podRanges?.some((range) => inRange(range, address))) return name;
    return undefined;
  }

  node(name: string): NodeRecord | undefined {
    return this.#nodes.get(name)?.record;
  }

  /** Takes all addresses of a node, from its own kernel: those that it had before and not now have ended. */
  addNodeAddresses(node: string, addresses: readonly Uint8Array[], atMs: number): void {
    const before = this.#kernelAddresses.get(node);
    const keys = addresses.map((bytes) => addressKey(bytes));
    this.#kernelAddresses.delete(node);
    this.#kernelAddresses.set(node, keys);
    const entry = this.#nodes.get(node);
    if (entry?.record !== undefined)
      this.#changeAddresses(entry.ipOwner, 'kernel', before ?? [], keys, before === undefined ? ALWAYS : atMs, atMs);
    const oldest =
      this.#kernelAddresses.size > MAX_KERNEL_ADDRESS_NODES ? this.#kernelAddresses.keys().next().value : undefined;
    if (oldest === undefined) return;
    const evicted = this.#nodes.get(oldest)?.ipOwner;
    if (evicted !== undefined)
      this.#changeAddresses(evicted, 'kernel', this.#kernelAddresses.get(oldest) ?? [], [], atMs, atMs);
    this.#kernelAddresses.delete(oldest);
  }

  /** Evicts spans that ended before `nowMs - EVICT_AFTER_MS`. To be called now and then. */
  evict(nowMs: number): void {
    const used = new Set<NodeOwner>();
    for (const source of this.#sources.values()) for (const pod of source.pods.values()) used.add(pod.ipOwner.node);
    this.#ipHistory.evict(nowMs - EVICT_AFTER_MS, (ipOwner) =>
      used.add(ipOwner.kind === 'pod' ? ipOwner.node : ipOwner),
    );
    for (const [name, entry] of this.#nodes)
      if (entry.record === undefined && !used.has(entry.ipOwner)) this.#nodes.delete(name);
  }

  /** Who had which address until now, for `restore` of a registry to come. */
  history(nowMs: number): IpHistoryImage {
    const living = new Map(
      [...this.#sources].flatMap(([source, { pods }]) =>
        [...pods].map(([key, { ipOwner }]) => [ipOwner, { source, key }] as const),
      ),
    );
    const sources = [...this.#sources];
    return imageOfIpHistory(this.#ipHistory, {
      savedMs: nowMs,
      sources: sources.map(([name]) => name),
      nodes: [...this.#nodes.values()].map(({ ipOwner }) => ipOwner),
      declaredBy: (node) => sources.filter(([, { nodes }]) => nodes.has(node.name)).map(([name]) => name),
      living: (pod) => living.get(pod),
    });
  }

  /**
   * Takes a history, before any source delivers: what ended keeps its times, and what lasted goes on as if its source had reported it.
   * Where that source is no more, it has ended when the history was saved.
   */
  restore(history: IpHistoryImage): void {
    for (const [name, source] of this.#sources) if (history.sources.includes(name)) source.knownMs = history.savedMs;
    for (const node of history.nodes) this.#restoreNode(node, history.savedMs);
    for (const pod of history.pods) this.#restorePod(pod, history.savedMs);
  }

  /** Where the source of this name puts what it knows. */
  source(name: string): OwnerSource {
    const source = this.#sources.get(name);
    if (source === undefined) throw new Bug(`no source of owners is called ${name}`);
    return {
      replace: (state, atMs) => this.#replace(source, state, atMs),
      upsertPod: (pod, atMs) => this.#upsertPod(source, pod, beginOf(pod, atMs, atMs), atMs),
      endPod: (key, atMs) => this.#endPod(source, key, atMs),
      upsertNode: (node, atMs) => this.#upsertNode(source, node, atMs, atMs),
      endNode: (node, atMs) => this.#endNode(source, node, atMs),
      setClusterRanges: (ranges) => this.#setClusterRanges(source, ranges),
    };
  }

  #restoreNode({ name, zone, region, sources, times }: NodeHistory, savedMs: number): void {
    const entry = this.#nodeEntry(name);
    entry.ipOwner.zone = zone;
    entry.ipOwner.region = region;
    const declaring = sources.flatMap((source) => this.#sources.get(source) ?? []);
    for (const source of declaring) source.nodes.add(name);
    const endMs = declaring.length > 0 ? undefined : savedMs;
    entry.keys = this.#restoreTimes(entry.ipOwner, 'declared', times.declared, endMs);
    const fromKernel = this.#restoreTimes(entry.ipOwner, 'kernel', times.kernel, endMs);
    if (fromKernel.length > 0) this.#kernelAddresses.set(name, fromKernel);
  }

  #restorePod({ namespace, name, node, workload, living, times }: PodHistory, savedMs: number): void {
    const ipOwner: PodOwner = { kind: 'pod', namespace, name, workload, node: this.#nodeEntry(node).ipOwner };
    const source = living === undefined ? undefined : this.#sources.get(living.source);
    const keys = this.#restoreTimes(ipOwner, 'declared', times, source === undefined ? savedMs : undefined);
    if (living !== undefined) source?.pods.set(living.key, { ipOwner, keys });
  }

  /** @param endMs when what lasts in the history has ended; undefined: it goes on. @returns addresses that it still has */
  #restoreTimes(
    ipOwner: IpOwner,
    evidence: Evidence,
    times: readonly AddressSpan[],
    endMs: number | undefined,
  ): string[] {
    const lasting: string[] = [];
    for (const { key, fromMs, toMs } of times) {
      const lasts = toMs === Number.POSITIVE_INFINITY;
      if (lasts && endMs === undefined) lasting.push(key);
      const end = lasts && endMs !== undefined ? Math.max(endMs, fromMs) : toMs;
      this.#ipHistory.restore(key, { ipOwner, evidence, fromMs, toMs: end });
    }
    return lasting;
  }

  #replace(source: SourceState, state: OwnersState, atMs: number): void {
    const fromMs = source.synced ? atMs : Math.min(source.knownMs ?? ALWAYS, atMs);
    const nodes = new Set(state.nodes.map((node) => node.name));
    const pods = new Set(state.pods.map((pod) => pod.key));
    for (const key of source.pods.keys()) if (!pods.has(key)) this.#endPod(source, key, atMs);
    for (const name of source.nodes) if (!nodes.has(name)) this.#endNode(source, name, atMs);
    for (const node of state.nodes) this.#upsertNode(source, node, fromMs, atMs);
    for (const pod of state.pods) this.#upsertPod(source, pod, beginOf(pod, fromMs, atMs), atMs);
    this.#setClusterRanges(source, state.clusterRanges);
    source.synced = true;
  }

  #setClusterRanges(source: SourceState, ranges: readonly Range[]): void {
    source.clusterRanges = ranges;
    this.#clusterRanges = [...this.#sources.values()].flatMap((it) => it.clusterRanges);
  }

  #upsertPod(source: SourceState, pod: PodRecord, fromMs: number, atMs: number): void {
    const keys = pod.hostNetwork ? [] : pod.addresses.map((bytes) => addressKey(bytes));
    const node = this.#nodeEntry(pod.node).ipOwner;
    const known = source.pods.get(pod.key);
    const { namespace, name, workload } = pod;
    const live = known ?? { ipOwner: { kind: 'pod', namespace, name, workload, node }, keys: [] };
    live.ipOwner.node = node;
    this.#changeAddresses(live.ipOwner, 'declared', live.keys, keys, fromMs, atMs);
    live.keys = keys;
    source.pods.set(pod.key, live);
  }

  #endPod(source: SourceState, key: string, atMs: number): void {
    const pod = source.pods.get(key);
    if (pod === undefined) return;
    this.#changeAddresses(pod.ipOwner, 'declared', pod.keys, [], atMs, atMs);
    source.pods.delete(key);
  }

  #upsertNode(source: SourceState, record: NodeRecord, fromMs: number, atMs: number): void {
    const entry = this.#nodeEntry(record.name);
    const keys = record.addresses.map((bytes) => addressKey(bytes));
    entry.ipOwner.zone = record.zone;
    entry.ipOwner.region = record.region;
    this.#changeAddresses(entry.ipOwner, 'declared', entry.keys, keys, fromMs, atMs);
    const fromKernel = entry.record === undefined ? (this.#kernelAddresses.get(record.name) ?? []) : [];
    this.#changeAddresses(entry.ipOwner, 'kernel', [], fromKernel, fromMs, atMs);
    entry.record = record;
    entry.keys = keys;
    source.nodes.add(record.name);
  }

  #endNode(source: SourceState, name: string, atMs: number): void {
    source.nodes.delete(name);
    const entry = this.#nodes.get(name);
    if (entry === undefined) return;
    this.#changeAddresses(entry.ipOwner, 'declared', entry.keys, [], atMs, atMs);
    this.#changeAddresses(entry.ipOwner, 'kernel', this.#kernelAddresses.get(name) ?? [], [], atMs, atMs);
    entry.record = undefined;
    entry.keys = [];
  }

  #changeAddresses(
    ipOwner: IpOwner,
    evidence: Evidence,
    before: readonly string[],
    after: readonly string[],
    fromMs: number,
    atMs: number,
  ): void {
    const kept = new Set(after);
    for (const key of before) if (!kept.has(key)) this.#ipHistory.end(key, ipOwner, evidence, atMs);
    for (const key of after) this.#ipHistory.begin(key, ipOwner, evidence, fromMs);
  }

  #nodeEntry(name: string): NodeEntry {
    const known = this.#nodes.get(name);
    if (known !== undefined) return known;
    const entry: NodeEntry = { ipOwner: { kind: 'node', name, zone: '', region: '' }, record: undefined, keys: [] };
    this.#nodes.set(name, entry);
    return entry;
  }
}

/** A kubelet's clock may be ahead of ours: no pod has had its address since a time to come. */
function beginOf({ fromMs }: PodRecord, otherwiseMs: number, atMs: number): number {
  return fromMs === undefined ? otherwiseMs : Math.min(fromMs, atMs);
}

/** Before any time. */
const ALWAYS = Number.NEGATIVE_INFINITY;
