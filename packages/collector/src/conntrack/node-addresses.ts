import { ANY_V4, ANY_V6, inRange, isLoopback, parseRange, type Range } from '@egressd/flow/address';
import { MAX_NODE_ADDRESSES } from '@egressd/flow/node-health';
// By its path: the package's front door also loads Wi-Fi, WireGuard and generic netlink, 10 MB of them.
import { createRtNetlink, type RtNetlinkSocket } from 'netlink/dist/rt/rt.js';

/** `RT_SCOPE_UNIVERSE` of linux/rtnetlink.h: valid everywhere, not only on a link or on the machine. */
const GLOBAL = 0;
const ANSWER_TIMEOUT_MS = 5000;
/** Global by scope where so configured, but the same on every node. */
const LINK_LOCAL: readonly Range[] = ['169.254.0.0/16', 'fe80::/10'].map((text) => parseRange(text)!);

/** Interfaces of kube-proxy's IPVS mode and of NodeLocal DNSCache: they hold the cluster's virtual addresses on every node. */
const OF_SERVICES: ReadonlySet<string> = new Set(['kube-ipvs0', 'nodelocaldns']);

/** A socket for the addresses of the network namespace that it was opened in. */
export interface AddressSocket {
  /**
   * Addresses of the interfaces that are up, 16 bytes each, at most `MAX_NODE_ADDRESSES`, those of the first interfaces first. Left out are
   * loopback and link-local ones, and interfaces that hold the cluster's Services: kube-ipvs0 (which is down) has all of them.
   */
  read(): Promise<Uint8Array[]>;
  close(): void;
}

/** Opens a socket in the network namespace of the calling thread. */
export function openAddressSocket(): AddressSocket {
  const socket: RtNetlinkSocket = createRtNetlink();
  return {
    async read() {
      const options = { timeout: ANSWER_TIMEOUT_MS };
      const links = await socket.getLinks({}, {}, options);
      const own = new Set(links.filter(({ data, attrs }) => isOwn(data, attrs)).map(({ data }) => data.index));
      const messages = await socket.getAddresses({}, {}, options);
      return messages
        .filter(({ data }) => data.scope === GLOBAL && own.has(data.index))
        .sort((a, b) => (a.data.index ?? 0) - (b.data.index ?? 0))
        .map(({ attrs }) => sixteenBytes(attrs.local ?? attrs.address))
        .filter((address) => address !== undefined)
        .filter((address) => !isLoopback(address) && !LINK_LOCAL.some((range) => inRange(range, address)))
        .slice(0, MAX_NODE_ADDRESSES);
    },
    close: () => socket.socket.close(),
  };
}

type Link = Awaited<ReturnType<RtNetlinkSocket['getLinks']>>[number];

/** Up, and not one of those that hold addresses of Services. */
function isOwn({ flags }: Link['data'], { ifname = '' }: Link['attrs']): boolean {
  return flags?.up === true && !OF_SERVICES.has(ifname);
}

function sixteenBytes(raw: Uint8Array | undefined): Uint8Array | undefined {
  if (raw?.length !== 4 && raw?.length !== 16) return undefined;
  const address = Uint8Array.from(raw.length === 4 ? ANY_V4 : ANY_V6);
  address.set(raw, 16 - raw.length);
  return address;
}
