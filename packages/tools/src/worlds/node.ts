import { type ChildProcess, spawn } from 'node:child_process';
import { runCommand } from '@egressd/world/network/commands';

/**
 * A node with two pods and a host outside the cluster. The node is the guest's own network namespace, since Open vSwitch and the
 * sysctls of IPVS live there; the others are namespaces with one link each.
 *
 *   web 10.10.1.2 eth0 ── pod-web ┐          ┌ uplink 10.0.0.1 ── eth0 10.0.0.10 internet
 *                                 ├ the node ┤
 *   db 10.10.1.3 eth0 ──── pod-db ┘          └ (how pods are connected is the case's)
 *
 * All of it is made by scripts for `sh`, few of them: emulated, it takes long to start a process from a large one.
 */
export const NODE_NAME = 'node-a';
export const NODE_ADDRESS = '10.0.0.1';
export const PODS = { web: '10.10.1.2', db: '10.10.1.3' } as const;
export const INTERNET = '10.0.0.10';
const POD_RANGE = '10.10.1.0/24';
/** What pods see of their node, where they are routed. */
const POD_GATEWAY = '169.254.1.1';

export const HOSTS = ['web', 'db', 'internet'] as const;
export type Host = (typeof HOSTS)[number];
export const POD_NAMES = ['web', 'db'] as const;

/** Addresses of the pods' links, known before they are up. */
export const MACS = { web: '02:00:00:00:01:02', db: '02:00:00:00:01:03' } as const;

/** What the collector's init container sets, and what a node forwards with. */
const SYSCTLS = [
  ...['acct', 'timestamp', 'events'].map((name) => `net.netfilter.nf_conntrack_${name}=1`),
  'net.ipv4.ip_forward=1',
  'net.ipv4.conf.all.rp_filter=0',
  'net.ipv4.conf.default.rp_filter=0',
  'net.ipv4.conf.all.send_redirects=0',
];

/** Namespaces, once; no links yet. */
export const MAKE_HOSTS = `modprobe nf_conntrack
sysctl -q ${SYSCTLS.join(' ')}
${HOSTS.map((host) => `ip netns add ${host}\nip -n ${host} link set lo up`).join('\n')}
`;

/** Cables and addresses; pods have no way out yet. */
export const CONNECT_HOSTS = `
${HOSTS.map((host) => `ip link add ${linkTo(host)} type veth peer name eth0 netns ${host}`).join('\n')}
${POD_NAMES.map((pod) => `ip -n ${pod} link set eth0 address ${MACS[pod]}`).join('\n')}
${HOSTS.map((host) => `ip link set ${linkTo(host)} up\nip -n ${host} link set eth0 up`).join('\n')}
ip addr add ${NODE_ADDRESS}/24 dev uplink
ip -n internet addr add ${INTERNET}/24 dev eth0
ip -n internet route add ${POD_RANGE} via ${NODE_ADDRESS}
`;

/** Connects the pods by routes, as many cloud networks do. */
export const ROUTE_PODS = POD_NAMES.map(
  (pod) => `
ip addr add ${POD_GATEWAY}/32 dev pod-${pod}
ip route add ${PODS[pod]} dev pod-${pod}
ip -n ${pod} addr add ${PODS[pod]}/32 dev eth0
ip -n ${pod} route add ${POD_GATEWAY} dev eth0
ip -n ${pod} route add default via ${POD_GATEWAY}
`,
).join('');

/** Removes the cables, with all addresses and routes, and the node's rules and connections. */
export const DISCONNECT_HOSTS = `
nft flush ruleset
${HOSTS.map((host) => `ip link delete ${linkTo(host)} || true`).join('\n')}
conntrack -F
`;

/** What leaves the cluster leaves by the node's address, so that the node tracks connections too. */
export const MASQUERADE = nft(
  `table ip leave { chain out { type nat hook postrouting priority srcnat; ip saddr ${POD_RANGE} oifname uplink masquerade; }; }`,
);

/** The node's end of a host's cable. */
function linkTo(host: Host): string {
  return host === 'internet' ? 'uplink' : `pod-${host}`;
}

/** A script's command that loads rules, on the node or on a host. */
export function nft(rules: string, host?: Host): string {
  return `${host === undefined ? '' : `ip netns exec ${host} `}nft -f - <<'END'\n${rules}\nEND\n`;
}

/** Runs a script on the node; it ends at the first command that fails. @returns its output */
export function onNode(script: string): Promise<string> {
  return runCommand('sh', ['-e'], script);
}

export function spawnOnHost(host: Host, command: string, args: readonly string[]): ChildProcess {
  return spawn('ip', ['netns', 'exec', host, command, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
}
