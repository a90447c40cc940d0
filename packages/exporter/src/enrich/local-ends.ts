import { ADDRESS_BYTES } from '@egressd/flow/address';
import type { Owner, Owners } from '../owners/owners.ts';
import type { ReceivedBatch } from '../receiver/received.ts';
import type { EndOwner, Endpoint } from './endpoint.ts';
import { addRow, type EnrichedPart, type Moved } from './enriched.ts';
import { KEPT, NUMBER_OF } from './verdict.ts';

/** The node that saw a batch, as the owner of what is local to it and in no list: no pod, no namespace. */
export function nodeOwner({ collector }: ReceivedBatch, owners: Owners): EndOwner {
  const { zone = '', region = '' } = owners.node(collector.node) ?? {};
  return { namespace: '', pod: '', node: collector.node, zone, region };
}

/**
 * Gives pairs of two addresses without an owner to the node that saw them: one of the two must be local to it, as pods' second
 * addresses that Kubernetes does not list (IPv4 egress of IPv6 clusters, Multus) or containers beside Kubernetes. The local end is the
 * private one; of two private ones it is who opened the connection. Two public ones stay dropped.
 */
export function giveToNode(part: EnrichedPart, node: EndOwner, unlisted: Moved): EnrichedPart {
  const { flows, endpoints } = part;
  return relabel(part, (row) => {
    const [s, d] = [flows.source[row]!, flows.destination[row]!];
    if (!isUnowned(part, s) || !isUnowned(part, d) || isFoldedPair(part, s, d)) return undefined;
    const index = isPrivate(endpoints[s]!) ? s : isPrivate(endpoints[d]!) ? d : undefined;
    if (index === undefined) return undefined;
    addRow(unlisted, flows, row);
    return { index, owner: node };
  });
}

/**
 * Gives pairs of which no end is this node's, as far as all nodes' lists say, to its own pod that has one of the addresses too: pods of
 * several nodes have the same address where each node has a bridge of its own, and a node sees its own pods' traffic.
 */
export function giveToOwnPods(part: EnrichedPart, { collector, span }: ReceivedBatch, owners: Owners): EnrichedPart {
  const { flows, verdicts } = part;
  const excluded = new Set(collector.settings.excludeNamespaces);
  const ownPod = (index: number): Owner | undefined => {
    if (verdicts[index] !== NUMBER_OF.not_local && verdicts[index] !== NUMBER_OF.ambiguous) return undefined;
    const pod = owners.podOn(collector.node, flows.addresses, index * ADDRESS_BYTES, span.fromMs, span.toMs);
    return pod === undefined || excluded.has(pod.namespace) ? undefined : pod;
  };
  return relabel(part, (row) => {
    const ends = [flows.source[row]!, flows.destination[row]!];
    if (ends.some((index) => verdicts[index] === KEPT)) return undefined;
    for (const index of ends) {
      const owner = ownPod(index);
      if (owner !== undefined) return { index, owner };
    }
    return undefined;
  });
}

/**
 * The same part with other owners at one end of some rows:
 *
 *   endpoints, verdicts   | as they were ... | one more for each address that gets another owner |
 *   source, destination   copies, in which such rows point behind the dictionary
 */
function relabel(
  part: EnrichedPart,
  ownerOf: (row: number) => { readonly index: number; readonly owner: EndOwner } | undefined,
): EnrichedPart {
  const { flows } = part;
  let changed: { source: Uint32Array; destination: Uint32Array; endpoints: Endpoint[]; verdicts: number[] } | undefined;
  const relabelled = new Map<number, number>();
  for (let row = 0; row < flows.rows; row++) {
    const found = ownerOf(row);
    if (found === undefined) continue;
    changed ??= {
      source: flows.source.slice(),
      destination: flows.destination.slice(),
      endpoints: [...part.endpoints],
      verdicts: [...part.verdicts],
    };
    const { index, owner } = found;
    const at = relabelled.get(index) ?? changed.endpoints.length;
    if (!relabelled.has(index)) {
      changed.endpoints.push({ ...part.endpoints[index]!, place: 'owned', owner });
      changed.verdicts.push(KEPT);
      relabelled.set(index, at);
    }
    if (flows.source[row] === index) changed.source[row] = at;
    else changed.destination[row] = at;
  }
  if (changed === undefined) return part;
  const { source, destination, endpoints, verdicts } = changed;
  return { flows: { ...flows, source, destination }, endpoints, verdicts: Uint8Array.from(verdicts) };
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
