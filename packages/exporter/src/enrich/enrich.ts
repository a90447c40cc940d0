import { ADDRESS_BYTES, type Range } from '@egressd/flow/address';
import type { FlowColumns } from '@egressd/flow/columns';
import type { Networks } from '../networks/network.ts';
import type { Owner, Owners, Ownership } from '../owners/owners.ts';
import type { ReceivedBatch } from '../receiver/received.ts';
import { type Endpoint, endpointAt, isFolded } from './endpoint.ts';
import { addRow, type Enriched, type EnrichedPart, noTraffic, type TrafficSum } from './enriched.ts';
import { keepForwarded } from './forwarded.ts';
import { giveToNode, giveToOwnPods, nodeOwner } from './local-ends.ts';
import { type DropReason, KEPT, NUMBER_OF, VERDICTS, type Verdict } from './verdict.ts';

const NO_NETWORKS: Networks = { find: () => undefined };

/** What the configuration says of addresses without an owner. */
export interface EnrichOptions {
  /** Ranges outside the cluster that are not the internet either, whatever their numbers. */
  readonly privateRanges?: readonly Range[];
  /** Networks of the user's and of clouds. */
  readonly networks?: Networks;
  /** Traffic of addresses that no source lists is dropped (`unknown_source`) instead of given to the node that saw it. */
  readonly dropUnlisted?: boolean;
}

/**
 * Enriches a batch with pod, namespace, node, zone and region: who had its addresses while the bytes moved, what is public, what is
 * left out. Every row gives a flow or is counted in `dropped`, once.
 *
 * A pod that reaches itself through a Service is a pair of one address with itself: both directions are kept and are the same
 * flow, so what it sent to itself is the original and the reply counter, and what it received as well.
 */
export function enrich(batch: ReceivedBatch, owners: Owners, options: EnrichOptions = {}): Enriched {
  const dropped = new Map<DropReason, TrafficSum>();
  const unknown = noTraffic();
  const unlisted = noTraffic();
  const forwarded = noTraffic();
  const parts = Array.from(batch.parts, (flows) => {
    const resolved = resolve(flows, batch, owners, options);
    const owned = keepForwarded(giveToOwnPods(resolved, batch, owners), batch, forwarded);
    const part = options.dropUnlisted ? owned : giveToNode(owned, nodeOwner(batch, owners), unlisted);
    count(part, dropped, unknown);
    return part;
  });
  return { parts, dropped, unknown, unlisted, forwarded };
}

function resolve(
  flows: FlowColumns,
  { collector, span }: ReceivedBatch,
  owners: Owners,
  { privateRanges = [], networks = NO_NETWORKS }: EnrichOptions,
): EnrichedPart {
  const { addresses } = flows;
  const size = addresses.length / ADDRESS_BYTES;
  const endpoints = new Array<Endpoint>(size);
  const verdicts = new Uint8Array(size);
  const rules = {
    clusterRanges: owners.clusterRanges,
    groupPublicIps: collector.settings.groupPublicIps,
    privateRanges,
    networks,
  };
  const excluded = new Set(collector.settings.excludeNamespaces);
  for (let i = 0, at = 0; i < size; i++, at += ADDRESS_BYTES) {
    const ownership = owners.ownerBetween(addresses, at, span.fromMs, span.toMs, collector.node);
    endpoints[i] = endpointAt(addresses, at, ownership, rules);
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

function count(
  { flows, endpoints, verdicts }: EnrichedPart,
  dropped: Map<DropReason, TrafficSum>,
  unknown: TrafficSum,
): void {
  const { rows, source, destination } = flows;
  for (let row = 0; row < rows; row++) {
    const s = source[row]!;
    const d = destination[row]!;
    if (verdicts[s] === KEPT || verdicts[d] === KEPT) {
      if (endpoints[s]!.place === 'unknown' || endpoints[d]!.place === 'unknown') addRow(unknown, flows, row);
    } else {
      const reason = VERDICTS[Math.max(verdicts[s]!, verdicts[d]!)] as DropReason;
      const moved = dropped.get(reason) ?? noTraffic();
      dropped.set(reason, moved);
      addRow(moved, flows, row);
    }
  }
}
