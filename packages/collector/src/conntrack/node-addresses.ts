import { ANY_V4, ANY_V6, inRange, isLoopback, parseRange, type Range } from '@egressd/flow/address';
// By its path: the package's front door also loads Wi-Fi, WireGuard and generic netlink, 10 MB of them.
import { createRtNetlink, type RtNetlinkSocket } from 'netlink/dist/rt/rt.js';

/** `RT_SCOPE_UNIVERSE` of linux/rtnetlink.h: valid everywhere, not only on a link or on the machine. */
const GLOBAL = 0;
const ANSWER_TIMEOUT_MS = 5000;
/** Global by scope where so configured, but the same on every node. */
const LINK_LOCAL: readonly Range[] = ['169.254.0.0/16', 'fe80::/10'].map((text) => parseRange(text)!);

/** A socket for the addresses of the network namespace that it was opened in. */
export interface AddressSocket {
  /** Addresses of all interfaces, 16 bytes each, without loopback and link-local ones. */
  read(): Promise<Uint8Array[]>;
  close(): void;
}

/** Opens a socket in the network namespace of the calling thread. */
export function openAddressSocket(): AddressSocket {
  const socket: RtNetlinkSocket = createRtNetlink();
  return {
    async read() {
      const messages = await socket.getAddresses({}, {}, { timeout: ANSWER_TIMEOUT_MS });
      return messages
        .filter(({ data }) => data.scope === GLOBAL)
        .map(({ attrs }) => sixteenBytes(attrs.local ?? attrs.address))
        .filter((address) => address !== undefined)
        .filter((address) => !isLoopback(address) && !LINK_LOCAL.some((range) => inRange(range, address)));
    },
    close: () => socket.socket.close(),
  };
}

function sixteenBytes(raw: Uint8Array | undefined): Uint8Array | undefined {
  if (raw?.length !== 4 && raw?.length !== 16) return undefined;
  const address = Uint8Array.from(raw.length === 4 ? ANY_V4 : ANY_V6);
  address.set(raw, 16 - raw.length);
  return address;
}
