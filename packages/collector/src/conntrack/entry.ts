import { FLAG, STRIDE, WORD } from './record.ts';
import type { SkipReason } from './source.ts';

/**
 * One entry of the kernel's table, as ctnetlink sends it: attributes, some of which hold attributes. Each begins at a multiple
 * of four bytes, so they are read as 32-bit words. What is not listed here is stepped over.
 *
 *   CTA_TUPLE_ORIG, CTA_TUPLE_REPLY            CTA_STATUS, CTA_ID, CTA_TIMEOUT (32 bits), CTA_ZONE (16 bits)
 *     CTA_TUPLE_IP                             CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY
 *       CTA_IP_V4_SRC, CTA_IP_V4_DST, or V6      CTA_COUNTERS_PACKETS, CTA_COUNTERS_BYTES (64 bits)
 *     CTA_TUPLE_PROTO                          CTA_TIMESTAMP
 *       CTA_PROTO_NUM, ports or ICMP             CTA_TIMESTAMP_START (64 bits, ns since the epoch)
 *     CTA_TUPLE_ZONE (one direction's own)
 *
 * An attribute is `length:16 type:16 payload` (struct nlattr, linux/netlink.h): the header is in the machine's byte order
 * (little-endian), the length counts it, the payload is in network order. Numbers are of linux/netfilter/nfnetlink_conntrack.h.
 */
const HEADER_BYTES = 4;
/** An attribute's type without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`. */
const TYPE_MASK = 0x3fff;

const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_STATUS = 3;
const CTA_TIMEOUT = 7;
const CTA_COUNTERS_ORIG = 9;
const CTA_COUNTERS_REPLY = 10;
const CTA_ID = 12;
const CTA_ZONE = 18;
const CTA_TIMESTAMP = 20;

const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_TUPLE_ZONE = 3;

const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;

const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;
const CTA_PROTO_ICMP_ID = 4;
const CTA_PROTO_ICMP_TYPE = 5;
const CTA_PROTO_ICMP_CODE = 6;
const CTA_PROTO_ICMPV6_ID = 7;
const CTA_PROTO_ICMPV6_TYPE = 8;
const CTA_PROTO_ICMPV6_CODE = 9;

const CTA_COUNTERS_PACKETS = 1;
const CTA_COUNTERS_BYTES = 2;
const CTA_TIMESTAMP_START = 1;

/** What a part of an entry gives that is not what the kernel's headers say. */
const MALFORMED = -1;
/** Both 64-bit counters of a direction were there. */
const BOTH_COUNTERS = 3;
/** `::ffff:0:0/96` in its third word, as it lies in memory. */
const MAPPED = 0xffff_0000;
/** `::1` in its last word, as it lies in memory. */
const LAST_OF_LOOPBACK_V6 = 0x0100_0000;

/**
 * Decodes one entry into the record that begins at word `base` of `block`.
 * @param datagram what was received, as words
 * @param begin first byte of the entry's attributes
 * @param end byte after the last
 * @returns why there is no record, or undefined
 */
