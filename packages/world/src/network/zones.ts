import {
  eachService,
  fromClusterIp,
  fromNodePort,
  IP,
  MASQUERADE_MARK,
  SET_MASQUERADE_MARK,
  serviceChains,
} from './kube-proxy.ts';
import {
  type Both,
  CLUSTER,
  COMMON_LAYOUT,
  FAMILIES,
  type Layout,
  NODE_A,
  type Node,
  type Pod,
  podsOn,
} from './layout.ts';
import { nodeEnd } from './routed.ts';
import type { Blueprint, Cable, PodNetwork } from './wiring.ts';

/**
 * As Open vSwitch leaves a node's conntrack table: what a pod sends and receives passes two zones of it, so there are two entries with
 * the same packets. Here packets leave the first zone by one end of a cable and come back by the other, which takes their entry from
 * them; from where they come says which zone is next.
 *
 *   pod ──── pod-NAME   zone of the pod   loop-out ═══ loop-in   zone 0, or that of another pod   uplink
 *                       DNAT of Services                         masquerade
 *
 *   node-a  as OVN-Kubernetes: a zone for each pod's port. Two pods of the node: the one's zone, then the other's
 *   node-b  as Antrea: one zone for all pods, which two pods of the node pass once; then the host's
 *
 * What comes from outside passes the zones the other way round. A Service is translated in the first zone alone, and what leaves the
 * cluster is masqueraded in the last.
 */

/** By which packets come to their second zone. */
const LOOP_IN = 'loop-in';
export const LOOP_OUT = 'loop-out';
/** The other end of the loop, as a next hop. */
const LOOP_HOP: Both = { v4: '169.254.2.1', v6: 'fe80::2:1' };
const LOOP_MAC = '02:00:00:00:00:02';
/** What a pod sees of its node. */
const POD_GATEWAY: Both = { v4: '169.254.1.1', v6: 'fe80::1' };

const LAYOUT: Layout = { ...COMMON_LAYOUT, secondPass: LOOP_IN };

/** Antrea's zone (CtZone of its pkg/agent/openflow). */
const ANTREA_ZONE = 65_520;
const OVN_ZONES = [10, 20, 30];

/** Whether the pods of a node have zones of their own. */
function hasPodZones({ name }: Node): boolean {
  return name === NODE_A.name;
}

function zoneOf(node: Node, pod: number): number {
  return hasPodZones(node) ? OVN_ZONES[pod]! : ANTREA_ZONE;
}

/** The node in the pods' network, as antrea-gw0 and ovn-k8s-mp0 are. */
function nodeAddress({ number }: Node): Both {
  return { v4: `10.10.${number}.1`, v6: `fd00:10:${number}::1` };
}

/** Routing tables: the first pod's, and that of what comes to a node from elsewhere. */
const FIRST_POD_TABLE = 100;
const OUTSIDE_TABLE = 200;

const prefix = (address: string) => `${address}/${address.includes(':') ? 128 : 32}`;
const viaLoop = (family: keyof Both) => `via ${LOOP_HOP[family]} dev ${LOOP_OUT} onlink`;

/** Where what a pod sends goes first: to whom it reaches without a second zone, its gateway, or the loop. */
function podTable(node: Node, place: number): string[] {
  const table = `table ${FIRST_POD_TABLE + place}`;
  const once = hasPodZones(node) ? [node.pods[place]!] : node.pods;
  return [
    ...once.flatMap(({ name, address }) =>
      FAMILIES.map((family) => `route add ${prefix(address[family])} dev ${nodeEnd(name)} ${table}`),
    ),
    // What the link itself needs is looked up as usual: ARP for the gateway, neighbour discovery.
    ...[prefix(POD_GATEWAY.v4), 'fe80::/10', 'ff00::/8'].map((range) => `route add throw ${range} ${table}`),
    `route add default ${viaLoop('v4')} ${table}`,
    `route add ::/0 ${viaLoop('v6')} ${table}`,
  ];
}

function podLink({ name, address }: Pod): string[] {
  const link = nodeEnd(name);
  return [
    `link set ${link} up`,
    `addr add ${POD_GATEWAY.v4}/32 dev ${link}`,
    `addr add ${POD_GATEWAY.v6}/64 dev ${link} nodad`,
    ...FAMILIES.flatMap((family) => [
      `route add ${prefix(address[family])} dev ${link}`,
      `route add ${prefix(address[family])} ${viaLoop(family)} table ${OUTSIDE_TABLE}`,
    ]),
  ];
}

