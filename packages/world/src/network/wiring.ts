import { Bug } from '@egressd/flow/bug';
import { GATEWAY, HOSTS, INTERNET, type Layout, type Node, type Pod, podsOn } from './layout.ts';

/**
 * What makes a world of empty namespaces, as text for the tools that do it.
 *
 *   pod ──── node  uplink ──── NODE  gateway  ops, internet ──── uplink
 *
 * This part is the same in all kinds of worlds; how pods reach their node, and nodes each other's pods, is the kind's.
 */

/** Everything is named by the namespace it is in; `ns` makes the run's own name of it. */
export type Naming = (host: string) => string;
/** Two links with a cable between: namespace and name of each. */
export type Cable = readonly [host: string, link: string, other: string, otherLink: string];
/** Path under /proc/sys/net -> value. */
export type Sysctls = Readonly<Record<string, number>>;

/** How pods are connected: what is different from kind to kind. Lines are those of `ip -batch`. */
export interface PodNetwork {
  /** Cables of a node and its pods, made before anything has an address. */
  cables(node: Node): Cable[];
  /** Of a node, beside the usual ones: set once there are links. */
  sysctls(node: Node): Sysctls;
  /** Links, addresses and routes of a node, beside its uplink. */
  onNode(node: Node): string[];
  /** Links, addresses and routes of a pod. */
  onPod(node: Node, pod: Pod): string[];
  /** Lines of `ip -batch` on a node that are the same for both families: policy routing. */
  policy?(node: Node): string[];
  /** Forwarding entries of a node, for `bridge -batch`. */
  forwarding?(node: Node): string[];
  /** Routes to pods that the network between the nodes has. */
  onGateway(): string[];
  /** The node's rules for Services and for what leaves: text of `nft -f`. They make the namespace track connections. */
  rules(node: Node): string;
}

/** A kind of world. */
export interface Blueprint {
  readonly layout: Layout;
  readonly podNetwork: PodNetwork;
}

/** All namespaces: pods, nodes, ops, internet, gateway. */
export const NAMESPACES: readonly string[] = [GATEWAY, ...HOSTS.map(({ name }) => name)];

/** `ip -batch`: the namespaces. */
export function namespaceBatch(ns: Naming): string {
  return NAMESPACES.map((name) => `netns add ${ns(name)}\n`).join('');
}

/** Who has a cable to the gateway. */
function peersOf({ nodes, ops }: Layout): string[] {
  const hosts = 'node' in ops ? [...nodes, INTERNET] : [...nodes, ops, INTERNET];
  return hosts.map(({ name }) => name);
}

/** `ip -batch`: the cables, each end made where it belongs, so that the host's own namespace sees none of them. */
export function cableBatch({ layout, podNetwork }: Blueprint, ns: Naming): string {
  const uplinks = peersOf(layout).map((name): Cable => [name, 'uplink', GATEWAY, name]);
  const cables = [...uplinks, ...layout.nodes.flatMap((node) => podNetwork.cables(node))];
  return cables
    .map(([a, linkA, b, linkB]) => `link add ${linkA} netns ${ns(a)} type veth peer name ${linkB} netns ${ns(b)}\n`)
    .join('');
}

/**
 * Sysctls of every namespace. Set before there are links, which take over the defaults. Without duplicate address detection IPv6
 * works at once.
 */
const SYSCTLS: Sysctls = {
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
/** Sysctls of a node. Liberal, as on many clusters: a late ACK is counted rather than let through uncounted. */
const NODE_SYSCTLS: Sysctls = {
  'netfilter/nf_conntrack_acct': 1,
  'netfilter/nf_conntrack_timestamp': 1,
  'netfilter/nf_conntrack_events': 1,
  'netfilter/nf_conntrack_tcp_be_liberal': 1,
};

/** A shell script that sets sysctls in one namespace. */
export function sysctlScript(sysctls: Sysctls): string {
  const lines = Object.entries(sysctls).map(([path, value]) => `echo ${value} > /proc/sys/net/${path}`);
  return ['set -e', ...lines].join('\n');
}

/** What is set in a namespace before it has links. */
export function firstSysctls({ nodes }: Layout, host: string): Sysctls {
  return { ...SYSCTLS, ...(nodes.some(({ name }) => name === host) ? NODE_SYSCTLS : {}) };
}

/** `ip -batch` within one namespace: links, addresses and routes. */
export function routeBatch(blueprint: Blueprint, host: string): string {
  const lines = ['link set lo up', ...(host === GATEWAY ? gatewayRoutes(blueprint) : hostRoutes(blueprint, host))];
  return lines.map((line) => `${line}\n`).join('');
}

/** The network between the gateway and one of its peers: the gateway is 1, the peer 2 (internet: 10). */
function uplink({ nodes }: Layout, peer: string): { v4: string; v6: string } {
  if (peer === INTERNET.name) return { v4: '203.0.113', v6: '2001:db8:113:' };
  const number = nodes.find((node) => node.name === peer)?.number ?? 9;
  return { v4: `10.240.${number}`, v6: `fd00:240:${number}:` };
}

function gatewayRoutes({ layout, podNetwork }: Blueprint): string[] {
  const links = peersOf(layout).flatMap((peer) => {
    const { v4, v6 } = uplink(layout, peer);
    return [`link set ${peer} up`, `addr add ${v4}.1/24 dev ${peer}`, `addr add ${v6}:1/64 dev ${peer} nodad`];
  });
  return [...links, ...podNetwork.onGateway()];
}

function hostRoutes({ layout, podNetwork }: Blueprint, host: string): string[] {
  for (const node of layout.nodes) {
    if (node.name === host) return [...uplinkRoutes(layout, node), ...podNetwork.onNode(node)];
    const pod = podsOn(layout, node).find(({ name }) => name === host);
    if (pod !== undefined) return podNetwork.onPod(node, pod);
  }
  const peer = [layout.ops, INTERNET].find(({ name }) => name === host);
  if (peer === undefined) throw new Bug(`no host ${host}`);
  return uplinkRoutes(layout, peer);
}

function uplinkRoutes(layout: Layout, { name, address }: Pick<Node, 'name' | 'address'>): string[] {
  const { v4, v6 } = uplink(layout, name);
  return [
    'link set uplink up',
    `addr add ${address.v4}/24 dev uplink`,
    `addr add ${address.v6}/64 dev uplink nodad`,
    `route add default via ${v4}.1`,
    `route add ::/0 via ${v6}:1`,
  ];
}
