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

/** One whole batch, once. */
export interface ReceivedBatch {
  readonly collector: Collector;
  readonly span: BatchSpan;
  /** The batch's parts in order, each with its own dictionary. */
  readonly parts: readonly FlowColumns[];
}
