import type { Range } from '@egressd/flow/address';
import type { NodeRecord, Workload } from './owners.ts';

/** A pod as a source reports it. */
export interface PodRecord {
  /** Names the pod among all that this source ever reported: a UID, or namespace and name. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  /** 16 bytes each. */
  readonly addresses: readonly Uint8Array[];
  /** It shares the node's network: its addresses are the node's, and it owns none. */
  readonly hostNetwork: boolean;
  /** Since when it has them (Unix milliseconds), where the source knows. */
  readonly fromMs?: number;
  /** `fromMs` is by the clock of its node, which has not been compared with ours yet. */
  readonly byNodeClock?: boolean;
  /** It runs, and its deletion has not begun: it has not left its addresses to another pod. Missing: not known. */
  readonly running?: boolean;
  /** What made it, where the source knows. */
  readonly workload?: Workload;
}

/** All that a source knows at one moment. */
export interface OwnersState {
  readonly nodes: readonly NodeRecord[];
  readonly pods: readonly PodRecord[];
  readonly clusterRanges: readonly Range[];
}

/** Where one source (the inventory, Kubernetes) puts what it knows. Times are Unix milliseconds. */
export interface OwnerSource {
  /**
   * Everything it knows: who is missing is gone. The first state counts for the time before it as well (save for a pod with
   * `fromMs`): what moved just before was moved by those who are there now, as far as can be known. Where a history was restored
   * it counts for the time since then, and who was there then and is missing now is gone from `atMs` on. It makes the source synced.
   */
  replace(state: OwnersState, atMs: number): void;
  /** A pod is there, or its addresses, node or network changed. */
  upsertPod(pod: PodRecord, atMs: number): void;
  /** A pod has finished or was deleted. Its past is kept for the registry's `EVICT_AFTER_MS`. */
  endPod(key: string, atMs: number): void;
  upsertNode(node: NodeRecord, atMs: number): void;
  endNode(name: string, atMs: number): void;
  /** All ranges that the source knows to be the cluster's own. */
  setClusterRanges(ranges: readonly Range[]): void;
}
