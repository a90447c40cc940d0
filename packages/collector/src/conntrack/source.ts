import type { ConnectionBlock } from './record.ts';

/** Why an entry was left out of a read. */
export type SkipReason =
  /** No counters: opened before `nf_conntrack_acct` was on. */
  | 'no_counters'
  /** The bytes are not what the kernel's headers say. */
  | 'undecodable'
  /** Both ends are loopback addresses of the node. */
  | 'loopback';

/** What one read of all connections was like. */
export interface ReadReport {
  /** The last attempt saw the whole table. Where false, a connection that was not seen may still be there. */
  readonly complete: boolean;
  /** When the first attempt began: ns since the epoch, by the clock that the kernel's start times are in. */
  readonly startedNs: bigint;
  /** Records delivered by the last attempt. */
  readonly entries: number;
  /** By reason, of the last attempt. */
  readonly skipped: Readonly<Record<SkipReason, number>>;
  /** Attempts given up because the table changed under the dump (`NLM_F_DUMP_INTR`). */
  readonly interrupted: number;
  /** Attempts given up because the socket's buffer overran (`ENOBUFS`). */
  readonly overrun: number;
  readonly durationMs: number;
}

/** State of the kernel's switches, as the source found them. undefined: not known. */
export interface SourceSwitches {
  readonly accounting: boolean | undefined;
  readonly timestamps: boolean | undefined;
  /** `nf_conntrack_events`: 0 none, 1 all, 2 only for connections opened while somebody listens. */
  readonly events: number | undefined;
}

/**
 * Where connections come from: the kernel's table by netlink today, other tables and our own counting later. All deliver the
 * same records with running totals, so a connection that is delivered twice does no harm, and a source can be exchanged for
 * another that knows the same identity.
 */
export interface ConntrackSource {
  readonly name: 'netfilter' | 'cilium' | 'ebpf';
  /**
   * Reads all connections once. An attempt that was interrupted or overrun is repeated, a few times; its blocks have been
   * delivered then, and are delivered again.
   * @param onBlock gets each block as it is decoded; it may not keep it
   * @throws SourceError where the source cannot be read at all
   */
  read(onBlock: (block: ConnectionBlock) => void): Promise<ReadReport>;
  /** Reads the switches anew. */
  switches(): SourceSwitches;
  /** Addresses of the node that the source reads, 16 bytes each: changes with its interfaces. */
  nodeAddresses(): Promise<Uint8Array[]>;
  close(): Promise<void>;
}

/** Why a source cannot be read. */
export type SourceErrorCode =
  /** Not root, or `CAP_NET_ADMIN` is missing. */
  | 'permission'
  /** A shared library is not installed. */
  | 'library'
  /** The kernel has no such table. */
  | 'unsupported'
  /** Anything else the kernel said. */
  | 'system';

/** The message says what, where and what to do. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
  readonly code: SourceErrorCode;

  constructor(code: SourceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
