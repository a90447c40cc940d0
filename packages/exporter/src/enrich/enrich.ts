import { ADDRESS_BYTES } from '@egressd/flow/address';
import type { FlowColumns } from '@egressd/flow/columns';
import type { Owner, Owners, Ownership } from '../owners/owners.ts';
import type { ReceivedBatch } from '../receiver/received.ts';
import { type Endpoint, endpointAt, isFolded } from './endpoint.ts';
import { type DropReason, KEPT, NUMBER_OF, VERDICTS, type Verdict } from './verdict.ts';

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
}

/**
 * Enriches a batch with pod, namespace, node, zone and region: who had its addresses while the bytes moved, what is public, what is
 * left out. Every row gives a flow or is counted in `dropped`, once.
 *
 * A pod that reaches itself through a Service is a pair of one address with itself: both directions are kept and are the same
 * flow, so what it sent to itself is the original and the reply counter, and what it received as well.
 */
export function enrich(batch: ReceivedBatch, owners: Owners): Enriched {
  const dropped = new Map<DropReason, Moved>();
  const unknown = nothing();
  const parts = batch.parts.map((flows) => {
    const part = resolve(flows, batch, owners);
    count(part, dropped, unknown);
    return part;
  });
  return { parts, dropped, unknown };
}

function resolve(flows: FlowColumns, { collector, span }: ReceivedBatch, owners: Owners): EnrichedPart {
  const { addresses } = flows;
  const size = addresses.length / ADDRESS_BYTES;
  const endpoints = new Array<Endpoint>(size);
  const verdicts = new Uint8Array(size);
  const view = { clusterRanges: owners.clusterRanges, groupPublicIps: collector.settings.groupPublicIps };
  const excluded = new Set(collector.settings.excludeNamespaces);
  for (let i = 0, at = 0; i < size; i++, at += ADDRESS_BYTES) {
    const ownership = owners.ownerBetween(addresses, at, span.fromMs, span.toMs);
    endpoints[i] = endpointAt(addresses, at, ownership, view);
    const verdict =
      ownership.known === 'none' ? unownedVerdict(addresses, at) : verdictOn(ownership, collector.node, excluded);
    verdicts[i] = NUMBER_OF[verdict];
  }
  return { flows, endpoints, verdicts };
}

function unownedVerdict(addresses: Uint8Array, at: number): Verdict {
  return isFolded(addresses, at) ? 'too_many_pairs' : 'unknown_source';
}

function verdictOn(
  ownership: Exclude<Ownership, { known: 'none' }>,
  node: string,
  excluded: ReadonlySet<string>,
): Verdict {
  if (ownership.known === 'owner') return verdictOnOwner(ownership.owner, node, excluded);
  const verdicts = new Set(ownership.owners.map((owner) => verdictOnOwner(owner, node, excluded)));
  const [only = 'ambiguous'] = verdicts;
  return verdicts.size > 1 ? 'ambiguous' : only;
}

function verdictOnOwner(owner: Owner, node: string, excluded: ReadonlySet<string>): Verdict {
  if (owner.node !== node) return 'not_local';
  if (owner.kind === 'node') return 'host_network';
  return excluded.has(owner.namespace) ? 'excluded_namespace' : 'kept';
}

function count({ flows, endpoints, verdicts }: EnrichedPart, dropped: Map<DropReason, Moved>, unknown: Moved): void {
  const { rows, source, destination } = flows;
  for (let row = 0; row < rows; row++) {
    const s = source[row]!;
    const d = destination[row]!;
    if (verdicts[s] === KEPT || verdicts[d] === KEPT) {
      if (endpoints[s]!.place === 'unknown' || endpoints[d]!.place === 'unknown') addRow(unknown, flows, row);
    } else {
      const reason = VERDICTS[Math.max(verdicts[s]!, verdicts[d]!)] as DropReason;
      const moved = dropped.get(reason) ?? nothing();
      dropped.set(reason, moved);
      addRow(moved, flows, row);
    }
  }
}

function nothing(): Moved {
  return { pairs: 0, bytes: 0, packets: 0 };
}

function addRow(moved: Moved, { txBytes, rxBytes, txPackets, rxPackets }: FlowColumns, row: number): void {
  moved.pairs++;
  moved.bytes += txBytes[row]! + rxBytes[row]!;
  moved.packets += txPackets[row]! + rxPackets[row]!;
}