function loop(node: Node): string[] {
  const address = nodeAddress(node);
  return [
    `link set ${LOOP_IN} address ${LOOP_MAC} up`,
    `link set ${LOOP_OUT} up`,
    `addr add ${address.v4}/32 dev ${LOOP_OUT}`,
    `addr add ${address.v6}/128 dev ${LOOP_OUT} nodad`,
    ...FAMILIES.map((family) => `neigh add ${LOOP_HOP[family]} lladdr ${LOOP_MAC} dev ${LOOP_OUT} nud permanent`),
  ];
}

function onPod(_: Node, { address }: Pod): string[] {
  return [
    'link set eth0 up',
    `addr add ${address.v4}/32 dev eth0`,
    `addr add ${address.v6}/128 dev eth0 nodad`,
    `route add ${POD_GATEWAY.v4} dev eth0`,
    `route add default via ${POD_GATEWAY.v4}`,
    `route add ::/0 via ${POD_GATEWAY.v6} dev eth0`,
  ];
}

/** Zones by where a packet comes from; in its second pass, by where it goes. */
function zoneRules(node: Node): string[] {
  return node.pods.flatMap(({ name, address }, place) => {
    const set = `ct zone set ${zoneOf(node, place)}`;
    return [
      `iifname ${nodeEnd(name)} ${set}`,
      ...FAMILIES.map((family) => `iifname ${LOOP_IN} ${IP[family]} daddr ${address[family]} ${set}`),
    ];
  });
}

function rules(node: Node): string {
  const { services } = LAYOUT;
  const entrances = (first: string) =>
    eachService(services, (service, family) => [
      ...fromClusterIp(service, family),
      ...fromNodePort(service, family, first),
    ]).flat();
  const leaving = FAMILIES.map(
    (family) =>
      `oifname uplink ${IP[family]} saddr ${node.podRange[family]} ${IP[family]} daddr != { ${CLUSTER[family].join(', ')} } masquerade`,
  );
  return `table inet zones {
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    iifname ${LOOP_IN} meta mark set 0
    ${zoneRules(node).join('\n    ')}
  }
}
table inet kube-proxy {
${eachService(services, serviceChains).join('\n')}
  chain from-pods {
    ${entrances('').join('\n    ')}
  }
  chain from-elsewhere {
    ${entrances(SET_MASQUERADE_MARK).join('\n    ')}
  }
  chain nat-prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    iifname ${LOOP_IN} return
    iifname "pod-*" goto from-pods
    jump from-elsewhere
  }
  chain nat-output { type nat hook output priority -100; policy accept; jump from-elsewhere; }
  chain nat-postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname != ${LOOP_OUT} meta mark & ${MASQUERADE_MARK} != 0 masquerade
    ${leaving.join('\n    ')}
  }
}
`;
}

const POD_NETWORK: PodNetwork = {
  cables: (node) => [
    [node.name, LOOP_OUT, node.name, LOOP_IN],
    ...podsOn(LAYOUT, node).map(({ name }): Cable => [name, 'eth0', node.name, nodeEnd(name)]),
  ],
  sysctls: () => ({
    // A packet of the node itself comes back by the loop, on its way to a pod.
    [`ipv4/conf/${LOOP_IN}/accept_local`]: 1,
    // A packet for the node's own socket is let go on to its second zone.
    'ipv4/ip_early_demux': 0,
  }),
  onNode: (node) => [...loop(node), ...node.pods.flatMap(podLink), ...node.pods.flatMap((_, i) => podTable(node, i))],
  onPod,
  policy: ({ pods }) => [
    ...pods.map(({ name }, i) => `rule add iif ${nodeEnd(name)} lookup ${FIRST_POD_TABLE + i} pref 10`),
    ...['uplink', 'lo'].map((link) => `rule add iif ${link} lookup ${OUTSIDE_TABLE} pref 20`),
    // What a pod sends to its own node passes the loop too: the local addresses come after.
    'rule add lookup local pref 30',
    'rule delete pref 0',
  ],
  onGateway: () =>
    LAYOUT.nodes.flatMap(({ podRange, address }) =>
      FAMILIES.map((family) => `route add ${podRange[family]} via ${address[family]}`),
    ),
  rules,
};

export const ZONES: Blueprint = { layout: LAYOUT, podNetwork: POD_NETWORK };
