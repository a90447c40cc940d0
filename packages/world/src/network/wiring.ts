import { Bug } from '@egressd/flow/bug';
import { GATEWAY, INTERNET, NODES, type Node, OPS } from './layout.ts';

/**
 * What makes a world of empty namespaces, as text for the tools that do it.
 *
 *   pod eth0 ──── pod-NAME  node  uplink ──── NODE  gateway  ops, internet ──── uplink
 *
 * A pod has a single address and a route to everything by its node, as with the plugins that route (no bridge).
 */

/** Everything is named by the namespace it is in; `ns` makes the run's own name of it. */
type Naming = (host: string) => string;

const PEERS = [...NODES, OPS, INTERNET].map((host) => host.name);

/** All namespaces: pods, nodes, ops, internet, gateway. */
export const NAMESPACES: readonly string[] = [
  GATEWAY,
  ...PEERS,
  ...NODES.flatMap((node) => node.pods.map((pod) => pod.name)),
];

/** `ip -batch`: the namespaces. */
export function namespaceBatch(ns: Naming): string {
  return NAMESPACES.map((name) => `netns add ${ns(name)}\n`).join('');
}

/** `ip -batch`: the cables, each end made where it belongs, so that the host's own namespace sees none of them. */
export function cableBatch(ns: Naming): string {
  const cable = (a: string, nameA: string, b: string, nameB: string) =>
    `link add ${nameA} netns ${ns(a)} type veth peer name ${nameB} netns ${ns(b)}\n`;
  const uplinks = PEERS.map((name) => cable(name, 'uplink', GATEWAY, name));
  const pods = NODES.flatMap((node) => node.pods.map((pod) => cable(pod.name, 'eth0', node.name, `pod-${pod.name}`)));
  return [...uplinks, ...pods].join('');
}

/**
 * Kernel switches of every namespace: path under /proc/sys/net -> value. Set before there are links, which take over the
 * defaults. Without duplicate address detection IPv6 works at once.
 */
const SWITCHES: Readonly<Record<string, number>> = {
  'ipv4/ip_forward': 1,
  'ipv4/conf/all/rp_filter': 0,
  'ipv4/conf/default/rp_filter': 0,
  'ipv4/conf/all/send_redirects': 0,
  'ipv4/conf/default/send_redirects': 0,
  'ipv6/conf/all/disable_ipv6': 0,
  'ipv6/conf/default/disable_ipv6': 0,
  'ipv6/conf/all/forwarding': 1,
  'ipv6/conf/all/accept_dad': 0,
  'ipv6/conf/default/accept_dad': 0,
};
/** Switches of a node. Liberal, as on many clusters: a late ACK is counted rather than let through uncounted. */
const NODE_SWITCHES: Readonly<Record<string, number>> = {
  'netfilter/nf_conntrack_acct': 1,
  'netfilter/nf_conntrack_timestamp': 1,
  'netfilter/nf_conntrack_events': 1,
  'netfilter/nf_conntrack_tcp_be_liberal': 1,
};

/** A shell script that sets the switches of one namespace. */
export function switchScript(host: string): string {
  const node = NODES.some((each) => each.name === host);
  const all = { ...SWITCHES, ...(node ? NODE_SWITCHES : {}) };
  return ['set -e', ...Object.entries(all).map(([path, value]) => `echo ${value} > /proc/sys/net/${path}`)].join('\n');
}

/** `ip -batch` within one namespace: addresses and routes. */
export function routeBatch(host: string): string {
  const lines = ['link set lo up', ...(host === GATEWAY ? gatewayRoutes() : hostRoutes(host))];
  return lines.map((line) => `${line}\n`).join('');
}

/** The network between the gateway and one of its peers: the gateway is 1, the peer 2 (internet: 10). */
function uplink(peer: string): { v4: string; v6: string } {
  if (peer === INTERNET.name) return { v4: '203.0.113', v6: '2001:db8:113:' };
  const number = NODES.find((node) => node.name === peer)?.number ?? 9;
  return { v4: `10.240.${number}`, v6: `fd00:240:${number}:` };
}

function gatewayRoutes(): string[] {
  const links = PEERS.flatMap((peer) => {
    const { v4, v6 } = uplink(peer);
    return [`link set ${peer} up`, `addr add ${v4}.1/24 dev ${peer}`, `addr add ${v6}:1/64 dev ${peer} nodad`];
  });
  const pods = NODES.flatMap((node) => [
    `route add ${node.podRange.v4} via ${node.address.v4}`,
    `route add ${node.podRange.v6} via ${node.address.v6}`,
  ]);
  return [...links, ...pods];
}

function hostRoutes(host: string): string[] {
  const peer = [...NODES, OPS, INTERNET].find((each) => each.name === host);
  const node = NODES.find((each) => each.name === host);
  if (peer === undefined) return podRoutes(host);
  const { v4, v6 } = uplink(host);
  return [
    'link set uplink up',
    `addr add ${peer.address.v4}/24 dev uplink`,
    `addr add ${peer.address.v6}/64 dev uplink nodad`,
    `route add default via ${v4}.1`,
    `route add ::/0 via ${v6}:1`,
    ...(node?.pods.flatMap((pod) => podLink(node, pod.name, pod.address)) ?? []),
  ];
}

/** The node's end of a pod's cable: the same address on all of them. */
function podLink(node: Node, pod: string, address: { v4: string; v6: string }): string[] {
  return [
    `link set pod-${pod} up`,
    `addr add 10.10.${node.number}.1/32 dev pod-${pod}`,
    `addr add fe80::1/64 dev pod-${pod} nodad`,
    `route add ${address.v4}/32 dev pod-${pod}`,
    `route add ${address.v6}/128 dev pod-${pod}`,
  ];
}

function podRoutes(host: string): string[] {
  const node = NODES.find((each) => each.pods.some((pod) => pod.name === host));
  const pod = node?.pods.find((each) => each.name === host);
  if (node === undefined || pod === undefined) throw new Bug(`nobody is called ${host}`);
  return [
    'link set eth0 up',
    `addr add ${pod.address.v4}/32 dev eth0`,
    `addr add ${pod.address.v6}/128 dev eth0 nodad`,
    `route add 10.10.${node.number}.1 dev eth0`,
    `route add default via 10.10.${node.number}.1`,
    'route add ::/0 via fe80::1 dev eth0',
  ];
}
