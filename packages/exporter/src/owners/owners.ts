import type { Range } from '@egressd/flow/address';

/** What made a pod, as a person would name it: Deployment, StatefulSet, DaemonSet, CronJob ... */
export interface Workload {
  readonly kind: string;
  readonly name: string;
}

/**
 * What is known of the pod or node that has an address. Empty: not known, or it has none. Zone and region are the node's: its labels
 * topology.kubernetes.io/zone and topology.kubernetes.io/region (`kube/zone-labels.ts`), or what the inventory says.
 */
export interface Owner {
  readonly kind: 'pod' | 'node';
  readonly namespace: string;
  readonly pod: string;
  readonly node: string;
  readonly zone: string;
  readonly region: string;
  /** Of a pod, where its source knows it. */
  readonly workload?: Workload;
}

/**
 * The answer to "who had this address while these bytes moved". `ended`: the last of them had it no more before that time was over, so
 * that a next one, who is not known yet, may have moved some of these bytes.
 */
export type Ownership =
  /** One owner, of those that are known, during the whole time. */
  | { readonly known: 'owner'; readonly owner: Owner; readonly ended?: true }
  /** No known owner. */
  | { readonly known: 'none' }
  /** The address changed hands meanwhile: the bytes belong to one of these, and it is not known to whom. */
  | { readonly known: 'several'; readonly owners: readonly Owner[]; readonly ended?: true };

/** A node, as far as its source reports it. */
export interface NodeRecord {
  readonly name: string;
  readonly zone: string;
  readonly region: string;
  /** 16 bytes each, as declared by inventory or Kubernetes, not by the node itself. Empty: not known. */
  readonly addresses: readonly Uint8Array[];
  /** Where its pods' addresses are from (podCIDRs); missing: not known. */
  readonly podRanges?: readonly Range[];
}

/**
 * Who has which address, and when: filled by the inventory file or by Kubernetes, asked by enrich and by the authorization of
 * streams. Times are Unix milliseconds.
 */
export interface Owners {
  /** Every source has delivered its first whole state. */
  readonly synced: boolean;
  /**
   * Who had the address at `bytes[at..at+16]` from `fromMs` to `toMs`. Host-network pods own nothing: their address is the node's.
   * @param seenBy the node that saw it: of its own addresses its kernel is believed, whatever they are
   */
  ownerBetween(bytes: Uint8Array, at: number, fromMs: number, toMs: number, seenBy?: string): Ownership;
  /** The one pod of this node that had the address in all of this time, also where pods of other nodes had it too. */
  podOn(node: string, bytes: Uint8Array, at: number, fromMs: number, toMs: number): Owner | undefined;
  node(name: string): NodeRecord | undefined;
  /** The node or pod that has the address now, as inventory or Kubernetes declare it, whatever kernels report. */
  declaredOwner(address: Uint8Array, nowMs: number): Owner | undefined;
  /** The node whose pod ranges hold the address. */
  nodeOfPodRange(address: Uint8Array): string | undefined;
  /** Ranges that belong to the cluster whatever their numbers, so that they are never public. */
  readonly clusterRanges: readonly Range[];
}
