import type { FlowColumns } from '@egressd/flow/columns';
import type { Endpoint } from './endpoint.ts';
import type { DropReason } from './verdict.ts';

/** Traffic of some pairs, both directions together. */
export interface TrafficSum {
  pairs: number;
  bytes: number;
  packets: number;
}

/**
 * A part of a batch, enriched. Entry i of `endpoints` and `verdicts` belongs to address i of the dictionary, so a
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

/** A batch, enriched. */
export interface Enriched {
  readonly parts: readonly EnrichedPart[];
  /** Pairs of which no direction is kept, by reason. */
  readonly dropped: ReadonlyMap<DropReason, TrafficSum>;
  /** Pairs that give a flow, with an end of the cluster's own of which it is not known whose it was. */
  readonly unknown: TrafficSum;
  /** Pairs of no pod that is known, given to the node itself. */
  readonly unlisted: TrafficSum;
  /** Pairs that the node forwards to pods of other nodes by SNAT: their nodes report the same packets as between pod and node. */
  readonly forwarded: TrafficSum;
}

/** A sum of no pairs. */
export function noTraffic(): TrafficSum {
  return { pairs: 0, bytes: 0, packets: 0 };
}

/** Adds what both directions of a row moved. */
export function addRow(moved: TrafficSum, { txBytes, rxBytes, txPackets, rxPackets }: FlowColumns, row: number): void {
  moved.pairs++;
  moved.bytes += txBytes[row]! + rxBytes[row]!;
  moved.packets += txPackets[row]! + rxPackets[row]!;
}
