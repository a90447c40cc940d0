/** Labels of a series by name. Empty values are left out by the sinks. */
export interface SeriesLabels {
  readonly src_ip: string;
  readonly src_pod: string;
  readonly src_namespace: string;
  readonly src_node: string;
  readonly src_zone: string;
  readonly src_region: string;
  readonly dst_ip: string;
  readonly dst_ip_type: 'private' | 'public';
  readonly dst_pod: string;
  readonly dst_namespace: string;
  readonly dst_node: string;
  readonly dst_zone: string;
  readonly dst_region: string;
  /** IP protocol number. */
  readonly protocol: number;
  /** Both zones are known and differ. */
  readonly cross_zone: boolean;
  readonly scope: Scope;
}

/** How far the bytes went. */
export type Scope = 'same_zone' | 'cross_zone' | 'cross_region' | 'internet' | 'private' | 'unknown';

/** One series: the same object for as long as it lives, so that a sink may keep its own bytes beside it. */
export interface Series {
  /** Never used again for another series. */
  readonly id: number;
  readonly labels: SeriesLabels;
}

/** The four totals of a series. */
export const COUNTERS = ['txBytes', 'txPackets', 'rxBytes', 'rxPackets'] as const;
export type Counter = (typeof COUNTERS)[number];

/** 2^52: what one unit of `Totals.high` counts. */
export const HIGH_UNIT = 2 ** 52;

/** Running totals in two columns: `high * 2^52 + low`, so that the difference of two totals is exact beyond 2^53 too. */
export interface Totals {
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/**
 * All live series and their totals at one moment. Row i of each column belongs to `series[i]`.
 *
 * `position` says what is in it: for each node the last batch that was applied. A sink that has accepted a snapshot has
 * accepted every batch up to there.
 */
export interface Snapshot {
  /** Unix milliseconds; later snapshots have later times, whatever the clock does. */
  readonly timeMs: number;
  readonly series: readonly Series[];
  readonly totals: Readonly<Record<Counter, Totals>>;
  /** Series that were in an earlier snapshot and will not come again: idle ones that were evicted. */
  readonly evicted: readonly Series[];
  readonly position: Position;
}

/** By node: the epoch of its batches, and the last number applied. */
export type Position = ReadonlyMap<string, { readonly epoch: string; readonly number: number }>;

/** The total as a double: exact below 2^53, the nearest above. */
export function totalOf(totals: Totals, row: number): number {
  return totals.high[row]! * HIGH_UNIT + totals.low[row]!;
}

/** `after - before`, exact while the difference is below 2^53. */
export function increaseOf(after: Totals, row: number, beforeLow: number, beforeHigh: number): number {
  return (after.high[row]! - beforeHigh) * HIGH_UNIT + (after.low[row]! - beforeLow);
}

/** Stands for whoever had no room: no name of a pod or namespace can begin so. */
export const OTHER = '~other';

/**
 * Labels of the series that takes what has no room of its own. Who it was is given up, but not what a bill is about: protocol,
 * class of the destination, whether zones differ and scope stay, so that sums over them stay exact. The values that these can have
 * bound the number of such series.
 */
export function otherLabels({
  dst_ip_type,
  protocol,
  cross_zone,
  scope,
}: Pick<SeriesLabels, 'dst_ip_type' | 'protocol' | 'cross_zone' | 'scope'>): SeriesLabels {
  return {
    src_ip: '',
    src_pod: OTHER,
    src_namespace: OTHER,
    src_node: '',
    src_zone: '',
    src_region: '',
    dst_ip: '',
    dst_ip_type,
    dst_pod: OTHER,
    dst_namespace: OTHER,
    dst_node: '',
    dst_zone: '',
    dst_region: '',
    protocol,
    cross_zone,
    scope,
  };
}