export function decodeEntry(
  datagram: Uint32Array,
  begin: number,
  end: number,
  block: Uint32Array,
  base: number,
): SkipReason | undefined {
  block.fill(0, base, base + STRIDE);
  let original = MALFORMED;
  let reply = MALFORMED;
  let zone = 0;
  let forward = 0;
  let backward = 0;
  let flags = 0;
  for (let at = begin; at + HEADER_BYTES <= end; ) {
    const word = at >> 2;
    const header = datagram[word]!;
    const size = header & 0xffff;
    const inside = at + HEADER_BYTES;
    const after = at + size;
    if (size < HEADER_BYTES || after > end) return 'undecodable';
    switch ((header >>> 16) & TYPE_MASK) {
      case CTA_TUPLE_ORIG:
        original = decodeTuple(datagram, inside, after, block, base + WORD.originalSource, base + WORD.originalPorts);
        break;
      case CTA_TUPLE_REPLY:
        reply = decodeTuple(datagram, inside, after, block, base + WORD.replySource, base + WORD.replyPorts);
        break;
      case CTA_COUNTERS_ORIG:
        forward = decodeCounters(datagram, inside, after, block, base + WORD.originalPackets);
        break;
      case CTA_COUNTERS_REPLY:
        backward = decodeCounters(datagram, inside, after, block, base + WORD.replyPackets);
        break;
      case CTA_TIMESTAMP:
        flags |= decodeStart(datagram, inside, after, block, base + WORD.identity);
        break;
      case CTA_STATUS:
        if (size >= 8) block[base + WORD.status] = swap32(datagram[word + 1]!);
        break;
      case CTA_ID:
        if (size >= 8) block[base + WORD.id] = swap32(datagram[word + 1]!);
        break;
      case CTA_ZONE:
        if (size >= 6) zone = swap16(datagram[word + 1]!);
        break;
      case CTA_TIMEOUT:
        if (size < 8) break;
        block[base + WORD.timeout] = swap32(datagram[word + 1]!);
        flags |= FLAG.timeout;
        break;
    }
    at += (size + 3) & ~3;
  }

  if (original === MALFORMED || reply === MALFORMED || (original & 0xff) !== (reply & 0xff)) return 'undecodable';
  if (isLoopback(block, base + WORD.originalSource) && isLoopback(block, base + WORD.replySource)) return 'loopback';
  if (forward !== BOTH_COUNTERS || backward !== BOTH_COUNTERS) return 'no_counters';
  // A zone of one direction is inside its tuple; the tuple of the original direction is unique in the zone of that direction.
  block[base + WORD.zoneProtocol] = zone | (original >> 8) | ((original & 0xff) << 16);
  block[base + WORD.flags] = flags | FLAG.counters;
  if ((flags & FLAG.start) === 0) block[base + WORD.identity] = block[base + WORD.id]!;
  return undefined;
}

/**
 * Decodes a tuple: addresses to `source` (and, of the original direction, to the four words after it), ports to `ports`.
 * @returns protocol, and the tuple's own zone << 8; or `MALFORMED`
 */
function decodeTuple(
  datagram: Uint32Array,
  begin: number,
  end: number,
  block: Uint32Array,
  source: number,
  ports: number,
): number {
  let addresses = 0;
  let protocol = MALFORMED;
  let zone = 0;
  for (let at = begin; at + HEADER_BYTES <= end; ) {
    const header = datagram[at >> 2]!;
    const size = header & 0xffff;
    const after = at + size;
    if (size < HEADER_BYTES || after > end) return MALFORMED;
    switch ((header >>> 16) & TYPE_MASK) {
      case CTA_TUPLE_IP:
        addresses = decodeAddresses(datagram, at + HEADER_BYTES, after, block, source, ports - source);
        break;
      case CTA_TUPLE_PROTO:
        protocol = decodePorts(datagram, at + HEADER_BYTES, after, block, ports);
        break;
      case CTA_TUPLE_ZONE:
        if (size >= 6) zone = swap16(datagram[(at >> 2) + 1]!);
        break;
    }
    at += (size + 3) & ~3;
  }
  const complete = addresses === 0b0011 || addresses === 0b1100;
  return complete && protocol !== MALFORMED ? protocol | (zone << 8) : MALFORMED;
}

/**
 * Decodes the addresses of a tuple into the `room` words from `source` on: eight, or four where only the source is kept.
 * @returns a bit for each address that was there: IPv4 source and destination, IPv6 source and destination
 */
function decodeAddresses(
  datagram: Uint32Array,
  begin: number,
  end: number,
  block: Uint32Array,
  source: number,
  room: number,
): number {
  let found = 0;
  for (let at = begin; at + HEADER_BYTES <= end; ) {
    const header = datagram[at >> 2]!;
    const size = header & 0xffff;
    if (size < HEADER_BYTES || at + size > end) return 0;
    const type = (header >>> 16) & TYPE_MASK;
    const words = type <= CTA_IP_V4_DST ? 1 : 4;
    if (type >= CTA_IP_V4_SRC && type <= CTA_IP_V6_DST && size >= HEADER_BYTES + 4 * words) {
      found |= 1 << (type - CTA_IP_V4_SRC);
      const into = type === CTA_IP_V4_SRC || type === CTA_IP_V6_SRC ? source : source + 4;
      if (into < source + room) copyAddress(datagram, (at >> 2) + 1, words, block, into);
    }
    at += (size + 3) & ~3;
  }
  return found;
}

