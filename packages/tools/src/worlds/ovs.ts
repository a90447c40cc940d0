import type { Case } from './case.ts';
import { MACS, MASQUERADE, POD_NAMES, PODS } from './node.ts';
import { PLAIN, tcpTo } from './traffic.ts';

const BRIDGE = 'br-int';
/** The bridge's own port: the node among its pods, as ovn-k8s-mp0 and antrea-gw0 are. */
const GATEWAY = { address: '10.10.1.1', mac: '02:00:00:00:01:01' } as const;
const SERVICE = '10.96.0.10';

type Zones = Readonly<Record<keyof typeof PODS, number>>;
/** OVN-Kubernetes gives each pod's port a zone of its own; Antrea has one for all (CtZone of its pkg/agent/openflow). */
const OVN: Zones = { web: 10, db: 20 };
const ANTREA: Zones = { web: 65_520, db: 65_520 };

/**
 * Where a packet goes, by table:
 *
 *   0  from a pod: tracked in its zone, then 1            from the node: 2
 *   1  new: translated where it is for the Service, committed in the zone; then 2
 *   2  to a pod: tracked in that pod's zone, then 3       to anywhere else: the node
 *   3  new: committed; out to the pod
 *
 * Both drop what their table calls invalid, as here: conntrack counts none of it.
 */
function flows(zones: Zones): string[] {
  const twoZones = zones.web !== zones.db;
  return [
    'table=0,priority=10,arp,actions=normal',
    ...[1, 3].map((table) => `table=${table},priority=30,ct_state=+inv+trk,ip,actions=drop`),
    `table=2,priority=0,ip,actions=mod_dl_dst:${GATEWAY.mac},LOCAL`,
    'table=0,priority=10,ip,in_port=LOCAL,actions=resubmit(,2)',
    ...POD_NAMES.flatMap((pod) => {
      const zone = zones[pod];
      const deliver = `mod_dl_dst:${MACS[pod]},output:pod-${pod}`;
      return [
        `table=0,priority=10,ip,in_port=pod-${pod},actions=ct(table=1,zone=${zone},nat)`,
        `table=1,priority=20,ct_state=+new+trk,ip,in_port=pod-${pod},nw_dst=${SERVICE},actions=ct(commit,table=2,zone=${zone},nat(dst=${PODS.db}))`,
        `table=1,priority=10,ct_state=+new+trk,ip,in_port=pod-${pod},actions=ct(commit,table=2,zone=${zone})`,
        `table=1,priority=5,ip,in_port=pod-${pod},actions=resubmit(,2)`,
        // A packet is tracked once a zone: what comes from a pod of the same zone has been.
        ...(twoZones
          ? []
          : POD_NAMES.map(
              (from) => `table=2,priority=20,ip,in_port=pod-${from},nw_dst=${PODS[pod]},actions=${deliver}`,
            )),
        `table=2,priority=10,ip,nw_dst=${PODS[pod]},actions=ct(table=3,zone=${zone},nat)`,
        `table=3,priority=20,ct_state=+new+trk,ip,nw_dst=${PODS[pod]},actions=ct(commit,zone=${zone}),${deliver}`,
        `table=3,priority=10,ip,nw_dst=${PODS[pod]},actions=${deliver}`,
      ];
    }),
  ];
}

/** Where Debian has the database's schema and the switch: ovs-vswitchd(8). Started once, it stays until the guest ends. */
const START = `
if ! pidof ovs-vswitchd > /dev/null; then
  mkdir -p /run/openvswitch
  modprobe openvswitch
  ovsdb-tool create /tmp/ovs.db /usr/share/openvswitch/vswitch.ovsschema
  ovsdb-server /tmp/ovs.db --remote=punix:/run/openvswitch/db.sock --pidfile --detach --log-file=/dev/null
  ovs-vsctl --no-wait init
  /usr/lib/openvswitch-switch/ovs-vswitchd --pidfile --detach --log-file=/dev/null
fi
`;

/** A bridge with the pods' links, and the node on it. */
function bridge(zones: Zones): string {
  return `${START}
ovs-vsctl add-br ${BRIDGE} -- set bridge ${BRIDGE} other-config:hwaddr='"${GATEWAY.mac}"'
${POD_NAMES.map((pod) => `ovs-vsctl add-port ${BRIDGE} pod-${pod}`).join('\n')}
ovs-ofctl -O OpenFlow13 replace-flows ${BRIDGE} - <<'END'
${flows(zones).join('\n')}
END
ip link set ${BRIDGE} up
ip addr add ${GATEWAY.address}/24 dev ${BRIDGE}
${POD_NAMES.map((pod) => `ip -n ${pod} addr add ${PODS[pod]}/24 dev eth0\nip -n ${pod} route add default via ${GATEWAY.address}`).join('\n')}
${MASQUERADE}`;
}

const remove = `ovs-vsctl del-br ${BRIDGE}\n`;
const traffic = [...tcpTo('web', SERVICE), ...PLAIN];

export const OVS: readonly Case[] = [
  {
    name: "Open vSwitch, a zone for each pod's port, as OVN-Kubernetes",
    build: bridge(OVN),
    traffic,
    expected: 'payload',
    remove,
  },
  {
    name: "Open vSwitch, one zone, then the node's own, as Antrea",
    build: bridge(ANTREA),
    traffic,
    expected: 'payload',
    remove,
  },
];
