import { Bug } from '@egressd/flow/bug';
import { IP, MASQUERADE_MARK, proxyTable } from './kube-proxy.ts';
import {
  type Both,
  CLUSTER,
  COMMON_LAYOUT,
  FAMILIES,
  type Family,
  type Layout,
  NODE_A,
  type Node,
  type PlacedPod,
  type Pod,
  podsOn,
  type Service,
  STREAM_PORT,
} from './layout.ts';
import { nodeEnd } from './routed.ts';
import type { Blueprint, Cable, PodNetwork } from './wiring.ts';

/**
 * As flannel leaves a cluster (kubeadm, k3s), and much alike Calico's and Cilium's tunnels: a range of pod addresses a node, a bridge
 * for its pods, VXLAN from node to node. The network between the nodes knows no pod.
 *
 *   pod eth0 ──── pod-NAME ─┐         node                              uplink ──── gateway
 *   pod eth0 ──── pod-NAME ─┴ cni0 10.10.N.1  ─── flannel.1 10.10.N.0 ─── UDP 8472 ┘
 *
 * By three rules of masquerading a node shows itself with other addresses than its own:
 *
 *   who                        with                                             whose rule
 *   host to ClusterIP          flannel.1's, or cni0's for a pod of its own      kube-proxy: the source is no pod
 *   host to pod, elsewhere     flannel.1's                                      the kernel's choice; flannel, where it is bound otherwise
 *   pod to who is no pod       the node's                                       flannel
 *
 * The exporter is a pod of node-a behind a Service, so it sees the streams come from 10.10.2.0 and 10.10.1.1.
 */

/** In a namespace that collectors exclude: what they report must not make them report again. */
const EXPORTER: PlacedPod = {
  name: COMMON_LAYOUT.ops.name,
  namespace: 'egressd',
  node: NODE_A.name,
  address: { v4: '10.10.1.9', v6: 'fd00:10:1::9' },
};
const EXPORTER_SERVICE: Service = {
  name: 'egressd-exporter',
  protocol: 'tcp',
  address: { v4: '10.96.0.62', v6: 'fd00:96::62' },
  port: STREAM_PORT,
  targetPort: STREAM_PORT,
  backends: [EXPORTER],
};
const LAYOUT: Layout = {
  ...COMMON_LAYOUT,
  ops: EXPORTER,
  services: [...COMMON_LAYOUT.services, EXPORTER_SERVICE],
  exporterAddress: EXPORTER_SERVICE.address.v4,
  tls: true,
};

/** The addresses of all pods. */
const ALL_PODS: Both = { v4: CLUSTER.v4[0]!, v6: CLUSTER.v6[0]! };
const MULTICAST: Both = { v4: '224.0.0.0/4', v6: 'ff00::/8' };
const VXLAN_ID = 1;
const VXLAN_PORT = 8472;
/** What the outer headers leave: 50 bytes over IPv4, 70 over IPv6. Pods send no more than fits both. */
const MTU: Readonly<Record<Family, number>> = { v4: 1450, v6: 1430 };

const TUNNEL: Both = { v4: 'flannel.1', v6: 'flannel-v6.1' };

/** The first address of the node's range: flannel's own. */
function tunnelAddress({ podRange }: Node): Both {
  return { v4: podRange.v4.replace(/\/\d+$/, ''), v6: podRange.v6.replace(/\/\d+$/, '') };
}

function bridgeAddress({ number }: Node): Both {
  return { v4: `10.10.${number}.1`, v6: `fd00:10:${number}::1` };
}

/** Known to all nodes: flannel passes them on by Kubernetes. */
function tunnelMac({ number }: Node, family: Family): string {
  return `02:00:00:00:0${family === 'v4' ? 4 : 6}:0${number}`;
}

function otherNode({ name }: Node): Node {
  const found = LAYOUT.nodes.find((node) => node.name !== name);
  if (found === undefined) throw new Bug('an overlay of one node');
  return found;
}

