/** The links of a network namespace, by rtnetlink. */
import { parseBridge, parseInfo } from 'netlink/dist/rt/ifla.js';
import { RtNetlinkSocket } from 'netlink/dist/rt/rt.js';
import { DumpSocket } from '../node-addresses.ts';

const ANSWER_TIMEOUT_MS = 5000;
/** `RT_SCOPE_UNIVERSE` of linux/rtnetlink.h: no link-local address, which every link has. */
const GLOBAL = 0;

/** A link as the kernel describes it (linux/if_link.h). */
export interface LinkFacts {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  /** `IFLA_STATS64`: bytes received and sent, with their link-level headers. */
  readonly rxBytes: number;
  readonly txBytes: number;
  /** `IFLA_INFO_KIND`: "bridge", "veth". */
  readonly kind: string | undefined;
  /** Index of the bridge that it is a port of. */
  readonly master: number | undefined;
  /** Its peer is in another network namespace (`IFLA_LINK_NETNSID`). */
  readonly peerElsewhere: boolean;
  /** It has a global address of the family. */
  readonly has: Readonly<Record<'v4' | 'v6', boolean>>;
  /** `IFLA_BR_NF_CALL_IPTABLES`, `_IP6TABLES`: this bridge alone passes its packets through netfilter, whatever the sysctl says. */
  readonly callsNetfilter: Readonly<Record<'v4' | 'v6', boolean>>;
}

/** A socket for the links of the network namespace that it was opened in. */
export interface LinkSocket {
  /** undefined: the kernel does not say. */
  read(): Promise<LinkFacts[] | undefined>;
  close(): void;
}

/** Opens a socket in the network namespace of the calling thread. */
export function openLinkSocket(): LinkSocket {
  const dumps = new DumpSocket();
  const socket = new RtNetlinkSocket(dumps);
  const options = { timeout: ANSWER_TIMEOUT_MS };
  return {
    async read() {
      const links = await dumps.whole(() => socket.getLinks({}, {}, options)).catch(() => 'refused' as const);
      const addresses = await dumps.whole(() => socket.getAddresses({}, {}, options)).catch(() => 'refused' as const);
      // A network namespace has its loopback.
      if (typeof links === 'string' || typeof addresses === 'string' || links.length === 0) return undefined;
      return links.map((link) => linkFacts(link, addresses));
    },
    close: () => dumps.close(),
  };
}

type Link = Awaited<ReturnType<RtNetlinkSocket['getLinks']>>[number];
type Address = Awaited<ReturnType<RtNetlinkSocket['getAddresses']>>[number];

function linkFacts({ data, attrs }: Link, addresses: readonly Address[]): LinkFacts {
  const { kind, data: details } = attrs.linkinfo === undefined ? {} : parseInfo(attrs.linkinfo);
  const bridge = kind === 'bridge' && details !== undefined ? parseBridge(details) : {};
  const own = addresses.filter((address) => address.data.index === data.index && address.data.scope === GLOBAL);
  const has = (bytes: number) => own.some((address) => address.attrs.address?.length === bytes);
  return {
    index: data.index ?? 0,
    name: attrs.ifname ?? '',
    up: data.flags?.up === true,
    rxBytes: Number(attrs.stats64?.rxBytes ?? 0),
    txBytes: Number(attrs.stats64?.txBytes ?? 0),
    kind,
    master: attrs.master,
    peerElsewhere: attrs.linkNetnsid !== undefined,
    has: { v4: has(4), v6: has(16) },
    callsNetfilter: { v4: bridge.nfCallIptables?.[0] === 1, v6: bridge.nfCallIp6tables?.[0] === 1 },
  };
}
