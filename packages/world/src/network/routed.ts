import { IP, MASQUERADE_MARKED, proxyTable } from './kube-proxy.ts';
import {
  type Both,
  CLUSTER,
  COMMON_LAYOUT,
  FAMILIES,
  type Family,
  type Layout,
  type Node,
  type Pod,
  podsOn,
} from './layout.ts';
import type { Blueprint, Cable, PodNetwork } from './wiring.ts';

/**
 * Pods with addresses that the whole network routes, as with the plugins that need no overlay (Calico and Cilium without a tunnel, the
 * clouds' own): no bridge, a single address, and a route to everything by the node.
 *
 *   pod eth0 ──── pod-NAME  node
 */
export function routedPodNetwork(layout: Layout): PodNetwork {
  return {
    cables: (node) => podsOn(layout, node).map(({ name }): Cable => [name, 'eth0', node.name, nodeEnd(name)]),
    sysctls: () => ({}),
    onNode: (node) => podsOn(layout, node).flatMap((pod) => podLink(node, pod)),
    onPod,
    onGateway: () =>
      layout.nodes.flatMap(({ podRange, address }) => [
        `route add ${podRange.v4} via ${address.v4}`,
        `route add ${podRange.v6} via ${address.v6}`,
      ]),
    rules: ({ podRange }) =>
      proxyTable({
        services: layout.services,
        postrouting: [MASQUERADE_MARKED, ...FAMILIES.map((family) => leaving(family, podRange))],
      }),
  };
}

/** The name of the node's end of a pod's cable. */
export function nodeEnd(pod: string): string {
  return `pod-${pod}`;
}

/** What a pod sees of its node: the same addresses on all of its cables. */
export function podGateway({ number }: Node): Both {
  return { v4: `10.10.${number}.1`, v6: 'fe80::1' };
}

function podLink(node: Node, { name, address }: Pod): string[] {
  const [gateway, link] = [podGateway(node), nodeEnd(name)];
  return [
    `link set ${link} up`,
    `addr add ${gateway.v4}/32 dev ${link}`,
    `addr add ${gateway.v6}/64 dev ${link} nodad`,
    `route add ${address.v4}/32 dev ${link}`,
    `route add ${address.v6}/128 dev ${link}`,
  ];
}

function onPod(node: Node, { address }: Pod): string[] {
  const gateway = podGateway(node);
  return [
    'link set eth0 up',
    `addr add ${address.v4}/32 dev eth0`,
    `addr add ${address.v6}/128 dev eth0 nodad`,
    `route add ${gateway.v4} dev eth0`,
    `route add default via ${gateway.v4}`,
    `route add ::/0 via ${gateway.v6} dev eth0`,
  ];
}

/** What leaves the cluster does so in the node's name. */
function leaving(family: Family, podRange: Both): string {
  return `${IP[family]} saddr ${podRange[family]} ${IP[family]} daddr != { ${CLUSTER[family].join(', ')} } masquerade`;
}

export const ROUTED: Blueprint = { layout: COMMON_LAYOUT, podNetwork: routedPodNetwork(COMMON_LAYOUT) };
