import type { BlindSpot } from '@egressd/flow/node-health';
import type { ConnectionBlock } from './record.ts';

/** Why an entry was left out of a read, or of the DESTROY events. */
export type SkipReason =
  /** No counters: opened before `nf_conntrack_acct` was on. */
  | 'no_counters'
  /** The bytes are not what the kernel's headers say. */
  | 'undecodable'
  /** Both ends are loopback addresses of the node. */
  | 'loopback';

/** Why an entry of Cilium's maps was left out of a read, beside those. */
type MapSkipReason =
  /** The Service's own entry, before a backend was chosen; the flow to the backend has an entry of its own. */
  | 'service'
  /** For ICMP errors; it has no counters of its own. */
  | 'related'
  /** The same flow's entry at its source is read. */
  | 'counted_at_source';

/** Why an entry was left out of a read by choice. */
type ChosenSkipReason =
  /** Its conntrack zone is not among `-conntrack-zones`. */
  'other_zone';

/** How one read of all connections went. */
export interface ReadReport {
  /** The last attempt saw the whole table. Where false, a connection that was not seen may still be there. */
  readonly complete: boolean;
  /** When the first attempt began: ns since the Unix epoch, by the clock that the kernel's start times are in. */
  readonly startedNs: bigint;
  /** Records delivered by the last attempt. */
  readonly entries: number;
  /** Entries left out by the last attempt, by reason. */
  readonly skipped: Readonly<
    Record<'no_counters' | 'undecodable', number> &
      Partial<Record<SkipReason | MapSkipReason | ChosenSkipReason, number>>
  >;
  /** Attempts abandoned because the table changed under the dump (`NLM_F_DUMP_INTR`). */
  readonly interrupted: number;
  /** Attempts abandoned because the socket's buffer overran (`ENOBUFS`). */
  readonly overrun: number;
  /** Times that iterating a BPF map restarted from its first key, because the key it stood at was deleted. */
  readonly restarted?: number;
  readonly durationMs: number;
  /** What the source could not count since it was set up. Missing: it counts all that it sees. */
  readonly uncounted?: UncountedTotals;
}

/** Of our own programs. */
export interface UncountedTotals {
  /** Packets of new pairs that found no room, and their bytes. */
  readonly fullPackets: number;
  readonly fullBytes: number;
  /** Packets whose headers could not be read. */
  readonly malformed: number;
  /** Pairs that there are, and how many there may be. */
  readonly pairs: number;
  readonly maxPairs: number;
}

/** The sysctls of conntrack that counting depends on (`/proc/sys/net/netfilter`). undefined: not known. */
export interface ConntrackSysctls {
  /** `nf_conntrack_acct`: connections have counters. */
  readonly accounting: boolean | undefined;
  /** `nf_conntrack_timestamp`: connections have a start time. */
  readonly timestamps: boolean | undefined;
  /** `nf_conntrack_events`: 0 none, 1 all, 2 only for connections opened while a listener was there. */
  readonly events: number | undefined;
}

/** Of a source to which the sysctls do not apply. */
export const UNKNOWN_SYSCTLS: ConntrackSysctls = { accounting: undefined, timestamps: undefined, events: undefined };

/** The kernel's table as a whole. undefined: the kernel does not say. */
export interface TableState {
  /** Connections in it (`nf_conntrack_count`), those too that expired and were not removed yet. */
  readonly entries: number | undefined;
  /** How many it may hold (`nf_conntrack_max`); of the machine, not of the namespace. */
  readonly limit: number | undefined;
  /** What the kernel counted since its start, in this namespace. */
  readonly statistics: Readonly<Record<TableStatistic, number>> | undefined;
}

/** What of the node each concerns (names of bridges, sysctls, flowtables). Empty: conntrack sees all of it; undefined: not known. */
export type BlindSpots = Readonly<Record<BlindSpot, readonly string[] | undefined>>;

