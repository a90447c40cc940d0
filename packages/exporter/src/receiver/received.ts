import type { BatchSpan, FlowColumns } from '@egressd/flow/columns';
import type { StreamSettings } from '@egressd/flow/stream-settings';
import type { CertificateNodes } from '../authorization/certificate-nodes.ts';

/** Who opened a stream, from its Hello. */
export interface Collector {
  readonly node: string;
  readonly bootId: string;
  /** The producer's epoch, in which batches are numbered. */
  readonly epoch: string;
  readonly version: string;
  readonly settings: StreamSettings;
  /** Where the stream comes from, without port; undefined where it is not an IP address. */
  readonly peer: Uint8Array | undefined;
  /** For which nodes its certificate is valid. */
  readonly certificate: CertificateNodes;
}

/** The parts of a batch in order, each with its own dictionary: any number of times. They may be decoded each time. */
export interface BatchParts extends Iterable<FlowColumns> {
  /** Bytes in which they are held, where that is not as columns. */
  readonly byteLength?: number;
}

/** One whole batch, once. */
export interface ReceivedBatch {
  readonly collector: Collector;
  readonly span: BatchSpan;
  readonly parts: BatchParts;
}
