import { parseSet } from '@egressd/world/reference/reference';
import { sumTransfers, type Transfer, type Transfers } from '@egressd/world/reference/transfers';
import { INTERNET, nft, onNode, POD_NAMES, PODS } from './node.ts';

/** ICMP errors belong to another connection, and conntrack does not count them. */
const ERRORS = 'destination-unreachable, source-quench, redirect, time-exceeded, parameter-problem';
const COUNT = `icmp type { ${ERRORS} } return; update @v4 { ip saddr . ip daddr . meta l4proto };`;

/**
 * The reference: what comes to a pod and what leaves it, counted in the pod itself, where no flowtable, switch or IPVS is. On the way in
 * before, on the way out at the same place, in front of everything else.
 */
const RULES = `flush ruleset
table inet ends {
  set v4 { type ipv4_addr . ipv4_addr . inet_proto; flags dynamic; counter; size 65536; }
  chain in { type filter hook prerouting priority raw; ${COUNT} }
  chain out { type filter hook output priority raw; ${COUNT} }
}`;

export const LOAD_ENDS = POD_NAMES.map((pod) => nft(RULES, pod)).join('');

/**
 * What the node's pods have transferred. Between two pods the one that was asked counts: it sees the asking pod's own address, also where
 * a Service's was asked. With a host outside the pod counts: there the node's own address is seen.
 */
export async function readEnds(): Promise<Transfers> {
  const list = 'nft -j --numeric-protocol list set inet ends v4';
  const text = await onNode(POD_NAMES.map((pod) => `ip netns exec ${pod} ${list}\n`).join(''));
  const [web = [], db = []] = text.split('\n').filter(Boolean).map(parseSet);
  const outside = [...web, ...db].filter(({ source, destination }) => source === INTERNET || destination === INTERNET);
  return sumTransfers([...db.filter(isBetweenPods), ...outside]);
}

function isBetweenPods({ source, destination }: Transfer): boolean {
  const pods: readonly string[] = Object.values(PODS);
  return source !== destination && pods.includes(source) && pods.includes(destination);
}
