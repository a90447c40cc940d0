import { FLAG, STRIDE, WORD } from '../record.ts';
import type { Clock } from './clock.ts';
import { ENDPOINT, type Endpoints } from './endpoints.ts';
import {
  classifyEntry,
  DIRECTION,
  ENTRY_FLAG,
  ETHERNET_BYTES,
  KEY_BYTES_V4,
  KEY_BYTES_V6,
  type LayoutCounts,
  MAX_FRAME,
  MIN_FRAME_V4,
  MIN_FRAME_V6,
  noCounts,
  VALUE_WORDS,
  WORD_FLAGS,
  WORD_LIFETIME,
  WORD_RX_PACKETS,
  WORD_TX_PACKETS,
  wide,
} from './layout.ts';

/**
 * The loop's own constants: an imported one is looked up at every use, which is a good part of so short a loop (measured by exchanging
 * them for numbers).
 */
const RECORD = STRIDE;
const VALUE = VALUE_WORDS;
const { in: IN, service: SERVICE } = DIRECTION;
const { loopback: LOOPBACK, nodePort: NODE_PORT } = ENTRY_FLAG;
const { pod: POD, host: HOST } = ENDPOINT;
const [LIFETIME, FLAGS, RX, TX] = [WORD_LIFETIME, WORD_FLAGS, WORD_RX_PACKETS, WORD_TX_PACKETS];
const [ETHERNET, LARGEST] = [ETHERNET_BYTES, MAX_FRAME];
const { zoneProtocol, originalSource, originalDestination, originalPorts, replySource, replyPorts } = WORD;
const { originalPackets, timeout } = WORD;

/** `::ffff:0:0/96` in its third word, as it lies in memory. */
const MAPPED = 0xffff_0000;
const TWO_32 = 0x1_0000_0000;

/** Entries as a batch brings them: keys packed, seen as halfwords since none begins at a word; values as words. */
export interface Entries {
  readonly family: 4 | 6;
  readonly keys: Uint16Array;
  readonly values: Uint32Array;
}

/** The same bytes as entries of one family. */
export function viewEntries(family: 4 | 6, keys: Uint8Array, values: Uint8Array): Entries {
  return {
    family,
    keys: new Uint16Array(keys.buffer, keys.byteOffset, keys.length >> 1),
    values: new Uint32Array(values.buffer, values.byteOffset, values.length >> 2),
  };
}

/** Counts of one read. */
export interface Tally {
  /** Skipped: no flow of their own (a Service's, an ICMP error's, a loop's). */
  service: number;
  related: number;
  /** Skipped: the same flow's other entry, at its source, is read. */
  counted_at_source: number;
  /** Skipped: all counters are 0. */
  no_counters: number;
  /** Skipped: this layout does not explain them. */
  undecodable: number;
  /** The latest moment at which an entry expires, in the clock's units. */
  latest: number;
  /** Of the entries that were skipped for their counters. */
  readonly layoutCounts: LayoutCounts;
}

/** Nothing read yet. */
export function startTally(): Tally {
  const layoutCounts = noCounts();
  return { service: 0, related: 0, counted_at_source: 0, no_counters: 0, undecodable: 0, latest: 0, layoutCounts };
}

/** What a read decodes with, the same from its begin to its end. */
export interface DecodeContext {
  readonly endpoints: Endpoints;
  readonly clock: Clock;
  readonly tally: Tally;
}

/**
 * A block for records of one family. What is the same in all of them stands there from the beginning: flags, zeroes where Cilium keeps
 * nothing, and of IPv4 addresses all but the last word.
 */
export function newBlock(family: 4 | 6, records: number): Uint32Array<ArrayBuffer> {
  const block = new Uint32Array(records * STRIDE);
  for (let base = 0; base < block.length; base += STRIDE) {
    block[base + WORD.flags] = FLAG.counters | FLAG.timeout;
    if (family === 6) continue;
    for (const address of [WORD.originalSource, WORD.originalDestination, WORD.replySource])
      block[base + address + 2] = MAPPED;
  }
  return block;
}

/**
 * Decodes entries of the directed layout into the records of a block, until the entries or the block end.
 * @param from first entry
 * @param to behind the last entry
 * @param zone what keeps the connections of one map apart from those of others
 * @param block of `newBlock`, for the entries' family
 * @returns where it stopped: the next entry and the number of records
 */