/** Copies an address of one (IPv4, which is mapped) or four words. */
function copyAddress(datagram: Uint32Array, word: number, words: number, block: Uint32Array, into: number): void {
  if (words === 1) {
    block[into + 2] = MAPPED;
    block[into + 3] = datagram[word]!;
    return;
  }
  block[into] = datagram[word]!;
  block[into + 1] = datagram[word + 1]!;
  block[into + 2] = datagram[word + 2]!;
  block[into + 3] = datagram[word + 3]!;
}

/**
 * Decodes protocol and ports (GRE: keys), or id, type and code of ICMP, into one word. Protocols without either have 0.
 * @returns the protocol, or `MALFORMED`
 */
function decodePorts(datagram: Uint32Array, begin: number, end: number, block: Uint32Array, into: number): number {
  let protocol = MALFORMED;
  let ports = 0;
  for (let at = begin; at + HEADER_BYTES <= end; ) {
    const header = datagram[at >> 2]!;
    const size = header & 0xffff;
    if (size < HEADER_BYTES || at + size > end) return MALFORMED;
    // An attribute without payload may be the last in the buffer: what is read beyond it is not there, and not used.
    const payload = size > HEADER_BYTES ? datagram[(at >> 2) + 1]! : 0;
    switch ((header >>> 16) & TYPE_MASK) {
      case CTA_PROTO_NUM:
        protocol = payload & 0xff;
        break;
      case CTA_PROTO_SRC_PORT:
      case CTA_PROTO_ICMP_ID:
      case CTA_PROTO_ICMPV6_ID:
        ports |= swap16(payload) << 16;
        break;
      case CTA_PROTO_DST_PORT:
        ports |= swap16(payload);
        break;
      case CTA_PROTO_ICMP_TYPE:
      case CTA_PROTO_ICMPV6_TYPE:
        ports |= (payload & 0xff) << 8;
        break;
      case CTA_PROTO_ICMP_CODE:
      case CTA_PROTO_ICMPV6_CODE:
        ports |= payload & 0xff;
        break;
    }
    at += (size + 3) & ~3;
  }
  block[into] = ports;
  return protocol;
}

/**
 * Decodes the counters of one direction into four words: packets (low, high), bytes (low, high).
 * @returns `BOTH_COUNTERS`, or less where one is not there
 */
function decodeCounters(datagram: Uint32Array, begin: number, end: number, block: Uint32Array, into: number): number {
  let found = 0;
  for (let at = begin; at + HEADER_BYTES <= end; ) {
    const word = at >> 2;
    const header = datagram[word]!;
    const size = header & 0xffff;
    if (size < HEADER_BYTES || at + size > end) return 0;
    const type = (header >>> 16) & TYPE_MASK;
    if ((type === CTA_COUNTERS_PACKETS || type === CTA_COUNTERS_BYTES) && size >= 12) {
      const counter = into + 2 * (type - CTA_COUNTERS_PACKETS);
      block[counter] = swap32(datagram[word + 2]!);
      block[counter + 1] = swap32(datagram[word + 1]!);
      found |= type;
    }
    at += (size + 3) & ~3;
  }
  return found;
}

/** Decodes the start time into two words (low, high). @returns `FLAG.start`, or 0 where there is none */
function decodeStart(datagram: Uint32Array, begin: number, end: number, block: Uint32Array, into: number): number {
  for (let at = begin; at + HEADER_BYTES <= end; ) {
    const word = at >> 2;
    const header = datagram[word]!;
    const size = header & 0xffff;
    if (size < HEADER_BYTES || at + size > end) return 0;
    if (((header >>> 16) & TYPE_MASK) === CTA_TIMESTAMP_START && size >= 12) {
      block[into] = swap32(datagram[word + 2]!);
      block[into + 1] = swap32(datagram[word + 1]!);
      return FLAG.start;
    }
    at += (size + 3) & ~3;
  }
  return 0;
}

function isLoopback(block: Uint32Array, at: number): boolean {
  if (block[at] !== 0 || block[at + 1] !== 0) return false;
  if (block[at + 2] === MAPPED) return (block[at + 3]! & 0xff) === 127;
  return block[at + 2] === 0 && block[at + 3] === LAST_OF_LOOPBACK_V6;
}

/** The 16 bits that lie first in memory, from network order. */
function swap16(word: number): number {
  return ((word & 0xff) << 8) | ((word >>> 8) & 0xff);
}

/** 32 bits from network order. */
function swap32(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}
