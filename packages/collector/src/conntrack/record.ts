/**
 * One connection, as every source delivers it: a fixed number of 32-bit words, so that a read is one typed array and nothing is
 * allocated per entry.
 *
 *   word   0      zone (low 16 bits), IP protocol << 16
 *          1..4   original source        16 bytes, IPv4 mapped, as they travel
 *          5..8   original destination   (a Service's virtual address, before DNAT)
 *          9      original ports: source << 16 | destination; ICMP: id << 16 | type << 8 | code; else 0
 *         10..11  identity: start time in ns since the epoch (low, high), or the kernel's id and 0 where timestamps are off
 *       ──────── words 0..11 are the key: two records with the same key are the same connection
 *         12..15  reply source           the one that answered (behind DNAT)
 *         16      reply ports, as word 9
 *         17..18  packets, original direction (low, high)     19..20  bytes, original direction
 *         21..22  packets, reply direction                    23..24  bytes, reply direction
 *         25      flags, see below
 *         26      status (IPS_* of linux/netfilter/nf_conntrack_common.h)
 *         27      seconds until it expires
 *         28..31  reply destination: as whom the one that answers sees the other, behind SNAT. 0 where the source does not know
 *
 * Addresses are bytes in network order, seen through a Uint8Array over the same buffer; all else is a number.
 */
export const STRIDE = 32;
export const KEY_WORDS = 12;

export const WORD = {
  zoneProtocol: 0,
  originalSource: 1,
  originalDestination: 5,
  originalPorts: 9,
  identity: 10,
  replySource: 12,
  replyPorts: 16,
  originalPackets: 17,
  originalBytes: 19,
  replyPackets: 21,
  replyBytes: 23,
  flags: 25,
  status: 26,
  timeout: 27,
  replyDestination: 28,
} as const;

/** Word 25. */
export const FLAG = {
  /** All four counters are there. Without them the connection was opened before accounting was on. */
  counters: 1,
  /** Words 10..11 are a start time, not an id. */
  start: 2,
  /** Word 27 is there: flow-offloaded connections carry no timeout. */
  timeout: 4,
  /** SNAT: the reply goes to another address than the original source. */
  sourceNat: 8,
  /** Other records count the same packets: their counters are kept, and give no flow. */
  countedElsewhere: 16,
} as const;

/** A run of records: `count` of them from the first word on. The buffer may be larger. */
export interface ConnectionBlock {
  readonly words: Uint32Array;
  readonly count: number;
}
