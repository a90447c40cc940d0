import { dccp, type End, echo, gre, other, PROTOCOL, sctp, tcp, udp } from './packets.ts';
import { CLIENT, ROUTER, SERVER, SERVICE } from './router.ts';

/** One connection: what both ends send, one after the other, and under which sysctls. */
export interface Case {
  readonly name: string;
  /** Shell command in the router before it, and one after it that takes it back. */
  readonly before?: string;
  readonly after?: string;
  readonly packets: readonly Step[];
}

interface Step {
  readonly by: 'client' | 'server';
  /** Where the packet is sent to. */
  readonly to: string;
  readonly bytes: Uint8Array;
}

const byClient = (to: End, bytes: (from: End, to: End) => Uint8Array, port?: number): Step => {
  const from = { address: to.address.includes(':') ? CLIENT.v6 : CLIENT.v4, ...(port === undefined ? {} : { port }) };
  return { by: 'client', to: to.address, bytes: bytes(from, to) };
};
const byServer = (to: End, bytes: (from: End, to: End) => Uint8Array, port?: number): Step => {
  const from = { address: to.address.includes(':') ? SERVER.v6 : SERVER.v4, ...(port === undefined ? {} : { port }) };
  return { by: 'server', to: to.address, bytes: bytes(from, to) };
};

const SERVER_HTTP: End = { address: SERVER.v4, port: 8080 };
const SERVER_HTTP6: End = { address: SERVER.v6, port: 8080 };
const CLIENT_END: End = { address: CLIENT.v4, port: 40_001 };
const CLIENT_END6: End = { address: CLIENT.v6, port: 40_001 };

/** A TCP connection to `originalDestination`, answered by the server from `real` to `seen`, the client as the server sees it. */
function handshake(originalDestination: End, real: End, seen: End): Step[] {
  return [
    byClient(originalDestination, (from, to) => tcp(from, to, 'syn'), 40_001),
    byServer(seen, (from, to) => tcp(from, to, 'synAck'), real.port),
    byClient(originalDestination, (from, to) => tcp(from, to, 'ack'), 40_001),
    byClient(originalDestination, (from, to) => tcp(from, to, 'ack', 100), 40_001),
  ];
}

const syn = (port: number): Step => byClient({ address: SERVER.v4, port }, (from, to) => tcp(from, to, 'syn'), 40_001);

/** Every kind of entry that this kernel makes. */
export const CASES: readonly Case[] = [
  { name: 'tcp-v4', packets: handshake(SERVER_HTTP, SERVER_HTTP, CLIENT_END) },
  { name: 'tcp-v6', packets: handshake(SERVER_HTTP6, SERVER_HTTP6, CLIENT_END6) },
  {
    name: 'udp-v4',
    packets: [
      byClient({ address: SERVER.v4, port: 53 }, (from, to) => udp(from, to, 30), 40_001),
      byServer(CLIENT_END, (from, to) => udp(from, to, 300), 53),
    ],
  },
  {
    name: 'udp-v6-unreplied',
    packets: [byClient({ address: SERVER.v6, port: 53 }, (from, to) => udp(from, to, 30), 40_001)],
  },
  {
    name: 'sctp-v4',
    packets: [
      byClient({ address: SERVER.v4, port: 3868 }, (from, to) => sctp(from, to, 'init'), 40_001),
      byServer(CLIENT_END, (from, to) => sctp(from, to, 'initAck'), 3868),
    ],
  },
  { name: 'dccp-v4', packets: [byClient({ address: SERVER.v4, port: 5001 }, (from, to) => dccp(from, to), 40_001)] },
  {
    name: 'udplite-v4',
    packets: [byClient({ address: SERVER.v4, port: 5002 }, (from, to) => udp(from, to, 10, true), 40_001)],
  },
  {
    name: 'icmp-v4',
    packets: [
      byClient({ address: SERVER.v4 }, (from, to) => echo(from, to, 'request', 4242)),
      byServer({ address: CLIENT.v4 }, (from, to) => echo(from, to, 'reply', 4242)),
    ],
  },
  {
    name: 'icmpv6',
    packets: [
      byClient({ address: SERVER.v6 }, (from, to) => echo(from, to, 'request', 4242)),
      byServer({ address: CLIENT.v6 }, (from, to) => echo(from, to, 'reply', 4242)),
    ],
  },
  { name: 'gre-v4', packets: [byClient({ address: SERVER.v4 }, (from, to) => gre(from, to))] },
  { name: 'gre-v4-call', packets: [byClient({ address: SERVER.v4 }, (from, to) => gre(from, to, 77))] },
  {
    name: 'esp-v4',
    packets: [
      byClient({ address: SERVER.v4 }, (from, to) => other(PROTOCOL.esp, from, to, 64)),
      byServer({ address: CLIENT.v4 }, (from, to) => other(PROTOCOL.esp, from, to, 32)),
    ],
  },
  { name: 'ospf-v6', packets: [byClient({ address: SERVER.v6 }, (from, to) => other(PROTOCOL.ospf, from, to, 44))] },
  {
    name: 'dnat-service-v4',
    packets: handshake({ address: SERVICE.v4, port: 80 }, SERVER_HTTP, CLIENT_END),
  },
  {
    name: 'dnat-service-v6',
    packets: handshake({ address: SERVICE.v6, port: 80 }, SERVER_HTTP6, CLIENT_END6),
  },
  {
    name: 'dnat-hairpin',
    packets: [byClient({ address: SERVICE.hairpin, port: 80 }, (from, to) => tcp(from, to, 'syn'), 40_001)],
  },
  {
    name: 'dnat-nodeport-masquerade',
    packets: handshake({ address: ROUTER.v4, port: 30_080 }, SERVER_HTTP, {
      address: ROUTER.v4Server,
      port: 40_001,
    }),
  },
  {
    name: 'masquerade',
    packets: handshake(
      { address: SERVER.v4, port: 9443 },
      { address: SERVER.v4, port: 9443 },
      {
        address: ROUTER.v4Server,
        port: 40_001,
      },
    ),
  },
  { name: 'zone-both', packets: [syn(7007)] },
  { name: 'zone-original', packets: [syn(7008)] },
  { name: 'zone-reply', packets: [syn(7009)] },
  { name: 'mark', packets: [syn(7010)] },
  {
    name: 'no-counters',
    before: 'sysctl -qw net.netfilter.nf_conntrack_acct=0',
    after: 'sysctl -qw net.netfilter.nf_conntrack_acct=1',
    packets: [syn(7011)],
  },
  {
    name: 'no-timestamp',
    before: 'sysctl -qw net.netfilter.nf_conntrack_timestamp=0',
    after: 'sysctl -qw net.netfilter.nf_conntrack_timestamp=1',
    packets: [syn(7012)],
  },
];
