import type { ConnectionBlock } from './record.ts';

/** Why an entry was left out of a read. */
export type SkipReason =
  /** No counters: opened before `nf_conntrack_acct` was on. */
  | 'no_counters'
  /** The bytes are not what the kernel's headers say. */
  | 'undecodable'
  /** Both ends are loopback addresses of the node. */
  | 'loopback';

/** Why an entry of Cilium's maps was left out of a read, beside those. */
export type MapSkipReason =
  /** The Service's own entry, before a backend was chosen; the flow to the backend has an entry of its own. */
  | 'service'
  /** For ICMP errors; it has no counters of its own. */
  | 'related'
  /** The same flow's entry at its source is read. */
  | 'counted_at_source';

/** What one read of all connections was like. */
export interface ReadReport {
  /** The last attempt saw the whole table. Where false, a connection that was not seen may still be there. */
  readonly complete: boolean;
  /** When the first attempt began: ns since the epoch, by the clock that the kernel's start times are in. */
  readonly startedNs: bigint;
  /** Records delivered by the last attempt. */
  readonly entries: number;
  /** By reason, of the last attempt. */
  readonly skipped: Readonly<
    Record<'no_counters' | 'undecodable', number> & Partial<Record<SkipReason | MapSkipReason, number>>
  >;
  /** Attempts given up because the table changed under the dump (`NLM_F_DUMP_INTR`). */
  readonly interrupted: number;
  /** Attempts given up because the socket's buffer overran (`ENOBUFS`). */
  readonly overrun: number;
  /** Times that the reading of a map began anew, since the key it stood at was deleted. */
  readonly restarted?: number;
  readonly durationMs: number;
}

/** State of the kernel's switches, as the source found them. undefined: not known. */
export interface SourceSwitches {
  readonly accounting: boolean | undefined;
  readonly timestamps: boolean | undefined;
  /** `nf_conntrack_events`: 0 none, 1 all, 2 only for connections opened while somebody listens. */
  readonly events: number | undefined;
}

/** Of a source that knows of no switches. */
export const NO_SWITCHES: SourceSwitches = { accounting: undefined, timestamps: undefined, events: undefined };

/** The kernel's table as a whole. undefined: the kernel does not say. */
export interface TableState {
  /** Connections in it, those too that expired and were not removed yet. */
  readonly entries: number | undefined;
  /** How many it may hold; of the machine, not of the namespace. */
  readonly limit: number | undefined;
  /** What the kernel counted since its start, in this namespace. */
  readonly statistics: Readonly<Record<TableStatistic, number>> | undefined;
}

/** Columns of `/proc/net/stat/nf_conntrack` that tell of traffic without an entry. */
export const TABLE_STATISTICS = ['invalid', 'insert_failed', 'drop', 'early_drop'] as const;
export type TableStatistic = (typeof TABLE_STATISTICS)[number];

/** What was amiss with the ends of connections, since the last report. */
export interface EndsReport {
  /** Ended by somebody's order (`conntrack -D`, `-F`), not by themselves. */
  readonly deleted: number;
  /** Times that the socket's buffer overran (`ENOBUFS`). */
  readonly overruns: number;
  /** Ends that were lost so, where the kernel says. */
  readonly lost: number;
  /** Times that nobody listened for a while: the thread that reads was started anew. */
  readonly gaps: number;
  /** Ends that were not delivered, by reason. */
  readonly skipped: Readonly<Record<SkipReason, number>>;
}

export const NOTHING_AMISS: EndsReport = {
  deleted: 0,
  overruns: 0,
  lost: 0,
  gaps: 0,
  skipped: { no_counters: 0, undecodable: 0, loopback: 0 },
};

/** Why the kernel was told not to keep ended connections until their end was told, as `lossless` has it. */
export type Suspension =
  /** The kernel's table is nearly full. */
  | 'table'
  /** Nobody read for some seconds. */
  | 'stall'
  /** The watchdog has ended, or cannot be started. */
  | 'watchdog';
export type LosslessChange = Suspension | 'resumed';

/** Who is told of connections that end. */
export interface EndsListener {
  /** They have ended, and these are their final counters. The block may not be kept. */
  ended(block: ConnectionBlock): void;
  /** Comes after the blocks that it is about. */
  endsAmiss(report: EndsReport): void;
  /** The kernel keeps ended connections from now on, or why it no longer does. */
  losslessChanged?(change: LosslessChange): void;
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
  /**
   * Tells from the first read on, during reads and between them, which connections have ended. An end may come before a record
   * of the same connection that was read earlier, and, rarely, twice. Not there: this source does not know of ends.
   */
  follow?(listener: EndsListener): void;
  /** Where `follow` is there: false while this source knows of no ends all the same. */
  readonly tellsEnds?: boolean;
  /** Reads the switches anew. */
  switches(): SourceSwitches;
  /** Reads how full the table is anew. Not there, or undefined: this source does not know. */
  table?(): TableState | undefined;
  /** Addresses of the node that the source reads, 16 bytes each: changes with its interfaces. */
  nodeAddresses(): Promise<Uint8Array[]>;
  close(): Promise<void>;
}
