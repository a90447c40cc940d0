import { FLAG, STRIDE, WORD } from '../record.ts';
import type { Clock } from './clock.ts';
import { ENDPOINT, type Endpoints } from './endpoints.ts';
import {
  DIRECTION,
  ENTRY_FLAG,
  ETHERNET_BYTES,
  type Evidence,
  KEY_BYTES_V4,
  KEY_BYTES_V6,
  MAX_FRAME,
  MIN_FRAME_V4,
  MIN_FRAME_V6,
  noEvidence,
  testimonyOf,
  VALUE_WORDS,
  WORD_FLAGS,
  WORD_LIFETIME,
  WORD_RX_PACKETS,
  WORD_TX_PACKETS,
} from './layout.ts';

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

/** What was met in one read. */
export interface Tally {
  /** Left out: no flow of their own (a Service's, an ICMP error's, a loop's). */
  service: number;
  related: number;
  /** Left out: the same flow's other entry, at its source, is read. */
  counted_at_source: number;
  /** Left out: all counters are 0. */
  no_counters: number;
  /** Left out: this layout does not explain them. */
  undecodable: number;
  /** The latest moment at which an entry expires, in the clock's units. */
  latest: number;
  /** Of the entries that were left out for their counters. */
  readonly evidence: Evidence;
}

export function startTally(): Tally {
  const evidence = noEvidence();
  return { service: 0, related: 0, counted_at_source: 0, no_counters: 0, undecodable: 0, latest: 0, evidence };
}

/** What a read decodes with: all of it is the same from its begin to its end. */
export interface Reading {
  readonly endpoints: Endpoints;
  readonly clock: Clock;
  readonly tally: Tally;
}

/**
 * Decodes entries of the directed layout into the records from number `count` of `block` on, until the entries or the block end.
 * @param from first entry
 * @param to behind the last entry
 * @param zone what keeps the connections of one map apart from those of others
 * @returns where it stopped: the next entry and the number of records
 */
export function decodeEntries(
  { family, keys, values }: Entries,
  from: number,
  to: number,
  zone: number,
  block: Uint32Array,
  count: number,
  { endpoints, clock, tally }: Reading,
): { readonly next: number; readonly count: number } {
  const halves = (family === 4 ? KEY_BYTES_V4 : KEY_BYTES_V6) >> 1;
  const minFrame = family === 4 ? MIN_FRAME_V4 : MIN_FRAME_V6;
  const room = block.length / STRIDE;
  let latest = tally.latest;
  let entry = from;
  for (; entry < to && count < room; entry++) {
    const key = entry * halves;
    const value = entry * VALUE_WORDS;
    const last = keys[key + halves - 1]!;
    const direction = last >>> 8;
    if (values[value + WORD_LIFETIME]! > latest) latest = values[value + WORD_LIFETIME]!;
    if (direction > DIRECTION.in) {
      if ((direction & DIRECTION.service) !== 0) tally.service++;
      else tally.related++;
      continue;
    }
    const base = count * STRIDE;
    const flags = values[value + WORD_FLAGS]!;
    if (direction === DIRECTION.in ? (flags & ENTRY_FLAG.loopback) !== 0 : (flags & ENTRY_FLAG.nodePort) !== 0) {
      tally.counted_at_source++;
      continue;
    }
    if (family === 4) {
      copyV4(keys, key, block, base + WORD.originalSource);
      copyV4(keys, key + 2, block, base + WORD.originalDestination);
      copyV4(keys, key + 2, block, base + WORD.replySource);
    } else {
      copyV6(keys, key, block, base + WORD.originalSource);
      copyV6(keys, key + 8, block, base + WORD.originalDestination);
      copyV6(keys, key + 8, block, base + WORD.replySource);
    }
    if (isCountedElsewhere(endpoints, direction, block, base)) {
      tally.counted_at_source++;
      continue;
    }
    // Original is what the opener sent: a local endpoint's tx, or where it was opened from elsewhere, what that endpoint received.
    const original = value + (direction === DIRECTION.in ? WORD_RX_PACKETS : WORD_TX_PACKETS);
    const reply = value + (direction === DIRECTION.in ? WORD_TX_PACKETS : WORD_RX_PACKETS);
    if (
      !copyCounters(values, original, minFrame, false, block, base + WORD.originalPackets) ||
      !copyCounters(values, reply, minFrame, true, block, base + WORD.replyPackets)
    ) {
      leaveOut(tally, direction, last & 0xff, minFrame, values, value);
      continue;
    }
    writeRest(keys, key + halves - 3, zone, values, value, clock, block, base);
    count++;
  }
  tally.latest = latest;
  return { next: entry, count };
}