function tunnel(node: Node, family: Family): string[] {
  const [link, other] = [TUNNEL[family], otherNode(node)];
  const host = family === 'v4' ? 32 : 128;
  const mac = tunnelMac(node, family);
  const there = tunnelAddress(other)[family];
  return [
    `link add ${link} address ${mac} mtu ${MTU[family]} type vxlan id ${VXLAN_ID} local ${node.address[family]} dev uplink dstport ${VXLAN_PORT} nolearning`,
    `addr add ${tunnelAddress(node)[family]}/${host} dev ${link}`,
    `link set ${link} up`,
    `neigh add ${there} lladdr ${tunnelMac(other, family)} dev ${link} nud permanent`,
    `route add ${other.podRange[family]} via ${there} dev ${link} onlink`,
  ];
}

function bridge(node: Node): string[] {
  const address = bridgeAddress(node);
  const ports = podsOn(LAYOUT, node).flatMap(({ name }) => [
    `link set ${nodeEnd(name)} master cni0 up`,
    // A pod may reach itself by a Service.
    `link set ${nodeEnd(name)} type bridge_slave hairpin on`,
  ]);
  return [
    // It would announce itself by IGMP, at any time.
    'link add cni0 type bridge mcast_snooping 0',
    `addr add ${address.v4}/24 dev cni0`,
    `addr add ${address.v6}/64 dev cni0 nodad`,
    `link set cni0 mtu ${MTU.v6} up`,
    ...ports,
  ];
}

function onPod(node: Node, { address }: Pod): string[] {
  const gateway = bridgeAddress(node);
  return [
    `link set eth0 mtu ${MTU.v6} up`,
    `addr add ${address.v4}/24 dev eth0`,
    `addr add ${address.v6}/64 dev eth0 nodad`,
    `route add default via ${gateway.v4}`,
    `route add ::/0 via ${gateway.v6}`,
  ];
}

/** FLANNEL-POSTRTG of flannel's pkg/trafficmngr/iptables, after kube-proxy's own rule (which removes its mark: outer packets keep it). */
function postrouting({ podRange }: Node): string[] {
  const flannel = FAMILIES.flatMap((family) => {
    const [ip, all, own] = [IP[family], ALL_PODS[family], podRange[family]];
    return [
      `${ip} saddr ${own} ${ip} daddr ${all} return`,
      `${ip} saddr ${all} ${ip} daddr ${own} return`,
      `${ip} saddr != ${all} ${ip} daddr ${own} return`,
      `${ip} saddr ${all} ${ip} daddr != ${MULTICAST[family]} masquerade fully-random`,
      `${ip} saddr != ${all} ${ip} daddr ${all} masquerade fully-random`,
    ];
  });
  return [
    `meta mark & ${MASQUERADE_MARK} != 0 meta mark set mark xor ${MASQUERADE_MARK} masquerade fully-random`,
    ...flannel,
  ];
}

const POD_NETWORK: PodNetwork = {
  cables: (node) => podsOn(LAYOUT, node).map(({ name }): Cable => [name, 'eth0', node.name, nodeEnd(name)]),
  // What kubeadm once checked: without it conntrack does not see what pods of one node send each other.
  sysctls: () => ({ 'bridge/bridge-nf-call-iptables': 1, 'bridge/bridge-nf-call-ip6tables': 1 }),
  onNode: (node) => [...bridge(node), ...FAMILIES.flatMap((family) => tunnel(node, family))],
  onPod,
  forwarding: (node) =>
    FAMILIES.map((family) => {
      const other = otherNode(node);
      return `fdb add ${tunnelMac(other, family)} dev ${TUNNEL[family]} dst ${other.address[family]} self permanent`;
    }),
  onGateway: () => [],
  rules: (node) => proxyTable({ services: LAYOUT.services, pods: ALL_PODS, postrouting: postrouting(node) }),
};

export const OVERLAY: Blueprint = { layout: LAYOUT, podNetwork: POD_NETWORK };
