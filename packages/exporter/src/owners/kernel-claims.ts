import { addressOfKey, inRange, isPublic, isV4, type Range } from '@egressd/flow/address';
import type { NodeRecord } from './owners.ts';

/** Addresses of its tunnels and bridges that a node may have in the cluster's ranges, where nothing says which part of those is the node's. */
export const MAX_CLUSTER_CLAIMS = 8;
/** How alike a node's addresses on one network are: /24 of IPv4, /64 of IPv6. In bits of the 16 bytes. */
const NEIGHBOUR_BITS = { v4: 120, v6: 64 };

/** What is known of the cluster's addresses. */
export interface ClusterRanges {
  readonly ranges: readonly Range[];
  /** The node whose pod ranges hold the address. */
  nodeOfPodRange(address: Uint8Array): string | undefined;
}

/**
 * Which of the addresses that a node's kernel reports count in what other nodes report too. In what the node itself reports all of
 * them do: it is believed for its own traffic. A collector that lies must not turn the traffic of other nodes with the internet, with
 * a database or with new pods into traffic with its node. In this order:
 *
 *   in the node's own pod ranges (cni0, flannel.1)                   yes
 *   in another node's                                                no
 *   in the cluster's ranges (tunl0, vxlan.calico)                    the first `MAX_CLUSTER_CLAIMS`
 *   beside an address that is declared for it (VIPs, second ones)    yes
 *   private, where no address is declared for it                     yes
 *   all others: public ones, other networks                          no
 */
export function believedClaims(
  claims: readonly string[],
  node: NodeRecord,
  cluster: ClusterRanges,
): ReadonlySet<string> {
  let left = MAX_CLUSTER_CLAIMS;
  return new Set(
    claims.filter((key) => {
      const address = addressOfKey(key);
      if (node.podRanges?.some((range) => inRange(range, address))) return true;
      if (!cluster.ranges.some((range) => inRange(range, address))) return isPlausible(address, node);
      return left-- > 0 && cluster.nodeOfPodRange(address) === undefined;
    }),
  );
}

function isPlausible(address: Uint8Array, { addresses }: NodeRecord): boolean {
  if (addresses.length === 0) return !isPublic(address);
  return addresses.some((own) => isNeighbour(own, address));
}

function isNeighbour(one: Uint8Array, other: Uint8Array): boolean {
  return inRange({ bytes: one, bits: isV4(one) ? NEIGHBOUR_BITS.v4 : NEIGHBOUR_BITS.v6 }, other);
}
