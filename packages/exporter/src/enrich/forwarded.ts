import type { ReceivedBatch } from '../receiver/received.ts';
import { addRow, type EnrichedPart, type TrafficSum } from './enriched.ts';
import { relabel } from './relabel.ts';
import { KEPT, NUMBER_OF } from './verdict.ts';

/**
 * Keeps what a node forwards in its own name to pods of other nodes: a NodePort or load balancer with externalTrafficPolicy Cluster, or
 * kube-proxy's masquerade-all. Behind this SNAT the pod's node sees the entry node alone, so only the entry node knows to whom the pod
 * talks: the direction from the pod to the client is a flow.
 *
 *   client ──── entry node ════ node of the pod ──── pod
 *       pod > client                pod > entry node            two hops of the same packets, each told by the node that saw it
 *
 * What the entry node itself sends (a masquerade to its own tunnel address) is not forwarded: both ends are seen as they are.
 */
export function keepForwarded(part: EnrichedPart, { collector }: ReceivedBatch, forwarded: TrafficSum): EnrichedPart {
  const { flows, endpoints, verdicts } = part;
  const excluded = new Set(collector.settings.excludeNamespaces);
  return relabel(part, (row) => {
    const [s, d] = [flows.source[row]!, flows.destination[row]!];
    if (flows.sourceNat[row] === 0 || !isElsewhere(part, d) || !isClient(verdicts[s]!)) return undefined;
    const { owner } = endpoints[d]!;
    if (excluded.has(owner.namespace)) return { destination: { owner, verdict: NUMBER_OF.excluded_namespace } };
    addRow(forwarded, flows, row);
    return { destination: { owner, verdict: KEPT } };
  });
}

/** A pod of another node, for sure. */
function isElsewhere({ endpoints, verdicts }: EnrichedPart, index: number): boolean {
  const { place, owner } = endpoints[index]!;
  return verdicts[index] === NUMBER_OF.not_local && place === 'owned' && owner.pod !== '';
}

/** Neither the node itself nor what may be it. */
function isClient(verdict: number): boolean {
  return verdict !== NUMBER_OF.host_network && verdict !== NUMBER_OF.ambiguous;
}
