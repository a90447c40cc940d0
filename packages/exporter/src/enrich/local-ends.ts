import { ADDRESS_BYTES, isLinkLocalV4 } from '@egressd/flow/address';
import type { Owners } from '../owners/owners.ts';
import type { ReceivedBatch } from '../receiver/received.ts';
import type { EndOwner, Endpoint } from './endpoint.ts';
import { addRow, type EnrichedPart, type TrafficSum } from './enriched.ts';
import { type RowOwner, relabel } from './relabel.ts';
import { KEPT, NUMBER_OF } from './verdict.ts';

/** The node that saw a batch, as the owner of what is local to it and in no list: no pod, no namespace. */
export function nodeOwner({ collector }: ReceivedBatch, owners: Owners): EndOwner {
  const { zone = '', region = '' } = owners.node(collector.node) ?? {};
  return { namespace: '', pod: '', node: collector.node, zone, region };
}

/**
 * Gives pairs of two addresses without an owner to the node that saw them: one of the two must be local to it, as pods' second
 * addresses that Kubernetes does not list (IPv4 egress of IPv6 clusters, Multus) or containers beside Kubernetes. The local end is the
 * private one; of two private ones it is who opened the connection. Two public ones stay dropped. Who opened a connection from a
 * link-local address (EKS gives pods of IPv6 clusters 169.254.172.0/22 to leave by IPv4) is local whoever answers: a node that it
 * reaches sees the masqueraded address.
 */
export function giveToNode(part: EnrichedPart, node: EndOwner, unlisted: TrafficSum): EnrichedPart {
  const { flows, endpoints } = part;
  return relabel(part, (row) => {
    const [s, d] = [flows.source[row]!, flows.destination[row]!];
    if (!isUnowned(part, s) || isFoldedPair(part, s, d)) return undefined;
    const leaves = part.verdicts[d] !== KEPT && isLinkLocalV4(flows.addresses, s * ADDRESS_BYTES);
    if (!leaves && !isUnowned(part, d)) return undefined;
    const local = { owner: node, verdict: KEPT };
    const isSource = isPrivate(endpoints[s]!);
    if (!isSource && !isPrivate(endpoints[d]!)) return undefined;
    addRow(unlisted, flows, row);
    return isSource ? { source: local } : { destination: local };
  });
}

/**
 * Gives pairs of which no end is this node's, as far as all nodes' lists say, to its own pods that have the addresses too: pods of
 * several nodes have the same address where each node has a bridge of its own, and a node sees its own pods' traffic. Both ends are
 * looked at: two pods on one bridge are both local.
 */
export function giveToOwnPods(part: EnrichedPart, { collector, span }: ReceivedBatch, owners: Owners): EnrichedPart {
  const { flows, verdicts } = part;
  const excluded = new Set(collector.settings.excludeNamespaces);
  const ownPod = (index: number): RowOwner | undefined => {
    if (verdicts[index] !== NUMBER_OF.not_local && verdicts[index] !== NUMBER_OF.ambiguous) return undefined;
    const pod = owners.podOn(collector.node, flows.addresses, index * ADDRESS_BYTES, span.fromMs, span.toMs);
    if (pod === undefined) return undefined;
    return { owner: pod, verdict: excluded.has(pod.namespace) ? NUMBER_OF.excluded_namespace : KEPT };
  };
  return relabel(part, (row) => {
    const [s, d] = [flows.source[row]!, flows.destination[row]!];
    if (verdicts[s] === KEPT || verdicts[d] === KEPT) return undefined;
    const [source, destination] = [ownPod(s), ownPod(d)];
    return source === undefined && destination === undefined ? undefined : { source, destination };
  });
}

/** Without an owner, or folded by the collector. */
function isUnowned({ verdicts }: EnrichedPart, index: number): boolean {
  return verdicts[index] === NUMBER_OF.unknown_source || verdicts[index] === NUMBER_OF.too_many_pairs;
}

/** Both ends are folded: which addresses they were is not known. */
function isFoldedPair({ verdicts }: EnrichedPart, s: number, d: number): boolean {
  return verdicts[s] === NUMBER_OF.too_many_pairs && verdicts[d] === NUMBER_OF.too_many_pairs;
}

function isPrivate({ place }: Endpoint): boolean {
  return place === 'private' || place === 'unknown';
}
