import { COMMON_LAYOUT, type Layout } from './layout.ts';
import { routedPodNetwork } from './routed.ts';
import type { Blueprint, PodNetwork } from './wiring.ts';

/**
 * As a flowtable without `counter` leaves a node's conntrack table, in the form that kind's own network has: a forwarded connection that is
 * not translated passes conntrack by once it has moved 20 packets. Here rules play it (not every kernel has flowtables), so that all
 * that passes by is known: it has a mark and counters of its own, by pair of addresses.
 *
 *   prerouting raw   in `fast`, no SYN, FIN or RST: counted in `passed`, marked, untracked
 *   conntrack
 *   forward          after 20 packets both directions are put in `fast`
 *
 * What opens or closes a connection goes the slow way in a flowtable too (nf_flow_tcp_state_check of nf_flow_table_ip.c).
 */

/** The mark of what passes conntrack by: reference.nft has the same. */
const PASSED_MARK = '0x80000';
const PACKETS = 20;

const TUPLE = 'meta l4proto . th sport . th dport';
const BACK = 'meta l4proto . th dport . th sport';
const PLAIN = `meta l4proto { tcp, udp } ct status ! snat ct status ! dnat ct packets > ${PACKETS}`;

const OFFLOADING = `table inet offloaded {
  set fast4 { type ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service; flags dynamic; size 65536; }
  set fast6 { type ipv6_addr . ipv6_addr . inet_proto . inet_service . inet_service; flags dynamic; size 65536; }
  set passed4 { type ipv4_addr . ipv4_addr . inet_proto; flags dynamic; counter; size 65536; }
  set passed6 { type ipv6_addr . ipv6_addr . inet_proto; flags dynamic; counter; size 65536; }
  chain pass-by {
    meta mark set mark or ${PASSED_MARK}
    update @passed4 { ip saddr . ip daddr . meta l4proto }
    update @passed6 { ip6 saddr . ip6 daddr . meta l4proto }
    notrack
  }
  chain early {
    type filter hook prerouting priority raw; policy accept;
    tcp flags & (fin | syn | rst) != 0 return
    ip saddr . ip daddr . ${TUPLE} @fast4 goto pass-by
    ip6 saddr . ip6 daddr . ${TUPLE} @fast6 goto pass-by
  }
  chain forwarded {
    type filter hook forward priority filter; policy accept;
    ${PLAIN} add @fast4 { ip saddr . ip daddr . ${TUPLE} } add @fast4 { ip daddr . ip saddr . ${BACK} }
    ${PLAIN} add @fast6 { ip6 saddr . ip6 daddr . ${TUPLE} } add @fast6 { ip6 daddr . ip6 saddr . ${BACK} }
  }
}
`;

const LAYOUT: Layout = { ...COMMON_LAYOUT, passedBy: 'offloaded' };
const ROUTED = routedPodNetwork(LAYOUT);
const POD_NETWORK: PodNetwork = { ...ROUTED, rules: (node) => `${ROUTED.rules(node)}${OFFLOADING}` };

export const OFFLOADED: Blueprint = { layout: LAYOUT, podNetwork: POD_NETWORK };
