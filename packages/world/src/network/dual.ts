import { MASQUERADE_MARKED, proxyTable } from './kube-proxy.ts';
import { type Both, COMMON_LAYOUT, type Layout, NODES, type Node, type Pod, podsOn } from './layout.ts';
import { nodeEnd, podGateway } from './routed.ts';
import type { Blueprint, Cable, PodNetwork } from './wiring.ts';

/**
 * As an IPv6 cluster of EKS is: pods and Services have IPv6 addresses, and those alone are known to Kubernetes. To let pods reach IPv4,
 * each has a second link with an address of 169.254.172.0/22 (the egress plugin of the Amazon VPC CNI), the same ones on every node,
 * and the node translates them to its own.
 *
 *   pod eth0   ──── pod-NAME  node  uplink     IPv6: its own address, to everywhere
 *   pod v4if0  ──── v4-NAME                    IPv4: to nodes and the internet, by the node's address
 */

const EGRESS_RANGE = '169.254.172.0/22';
const EGRESS_GATEWAY = '169.254.172.1';

/** Addresses by the pod's place on its node. */
function withEgress(node: Node): Node {
  const pods = node.pods.map((pod, place) => ({ ...pod, address: { ...pod.address, v4: `169.254.172.${place + 2}` } }));
  return { ...node, pods };
}

const LAYOUT: Layout = { ...COMMON_LAYOUT, nodes: NODES.map(withEgress), families: ['v6'] };

function v4End(pod: string): string {
  return `v4-${pod}`;
}

function podLinks(node: Node, { name, address }: { readonly name: string; readonly address: Both }): string[] {
  const [link, egress] = [nodeEnd(name), v4End(name)];
  return [
    `link set ${link} up`,
    `addr add ${podGateway(node).v6}/64 dev ${link} nodad`,
    `route add ${address.v6}/128 dev ${link}`,
    `link set ${egress} up`,
    `addr add ${EGRESS_GATEWAY}/32 dev ${egress}`,
    `route add ${address.v4}/32 dev ${egress}`,
  ];
}

function onPod(node: Node, { address }: Pod): string[] {
  return [
    'link set eth0 up',
    `addr add ${address.v6}/128 dev eth0 nodad`,
    `route add ::/0 via ${podGateway(node).v6} dev eth0`,
    'link set v4if0 up',
    `addr add ${address.v4}/32 dev v4if0`,
    `route add ${EGRESS_GATEWAY} dev v4if0`,
    `route add default via ${EGRESS_GATEWAY}`,
  ];
}

const POD_NETWORK: PodNetwork = {
  cables: (node) =>
    podsOn(LAYOUT, node).flatMap(({ name }): Cable[] => [
      [name, 'eth0', node.name, nodeEnd(name)],
      [name, 'v4if0', node.name, v4End(name)],
    ]),
  sysctls: () => ({}),
  onNode: (node) => podsOn(LAYOUT, node).flatMap((pod) => podLinks(node, pod)),
  onPod,
  onGateway: () => LAYOUT.nodes.map(({ podRange, address }) => `route add ${podRange.v6} via ${address.v6}`),
  rules: ({ address }) =>
    proxyTable({
      services: LAYOUT.services,
      families: LAYOUT.families,
      postrouting: [
        MASQUERADE_MARKED,
        `ip saddr ${EGRESS_RANGE} ip daddr != 224.0.0.0/4 snat ip to ${address.v4} fully-random`,
      ],
    }),
};

export const DUAL: Blueprint = { layout: LAYOUT, podNetwork: POD_NETWORK };