export function decodeEntries(
  { family, keys, values }: Entries,
  from: number,
  to: number,
  zone: number,
  block: Uint32Array,
  { endpoints, clock, tally }: DecodeContext,
): { readonly next: number; readonly count: number } {
  const halves = (family === 4 ? KEY_BYTES_V4 : KEY_BYTES_V6) >> 1;
  const minFrame = family === 4 ? MIN_FRAME_V4 : MIN_FRAME_V6;
  const room = block.length / RECORD;
  const { now, secondsAUnit } = clock;
  let latest = tally.latest;
  let entry = from;
  let count = 0;
  for (; entry < to && count < room; entry++) {
    const key = entry * halves;
    const value = entry * VALUE;
    const base = count * RECORD;
    const last = keys[key + halves - 1]!;
    const direction = last >>> 8;
    const lifetime = values[value + LIFETIME]!;
    if (lifetime > latest) latest = lifetime;
    if (direction > IN) {
      if ((direction & SERVICE) !== 0) tally.service++;
      else tally.related++;
      continue;
    }
    const isIn = direction === IN;
    if ((values[value + FLAGS]! & (isIn ? LOOPBACK : NODE_PORT)) !== 0) {
      tally.counted_at_source++;
      continue;
    }
    if (family === 4) writeAddressesV4(keys, key, block, base);
    else writeAddressesV6(keys, key, block, base);
    // A flow between two endpoints of the node has two entries. A pod's OUT entry is the one that counts; the host has one only in some
    // configurations, so that there the pod's IN entry counts.
    const source =
      family === 4
        ? endpoints.kindOfV4(keys[key]! | (keys[key + 1]! << 16))
        : endpoints.kindOf(block, base + originalSource);
    if (isIn ? source === POD : source === HOST && isToPod(endpoints, block, base)) {
      tally.counted_at_source++;
      continue;
    }
    // Original is what the opener sent: a local endpoint's tx, or where it was opened from elsewhere, what that endpoint received.
    const original = value + (isIn ? RX : TX);
    const reply = value + (isIn ? TX : RX);
    if (!copyCounters(values, original, reply, minFrame, block, base + originalPackets)) {
      skipEntry(tally, direction, last & 0xff, minFrame, values, value);
      continue;
    }
    const protocol = last & 0xff;
    block[base + zoneProtocol] = zone | (protocol << 16);
    const destinationPort = swap16(keys[key + halves - 3]!);
    const sourcePort = swap16(keys[key + halves - 2]!);
    if (protocol === ICMP || protocol === ICMPV6) {
      // One of the two is the id of an echo, the other 0; type and code are not kept.
      block[base + originalPorts] = (sourcePort | destinationPort) << 16;
      block[base + replyPorts] = (sourcePort | destinationPort) << 16;
    } else {
      block[base + originalPorts] = (sourcePort << 16) | destinationPort;
      block[base + replyPorts] = (destinationPort << 16) | sourcePort;
    }
    block[base + timeout] = lifetime > now ? (lifetime - now) * secondsAUnit : 0;
    count++;
  }
  tally.latest = latest;
  return { next: entry, count };
}

const ICMP = 1;
const ICMPV6 = 58;

/** The other end is a pod of the node. */
function isToPod(endpoints: Endpoints, block: Uint32Array, base: number): boolean {
  return endpoints.kindOf(block, base + replySource) === POD;
}

/**
 * Copies packets and bytes of both directions, without Ethernet headers. The reply direction may be 0.
 * @param original word of the packets of this direction, and `reply` of the other
 * @returns false where these are no counters
 */
function copyCounters(
  values: Uint32Array,
  original: number,
  reply: number,
  minFrame: number,
  block: Uint32Array,
  to: number,
): boolean {
  const high = values[original + 1]! | values[original + 3]! | values[reply + 1]! | values[reply + 3]!;
  if (high !== 0) {
    const isAny = wide(values, original) !== 0;
    return isAny && copyWide(values, original, minFrame, block, to) && copyWide(values, reply, minFrame, block, to + 4);
  }
  const packets = values[original]!;
  const bytes = values[original + 2]!;
  const replyPackets = values[reply]!;
  const replyBytes = values[reply + 2]!;
  block[to] = packets;
  block[to + 1] = 0;
  block[to + 2] = bytes - packets * ETHERNET;
  block[to + 3] = 0;
  block[to + 4] = replyPackets;
  block[to + 5] = 0;
  block[to + 6] = replyBytes - replyPackets * ETHERNET;
  block[to + 7] = 0;
  return (
    packets !== 0 &&
    bytes >= packets * minFrame &&
    bytes <= packets * LARGEST &&
    replyBytes >= replyPackets * minFrame &&
    replyBytes <= replyPackets * LARGEST
  );
}

/** Packets and bytes of one direction, beyond 32 bits. */
function copyWide(values: Uint32Array, from: number, minFrame: number, block: Uint32Array, to: number): boolean {
  const packets = wide(values, from);
  const bytes = wide(values, from + 2);
  const payload = bytes - packets * ETHERNET;
  block[to] = values[from]!;
  block[to + 1] = values[from + 1]!;
  block[to + 2] = payload;
  block[to + 3] = payload / TWO_32;
  return bytes >= packets * minFrame && bytes <= packets * LARGEST;
}

function skipEntry(
  tally: Tally,
  direction: number,
  protocol: number,
  minFrame: number,
  values: Uint32Array,
  at: number,
): void {
  const entryClass = classifyEntry(direction, protocol, minFrame, values, at);
  if (entryClass === 'zero') tally.no_counters++;
  else tally.undecodable++;
  if (entryClass !== 'excluded') tally.layoutCounts[entryClass]++;
}

function writeAddressesV4(keys: Uint16Array, key: number, block: Uint32Array, base: number): void {
  const destination = keys[key + 2]! | (keys[key + 3]! << 16);
  block[base + originalSource + 3] = keys[key]! | (keys[key + 1]! << 16);
  block[base + originalDestination + 3] = destination;
  block[base + replySource + 3] = destination;
}

function writeAddressesV6(keys: Uint16Array, key: number, block: Uint32Array, base: number): void {
  copyV6(keys, key, block, base + originalSource);
  copyV6(keys, key + 8, block, base + originalDestination);
  copyV6(keys, key + 8, block, base + replySource);
}

function copyV6(keys: Uint16Array, from: number, block: Uint32Array, to: number): void {
  block[to] = keys[from]! | (keys[from + 1]! << 16);
  block[to + 1] = keys[from + 2]! | (keys[from + 3]! << 16);
  block[to + 2] = keys[from + 4]! | (keys[from + 5]! << 16);
  block[to + 3] = keys[from + 6]! | (keys[from + 7]! << 16);
}

/** 16 bits from network order. */
function swap16(half: number): number {
  return ((half & 0xff) << 8) | (half >>> 8);
}