const ICMP = 1;
const ICMPV6 = 58;

/** All of a record but addresses and counters. @param at the key's last three halfwords: ports, protocol and direction */
function writeRest(
  keys: Uint16Array,
  at: number,
  zone: number,
  values: Uint32Array,
  value: number,
  clock: Clock,
  block: Uint32Array,
  base: number,
): void {
  const destinationPort = swap16(keys[at]!);
  const sourcePort = swap16(keys[at + 1]!);
  const protocol = keys[at + 2]! & 0xff;
  block[base + WORD.zoneProtocol] = zone | (protocol << 16);
  if (protocol === ICMP || protocol === ICMPV6) {
    // One of the two is the id of an echo, the other 0; type and code are not kept.
    block[base + WORD.originalPorts] = (sourcePort | destinationPort) << 16;
    block[base + WORD.replyPorts] = (sourcePort | destinationPort) << 16;
  } else {
    block[base + WORD.originalPorts] = (sourcePort << 16) | destinationPort;
    block[base + WORD.replyPorts] = (destinationPort << 16) | sourcePort;
  }
  block[base + WORD.identity] = 0;
  block[base + WORD.identity + 1] = 0;
  block[base + WORD.id] = 0;
  block[base + WORD.status] = 0;
  block[base + WORD.timeout] = clock.secondsUntil(values[value + WORD_LIFETIME]!);
  block[base + WORD.flags] = FLAG.counters | FLAG.timeout;
}

/**
 * A flow between two endpoints of the node has two entries. A pod's OUT entry is the one that counts; the host has one only
 * in some configurations, so that there the pod's IN entry counts.
 */
function isCountedElsewhere(endpoints: Endpoints, direction: number, block: Uint32Array, base: number): boolean {
  const source = endpoints.kindOf(block, base + WORD.originalSource);
  if (direction === DIRECTION.in) return source === ENDPOINT.pod;
  return source === ENDPOINT.host && endpoints.kindOf(block, base + WORD.replySource) === ENDPOINT.pod;
}

/**
 * Copies packets and bytes, without Ethernet headers.
 * @param mayBeZero nobody need have answered
 * @returns false where these are no counters
 */
function copyCounters(
  values: Uint32Array,
  from: number,
  minFrame: number,
  mayBeZero: boolean,
  block: Uint32Array,
  to: number,
): boolean {
  const packetsLow = values[from]!;
  const packetsHigh = values[from + 1]!;
  const bytesLow = values[from + 2]!;
  const bytesHigh = values[from + 3]!;
  block[to] = packetsLow;
  block[to + 1] = packetsHigh;
  if ((packetsHigh | bytesHigh) !== 0) {
    const packets = packetsHigh * TWO_32 + packetsLow;
    const bytes = bytesHigh * TWO_32 + bytesLow;
    const payload = bytes - packets * ETHERNET_BYTES;
    block[to + 2] = payload;
    block[to + 3] = payload / TWO_32;
    return bytes >= packets * minFrame && bytes <= packets * MAX_FRAME;
  }
  // Nearly always.
  block[to + 2] = bytesLow - packetsLow * ETHERNET_BYTES;
  block[to + 3] = 0;
  if (packetsLow === 0) return mayBeZero && bytesLow === 0;
  return bytesLow >= packetsLow * minFrame && bytesLow <= packetsLow * MAX_FRAME;
}

function leaveOut(
  tally: Tally,
  direction: number,
  protocol: number,
  minFrame: number,
  values: Uint32Array,
  at: number,
): void {
  const testimony = testimonyOf(direction, protocol, minFrame, values, at);
  if (testimony === 'silent') tally.no_counters++;
  else tally.undecodable++;
  if (testimony !== 'none') tally.evidence[testimony]++;
}

function copyV4(keys: Uint16Array, from: number, block: Uint32Array, to: number): void {
  block[to] = 0;
  block[to + 1] = 0;
  block[to + 2] = MAPPED;
  block[to + 3] = keys[from]! | (keys[from + 1]! << 16);
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
