import { getSystemErrorName } from 'node:util';
import { ANY_V4, ANY_V6, inRange, isLoopback, parseRange, type Range } from '@egressd/flow/address';
import { MAX_NODE_ADDRESSES } from '@egressd/flow/node-health';
// By their paths: the package's front door also loads Wi-Fi, WireGuard and generic netlink, 10 MB of them.
import { Protocol } from 'netlink/dist/constants.js';
import { NetlinkSocket } from 'netlink/dist/netlink.js';
import { type MessageInfo, RawNetlinkSocket } from 'netlink/dist/raw.js';
import { RtNetlinkSocket } from 'netlink/dist/rt/rt.js';
import type { NetlinkMessage } from 'netlink/dist/structs.js';

/** `RT_SCOPE_UNIVERSE` of linux/rtnetlink.h: valid everywhere, not only on a link or on the machine. */
const GLOBAL = 0;
const ANSWER_TIMEOUT_MS = 5000;
/** Attempts at a read: interfaces may come and go meanwhile. */
const MAX_ATTEMPTS = 3;
/** Message type and flag of linux/netlink.h: the end of a dump, with its error; something changed under the dump. */
const NLMSG_DONE = 3;
const NLM_F_DUMP_INTR = 0x10;
/** Global by scope where so configured, but the same on every node. */
const LINK_LOCAL: readonly Range[] = ['169.254.0.0/16', 'fe80::/10'].map((text) => parseRange(text)!);

/** Interfaces of kube-proxy's IPVS mode, of kube-router and of NodeLocal DNSCache: they hold the cluster's virtual addresses on every node. */
const OF_SERVICES: ReadonlySet<string> = new Set(['kube-ipvs0', 'kube-dummy-if', 'nodelocaldns']);

/** A socket for the addresses of the network namespace that it was opened in. */
export interface AddressSocket {
  /**
   * Addresses of the interfaces that are up, 16 bytes each, at most `MAX_NODE_ADDRESSES`, those of the first interfaces first. Left out are
   * loopback and link-local ones, and interfaces that hold the cluster's Services: kube-ipvs0 (which is down) has all of them.
   * @throws Error where the kernel refused a dump or broke it off, or has no interface at all: that is not to be taken for no addresses
   */
  read(): Promise<Uint8Array[]>;
  close(): void;
}

/** Opens a socket in the network namespace of the calling thread. */
export function openAddressSocket(): AddressSocket {
  const dumps = new DumpSocket();
  const socket = new RtNetlinkSocket(dumps);
  return {
    async read() {
      for (let attempt = 1; ; attempt++) {
        const options = { timeout: ANSWER_TIMEOUT_MS };
        const links = await dumps.whole(() => socket.getLinks({}, {}, options));
        const messages = await dumps.whole(() => socket.getAddresses({}, {}, options));
        if (links === 'interrupted' || messages === 'interrupted') {
          if (attempt < MAX_ATTEMPTS) continue;
          throw new Error('interfaces changed under every attempt to read them');
        }
        // A network namespace has its loopback.
        if (links.length === 0) throw new Error('the kernel shows no interface');
        return ownAddresses(links, messages);
      }
    },
    close: () => dumps.close(),
  };
}

/**
 * Looks at what the `netlink` package does not: the error in the last message of a dump (NLMSG_DONE), and the flag of one that is
 * inconsistent. A dump that the kernel refuses resolves to an empty list (findings/netlink-done-error.sh).
 */
export class DumpSocket extends NetlinkSocket {
  #errno = 0;
  #interrupted = false;

  constructor(protocol = Protocol.ROUTE) {
    super(new RawNetlinkSocket(protocol));
  }

  protected override handleMessages(messages: NetlinkMessage[], sender: MessageInfo): void {
    for (const { type, flags, data } of messages) {
      if ((flags & NLM_F_DUMP_INTR) !== 0) this.#interrupted = true;
      if (type === NLMSG_DONE && data.length >= 4) this.#errno = data.readInt32LE(0);
    }
    super.handleMessages(messages, sender);
  }

  /** What a dump brings, if it is whole. @throws Error with the kernel's reason */
  async whole<T>(dump: () => Promise<T[]>): Promise<T[] | 'interrupted'> {
    [this.#errno, this.#interrupted] = [0, false];
    const messages = await dump();
    if (this.#errno !== 0) throw new Error(`the kernel broke off a dump: ${getSystemErrorName(this.#errno)}`);
    return this.#interrupted ? 'interrupted' : messages;
  }
}

function ownAddresses(links: readonly Link[], messages: readonly Address[]): Uint8Array[] {
  const own = new Set(links.filter(({ data, attrs }) => isOwn(data, attrs)).map(({ data }) => data.index));
  return messages
    .filter(({ data }) => data.scope === GLOBAL && own.has(data.index))
    .sort((a, b) => (a.data.index ?? 0) - (b.data.index ?? 0))
    .map(({ attrs }) => sixteenBytes(attrs.local ?? attrs.address))
    .filter((address) => address !== undefined)
    .filter((address) => !isLoopback(address) && !LINK_LOCAL.some((range) => inRange(range, address)))
    .slice(0, MAX_NODE_ADDRESSES);
}

type Link = Awaited<ReturnType<RtNetlinkSocket['getLinks']>>[number];
type Address = Awaited<ReturnType<RtNetlinkSocket['getAddresses']>>[number];

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