/** The node's end of a pod's veth, with its counters, link-level headers included. */
export interface PodLink {
  readonly index: number;
  /** From the pod. */
  readonly rxBytes: number;
  /** To the pod. */
  readonly txBytes: number;
}

/** What the kernel shows of traffic that passes conntrack by. */
export interface KernelView {
  readonly spots: Omit<BlindSpots, 'pods'>;
  /** undefined: not known. */
  readonly podLinks: readonly PodLink[] | undefined;
  /** Links by which a data plane is known that has a connection tracking of its own. */
  readonly dataPlanes: readonly string[];
}

/** Columns of `/proc/net/stat/nf_conntrack` that count traffic without an entry. */
export const TABLE_STATISTICS = ['invalid', 'insert_failed', 'drop', 'early_drop'] as const;
export type TableStatistic = (typeof TABLE_STATISTICS)[number];

/** DESTROY events that are not as they should be, since the last report. */
export interface EventLossReport {
  /** Connections deleted by a process (`conntrack -D`, `-F`) instead of by the kernel. */
  readonly deleted: number;
  /** Times that the socket's buffer overran (`ENOBUFS`). */
  readonly overruns: number;
  /** Events lost to overruns, where the kernel says how many. */
  readonly lost: number;
  /** Times without a listener for a while, because the reading thread was restarted. */
  readonly gaps: number;
  /** Events received and not delivered, by reason. */
  readonly skipped: Readonly<Record<SkipReason, number>>;
}

export const NO_LOSS: EventLossReport = {
  deleted: 0,
  overruns: 0,
  lost: 0,
  gaps: 0,
  skipped: { no_counters: 0, undecodable: 0, loopback: 0 },
};

/** Why lossless delivery of DESTROY events (`-conntrack-events=lossless`) was suspended. */
export type LosslessSuspension =
  /** The kernel's table is nearly full. */
  | 'table'
  /** The socket was not read for some seconds. */
  | 'stall'
  /** The watchdog has ended, or cannot be started. */
  | 'watchdog';
export type LosslessChange = LosslessSuspension | 'resumed';

/** Gets the kernel's DESTROY events: connections that left its table, whether they closed, expired or were deleted. */
export interface DestroyListener {
  /** Connections with their final counters. The block may not be kept. */
  onDestroy(block: ConnectionBlock): void;
  /** Comes after the blocks that it is about. */
  onEventLoss(report: EventLossReport): void;
  /** The kernel keeps ended connections until their DESTROY event was delivered (`resumed`), or why it no longer does. */
  onLosslessChange?(change: LosslessChange): void;
}

/**
 * Where connections come from: the kernel's table by netlink, Cilium's maps, our own programs (eBPF). All deliver the same records
 * with running totals, so a connection that is delivered twice does no harm, and a source can be exchanged for another that knows
 * the same identity.
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
   * Takes what a process before has handed over: key and counters of each of its records, `width` words each. To be called before the
   * first read. Missing: the source needs no more than its records have.
   */
  restore?(image: Uint32Array, width: number): void;
  /**
   * Delivers DESTROY events from the first read on, during reads and between them. An event may come before a record of the same
   * connection that was read earlier, and, rarely, twice. Missing: this source has no such events.
   */
  subscribe?(listener: DestroyListener): void;
  /** Where `subscribe` is there: false while the source in use has no such events all the same. */
  readonly deliversDestroyEvents?: boolean;
  /** Reads the sysctls anew. */
  sysctls(): ConntrackSysctls;
  /** Reads how full the table is anew. Missing, or undefined: this source does not know. */
  table?(): TableState | undefined;
  /** Looks anew for traffic that passes the source by. Missing, or undefined: this source cannot tell. */
  blindSpots?(): Promise<KernelView | undefined>;
  /** Addresses of the node that the source reads, 16 bytes each: changes with its interfaces. */
  nodeAddresses(): Promise<Uint8Array[]>;
  close(): Promise<void>;
}
