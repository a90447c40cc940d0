import { randomBytes } from 'node:crypto';
import { runCommand } from '@egressd/world/network/commands';

/**
 * Three namespaces: a router that tracks connections between a client and a server, which never answer by themselves.
 *
 *   client 10.66.1.2, fd66:1::2 ── 10.66.1.1  router  10.66.2.1 ── 10.66.2.2, fd66:2::2 server
 */
export const CLIENT = { v4: '10.66.1.2', v6: 'fd66:1::2' } as const;
export const SERVER = { v4: '10.66.2.2', v6: 'fd66:2::2' } as const;
export const ROUTER = { v4: '10.66.1.1', v4Server: '10.66.2.1' } as const;
/** Addresses that no host has: the router turns them into the server's, and `hairpin` into the client's own. */
export const SERVICE = { v4: '10.96.0.10', v6: 'fd96::10', hairpin: '10.96.0.11' } as const;

const ROUTER_RULES = `
table inet corpus {
  chain zones {
    type filter hook prerouting priority -300
    tcp dport 7007 ct zone set 7
    tcp dport 7008 ct original zone set 8
    tcp dport 7009 ct reply zone set 9
  }
  chain services {
    type nat hook prerouting priority -100
    ip daddr ${SERVICE.v4} tcp dport 80 dnat ip to ${SERVER.v4}:8080
    ip6 daddr ${SERVICE.v6} tcp dport 80 dnat ip6 to [${SERVER.v6}]:8080
    ip daddr ${SERVICE.hairpin} tcp dport 80 dnat ip to ${CLIENT.v4}:8080
    ip daddr ${ROUTER.v4} tcp dport 30080 dnat ip to ${SERVER.v4}:8080
  }
  chain sources {
    type nat hook postrouting priority 100
    ip saddr ${CLIENT.v4} ip daddr ${CLIENT.v4} masquerade
    meta l4proto tcp ct original proto-dst { 30080, 9443 } masquerade
  }
  chain marks {
    type filter hook forward priority 0
    tcp dport 7010 ct mark set 0x1234
    ct state new,established,related accept
  }
  chain local {
    type filter hook output priority 0
    ct state new,established accept
  }
}`;

/** A host that hears neighbours and nothing else, so that it never answers. */
const SILENT_RULES = `
table inet no_replies {
  chain input {
    type filter hook input priority 0; policy drop
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  }
}`;

/** Sums in packets are not looked at, since they are not made. */
const ROUTER_SWITCHES = `
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=0
sysctl -qw net.ipv4.conf.to-client.send_redirects=0 net.netfilter.nf_conntrack_checksum=0
sysctl -qw net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_timestamp=1
`;

/** The namespaces, by the files that name them. */
export interface Router {
  readonly client: string;
  readonly router: string;
  readonly server: string;
  /** Runs a shell command in the router. */
  run(command: string): Promise<string>;
  remove(): Promise<void>;
}

/** Makes the namespaces; `remove` them whatever happens. */
export async function openRouter(): Promise<Router> {
  const run = `corpus-${process.pid}-${randomBytes(2).toString('hex')}`;
  const [client, router, server] = [`${run}-client`, `${run}-router`, `${run}-server`];
  const shell = (name: string, script: string, input = '') =>
    runCommand('ip', ['netns', 'exec', name, 'sh', '-ec', script], input);
  const remove = async () => {
    for (const name of [client, router, server]) await runCommand('ip', ['netns', 'del', name]).catch(() => {});
  };
  try {
    for (const name of [client, router, server]) await runCommand('ip', ['netns', 'add', name]);
    await shell(router, cable('to-client', client, '1'));
    await shell(router, cable('to-server', server, '2'));
    await shell(router, ROUTER_SWITCHES);
    await shell(router, 'nft -f -', ROUTER_RULES);
    await shell(client, host('1'));
    await shell(server, host('2'));
    for (const name of [client, server]) await shell(name, 'nft -f -', SILENT_RULES);
  } catch (error) {
    await remove();
    throw error;
  }
  const file = (name: string) => `/var/run/netns/${name}`;
  return {
    client: file(client),
    router: file(router),
    server: file(server),
    run: (command) => shell(router, command),
    remove,
  };
}

/** The router's end of a link, and the link's other end in its namespace. */
function cable(link: string, other: string, subnet: string): string {
  return `
    ip link set lo up
    ip link add ${link} type veth peer name eth0 netns ${other}
    ip addr add 10.66.${subnet}.1/24 dev ${link}
    ip addr add fd66:${subnet}::1/64 dev ${link} nodad
    ip link set ${link} up`;
}

function host(subnet: string): string {
  return `
    ip link set lo up
    ip addr add 10.66.${subnet}.2/24 dev eth0
    ip addr add fd66:${subnet}::2/64 dev eth0 nodad
    ip link set eth0 up
    ip route add default via 10.66.${subnet}.1
    ip -6 route add default via fd66:${subnet}::1`;
}
