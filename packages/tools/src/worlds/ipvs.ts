import type { Case } from './case.ts';
import { MASQUERADE, PODS, ROUTE_PODS } from './node.ts';
import { PLAIN, TCP_PORT, tcpTo, UDP_PORT, udpTo } from './traffic.ts';

const SERVICE = '10.96.0.10';
const PORTS = [
  ['-t', TCP_PORT],
  ['-u', UDP_PORT],
] as const;

/** A Service as kube-proxy makes it with IPVS: its address on a dummy link, its pod behind it by NAT: ipvsadm(8). */
function service(conntrack: 0 | 1): string {
  const servers = PORTS.flatMap(([kind, port]) => [
    `ipvsadm -A ${kind} ${SERVICE}:${port} -s rr`,
    `ipvsadm -a ${kind} ${SERVICE}:${port} -r ${PODS.db}:${port} -m`,
  ]);
  return `${ROUTE_PODS}${MASQUERADE}
modprobe ip_vs
sysctl -q net.ipv4.vs.conntrack=${conntrack}
ip link add kube-ipvs0 type dummy
ip addr add ${SERVICE}/32 dev kube-ipvs0
${servers.join('\n')}
`;
}

const remove = 'ipvsadm -C\nip link delete kube-ipvs0\n';
const traffic = [...tcpTo('web', SERVICE), udpTo('web', SERVICE), ...PLAIN];

export const IPVS: readonly Case[] = [
  { name: 'IPVS with net.ipv4.vs.conntrack=1', build: service(1), traffic, expected: 'exact', remove },
  { name: 'IPVS with net.ipv4.vs.conntrack=0', build: service(0), traffic, expected: { missing: 'ipvs' }, remove },
];
