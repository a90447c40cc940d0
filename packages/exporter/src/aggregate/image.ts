import type { Endpoint } from '../enrich/endpoint.ts';
import type { Scope, Snapshot } from './snapshot.ts';

/** What a `~other` series stands for, beside its protocol: all of its labels follow from it. */
export interface OtherKind {
  readonly dst_ip_type: 'private' | 'public';
  readonly cross_zone: boolean;
  readonly scope: Scope;
}

/**
 * The aggregate's state at one moment, in columns, so that another process can resume from it. Labels are not in it: they follow from the
 * ends.
 *
 *   endpoints    1, 2, 3 ...                    each once
 *   row          source  destination  protocol  id  changed  totals
 *                1       2            6         17  t        ...
 *                0       17           6         17  t        ...     a `~other` series: `others` has its kind, by its id
 */
export interface AggregateImage {
  readonly timeMs: number;
  /** Id of the next series. */
  readonly nextId: number;
  readonly endpoints: readonly Endpoint[];
  /** By row: place in `endpoints`, counted from 1. */
  readonly source: Uint32Array;
  readonly destination: Uint32Array;
  readonly protocol: Uint8Array;
  /** Rising. */
  readonly ids: Float64Array;
  /** When each series last increased, Unix milliseconds. */
  readonly changed: Float64Array;
  readonly totals: Snapshot['totals'];
  readonly others: ReadonlyMap<number, OtherKind>;
}

/** The series and their totals as they were restored from a checkpoint. */
export type RestoredTotals = Pick<Snapshot, 'series' | 'totals'>;
