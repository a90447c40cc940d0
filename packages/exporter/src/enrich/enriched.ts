import type { FlowColumns } from '@egressd/flow/columns';
import type { Endpoint } from './endpoint.ts';
import type { DropReason } from './verdict.ts';

/** What moved, both directions together. */
export interface Moved {
  pairs: number;
  bytes: number;
  packets: number;
}

/**
 * A part of a batch with its ends resolved. Entry i of `endpoints` and `verdicts` belongs to address i of the dictionary, so a
 * row stays four integers and four counters. A row whose source has the verdict `KEPT` is a flow; so is the same row with ends
 * and counters swapped where its destination has it. A pair may thus give two flows, one or none.
 *
 *   flows.source[row] ─┐       ┌─ endpoints[i]   who that is, as it stands in a series
 *                      ├─ i ───┤
 *   flows.destination ─┘       └─ verdicts[i]    whether flows from there are kept
 */
export interface EnrichedPart {
  readonly flows: FlowColumns;
  readonly endpoints: readonly Endpoint[];
  /** Index in `VERDICTS`. */
  readonly verdicts: Uint8Array;
}

/** A batch with both ends of each flow resolved. */
export interface Enriched {
  readonly parts: readonly EnrichedPart[];
  /** Pairs of which no direction is kept, by reason. */
  readonly dropped: ReadonlyMap<DropReason, Moved>;
  /** Pairs that give a flow, with an end of the cluster's own of which it is not known whose it was. */
  readonly unknown: Moved;
  /** Pairs of no pod that is known, given to the node itself. */
  readonly unlisted: Moved;
}

/** Nothing yet. */
export function nothing(): Moved {
  return { pairs: 0, bytes: 0, packets: 0 };
}

/** Adds what both directions of a row moved. */
export function addRow(moved: Moved, { txBytes, rxBytes, txPackets, rxPackets }: FlowColumns, row: number): void {
  moved.pairs++;
  moved.bytes += txBytes[row]! + rxBytes[row]!;
  moved.packets += txPackets[row]! + rxPackets[row]!;
}
