import type { BatchSpan, FlowColumns } from '@egressd/flow/columns';

/** Collector flags whose work is the exporter's. */
export interface StreamSettings {
  readonly excludeNamespaces: readonly string[];
  readonly groupPublicIps: boolean;
  /** undefined: not set. */
  readonly sendTrafficDelta: boolean | undefined;
}

/** Who opened a stream, from its Hello. */
export interface Collector {
  readonly node: string;
  readonly bootId: string;
  /** Names the sequence of batch numbers. */
  readonly numbering: string;
  readonly version: string;
  readonly settings: StreamSettings;
  /** The node's own addresses, as its kernel says. */
  readonly nodeAddresses: readonly Uint8Array[];
  /** Where the stream comes from, without port; undefined where it is not an IP address. */
  readonly peer: Uint8Array | undefined;
}

/** How the kernel of a node counts, as its collector found it with its last read. undefined: the kernel does not say. */
export interface Health {
  /** `nf_conntrack_acct`. */
  readonly accounting: boolean | undefined;
  /** `nf_conntrack_timestamp`. */
  readonly timestamps: boolean | undefined;
  /** `nf_conntrack_events`: 0 none, 1 all, 2 only of connections opened while somebody listens. */
  readonly events: number | undefined;
  /** Connections whose counters fell, since this numbering began. */
  readonly countersBackwards: number;
  /** Entries of the last read without counters: opened before accounting was on. */
  readonly entriesWithoutCounters: number;
}

/** One whole batch, once. */
export interface ReceivedBatch {
  readonly collector: Collector;
  readonly span: BatchSpan;
  /** The batch's parts in order, each with its own dictionary. */
  readonly parts: readonly FlowColumns[];
}
