/**
 * Cilium's connection tracking maps, from bpf/lib/common.h and conntrack.h of Cilium 1.10 to 1.15. Everything is in the machine's
 * byte order but ports and addresses, which are as they travel.
 *
 *   key, packed         IPv4: 14 bytes    IPv6: 38 bytes
 *     daddr               @0                @0       the original source: the names read in the reply direction
 *     saddr               @4                @16      the original destination, after a Service was resolved
 *     dport               @8                @32      the original destination port; echo: the id
 *     sport               @10               @34      the original source port
 *     nexthdr             @12               @36      protocol
 *     flags               @13               @37      DIRECTION below
 *
 *   value, 56 bytes     word
 *     rx_packets          0..1    what the local endpoint received; a SERVICE entry's rx_bytes is a backend's number
 *     rx_bytes            2..3
 *     tx_packets          4..5    what the local endpoint sent, in OUT and IN entries alike
 *     tx_bytes            6..7    all bytes with the Ethernet header
 *     lifetime            8       when it expires: seconds since boot, or jiffies >> 8
 *     flags               9       ENTRY_FLAG below; high half: the Service's number
 *     ifindex, TCP flags  10      tx_flags_seen @42, rx_flags_seen @43
 *     ...                 11..13
 *
 * From Cilium 1.16 on, the value has the same size, but words 0..3 are no counters (nothing, a NAT address or a backend's number) and
 * words 4..7 are packets and bytes of both directions together, or 0 where counting is off, which it is by default.
 */
export const KEY_BYTES_V4 = 14;
export const KEY_BYTES_V6 = 38;
export const VALUE_BYTES = 56;
export const VALUE_WORDS = VALUE_BYTES / 4;

/** Last byte of a key. OUT is 0: opened by a local endpoint. */
export const DIRECTION = {
  /** Opened towards a local endpoint. */
  in: 1,
  /** For ICMP errors: its counters are a copy of another entry's. */
  related: 2,
  /** The Service's own entry, before a backend was chosen. */
  service: 4,
} as const;

/** Low half of word 9. */
export const ENTRY_FLAG = {
  /** A second entry of an endpoint that reaches itself by a Service. */
  loopback: 1 << 3,
  /** In an OUT entry: forwarded by this node in a NodePort's name. */
  nodePort: 1 << 5,
} as const;

export const WORD_RX_PACKETS = 0;
export const WORD_TX_PACKETS = 4;
export const WORD_LIFETIME = 8;
export const WORD_FLAGS = 9;
/** TCP flags that were received, in the highest byte. */
const WORD_TCP_FLAGS = 10;

/** Bytes of the Ethernet header: Cilium counts it, netfilter does not. */
export const ETHERNET_BYTES = 14;
/** The smallest frames there are: an Ethernet and an IP header. */
export const MIN_FRAME_V4 = ETHERNET_BYTES + 20;
export const MIN_FRAME_V6 = ETHERNET_BYTES + 40;
/** The largest: BIG TCP (`GSO_MAX_SIZE` of linux/netdevice.h), 8 times 65,535 bytes, and the header. */
export const MAX_FRAME = 8 * 65_535 + ETHERNET_BYTES;

/** Which layout of the values explains the counters of one entry. */
type EntryClass =
  /** Only the layout with one counter a direction explains it. */
  | 'directed'
  /** Both layouts explain it. */
  | 'ambiguous'
  /** All counters are 0. */
  | 'zero'
  /** The layout with one counter for both directions explains it, and not the other. */
  | 'summed'
  /** Neither does. */
  | 'unknown'
  /** A Service's, an ICMP error's or a loop's: not classified. */
  | 'excluded';

/**
 * Which layout explains an entry.
 * @param direction last byte of the key
 * @param protocol of the key
 * @param values words of values, and `at` the entry's first
 */
export function classifyEntry(
  direction: number,
  protocol: number,
  minFrame: number,
  values: Uint32Array,
  at: number,
): EntryClass {
  if (direction > DIRECTION.in) return 'excluded';
  if ((values[at + WORD_FLAGS]! & ENTRY_FLAG.loopback) !== 0) return 'excluded';
  const first = counterKind(values, at + WORD_RX_PACKETS, minFrame);
  const second = counterKind(values, at + WORD_TX_PACKETS, minFrame);
  if (first === 'zero' && second === 'zero') return 'zero';
  if (first === 'traffic' && second !== 'other') return 'directed';
  if (second !== 'traffic') return 'unknown';
  // Of an IPv4 address or a backend's number, which later versions keep there, one of the two is 0.
  if (first === 'other') return isHalf(values, at + WORD_RX_PACKETS) ? 'summed' : 'unknown';
  return hasReceived(direction, protocol, values[at + WORD_TCP_FLAGS]!) ? 'summed' : 'ambiguous';
}

/** An IN entry is made by what comes in; of TCP the flags that came in are kept. Then the counter of received packets is not 0. */
function hasReceived(direction: number, protocol: number, tcpFlags: number): boolean {
  return direction === DIRECTION.in || (protocol === TCP && tcpFlags >>> 24 !== 0);
}

const TCP = 6;

function isHalf(values: Uint32Array, at: number): boolean {
  return (wide(values, at) === 0) !== (wide(values, at + 2) === 0);
}

/** Whether packets at `at` and bytes behind them can be counters of traffic. */
function counterKind(values: Uint32Array, at: number, minFrame: number): 'zero' | 'traffic' | 'other' {
  const packets = wide(values, at);
  const bytes = wide(values, at + 2);
  if (packets === 0 && bytes === 0) return 'zero';
  return packets > 0 && bytes >= packets * minFrame && bytes <= packets * MAX_FRAME ? 'traffic' : 'other';
}

/** 64 bits as a double: exact below 2^53, which is enough to judge by. */
export function wide(words: Uint32Array, at: number): number {
  return words[at + 1]! * 0x1_0000_0000 + words[at]!;
}

/** Entries by class. */
export type LayoutCounts = Record<Exclude<EntryClass, 'excluded'>, number>;

/** No entries yet. */
export function noCounts(): LayoutCounts {
  return { directed: 0, ambiguous: 0, zero: 0, summed: 0, unknown: 0 };
}

/** What the maps' values are. */
export type Layout =
  /** One counter a direction: up to Cilium 1.15. */
  | 'directed'
  /** One for both directions together: from Cilium 1.16 on. */
  | 'summed'
  /** Nothing is counted. */
  | 'zero'
  /** No entry, or none that shows it. */
  | 'undetermined'
  /** None of those. */
  | 'unknown';

/** So many entries that contradict a layout refute it: fewer may have been read while they were written. */
export const CONTRADICTIONS_TO_REJECT = 8;

/** The layout that explains all entries together. Where they contradict each other, as after an upgrade of Cilium, the directed ones do not win. */
export function layoutOf({ directed, ambiguous, zero, summed, unknown }: LayoutCounts): Layout {
  const contradictions = summed + unknown;
  if (contradictions >= CONTRADICTIONS_TO_REJECT || contradictions * 20 > directed) {
    if (contradictions > 0) return summed >= unknown ? 'summed' : 'unknown';
  }
  if (directed > 0) return 'directed';
  return zero > 0 && ambiguous === 0 ? 'zero' : 'undetermined';
}
