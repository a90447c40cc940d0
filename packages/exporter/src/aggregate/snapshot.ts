import type { Endpoint } from '../enrich/endpoint.ts';
import type { Totals } from './totals.ts';

/** Labels of a series by name. Sinks leave out empty values. */
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
  /** The ends themselves, which many series share: where labels are read from that few sinks ask for. */
  readonly source: Endpoint;
  readonly destination: Endpoint;
}

/** How far the bytes went. */
export type Scope = 'same_zone' | 'cross_zone' | 'cross_region' | 'internet' | 'private' | 'unknown';

/** One series: the same object for as long as it lives, so that a sink may key what it knows of it by the object. */
export interface Series {
  /** Never reused for another series. */
  readonly id: number;
  readonly labels: SeriesLabels;
}

/** The four totals of a series. */
export const COUNTERS = ['txBytes', 'txPackets', 'rxBytes', 'rxPackets'] as const;
export type Counter = (typeof COUNTERS)[number];

/**
 * All live series and their totals at one moment. Row i of each column belongs to `series[i]`.
 *
 * `position` is how far it has come: for each node the last batch that was applied. A sink that has accepted a snapshot has
 * accepted every batch up to there.
 */
export interface Snapshot {
  /** Unix milliseconds; later snapshots have later times, whatever the clock does. */
  readonly timeMs: number;
  readonly series: readonly Series[];
  readonly totals: Readonly<Record<Counter, Totals>>;
  /** Idle series that were in an earlier snapshot and have been evicted since: they will not come again. */
  readonly evicted: readonly Series[];
  readonly position: Position;
}

/** By node: the epoch of its batches, and the number of the last one applied. */
export type Position = ReadonlyMap<string, { readonly epoch: string; readonly number: number }>;

/** The pod and namespace of folded series: no name in Kubernetes can begin so. */
export const OTHER = '~other';

/** An end of a `~other` series. */
const OTHER_END: Endpoint = {
  key: '',
  place: 'unknown',
  owner: { namespace: OTHER, pod: OTHER, node: '', zone: '', region: '' },
};

/**
 * Labels of the `~other` series that a series beyond the cardinality limit is folded into. Pods, namespaces and addresses are lost, but
 * not what a bill depends on: protocol, type of the destination, whether zones differ and scope stay, so that sums over them stay
 * exact. The values that these can have bound the number of such series.
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
    source: OTHER_END,
    destination: OTHER_END,
  };
}
