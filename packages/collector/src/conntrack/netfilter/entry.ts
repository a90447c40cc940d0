import { FLAG, WORD } from '../record.ts';
import type { SkipReason } from '../source.ts';
import { MAX_SHAPE_BYTES, PLACE, REPLY, type Shape, type Shapes, shapeOf } from './attributes.ts';
import { compileDecoder, DECODED } from './compile.ts';

/** `::ffff:0:0/96` in its third word, as it lies in memory. */
const MAPPED = 0xffff_0000;
/** `::1` in its last word, as it lies in memory. */
const LAST_OF_LOOPBACK_V6 = 0x0100_0000;

/** A shape that was met so often is compiled: rare ones are not worth the time. */
const COMPILE_AFTER = 1000;

/**
 * Decodes one entry into the record that begins at word `base` of `block`. Every word of the record is written.
 * @param shapes of the entries before it
 * @param datagram what was received, as words
 * @param first first word of the entry's message
 * @param bytes length of the message; the datagram holds it
 * @returns why the entry was skipped, or undefined
 */
export function decodeEntry(
  shapes: Shapes,
  datagram: Uint32Array,
  first: number,
  bytes: number,
  block: Uint32Array,
  base: number,
): SkipReason | undefined {
  const known = bytes <= MAX_SHAPE_BYTES ? shapes[bytes >> 2] : undefined;
  if (known?.compiled !== undefined && known.bytes === bytes) {
    if (known.compiled(datagram, first, block, base) === DECODED) return undefined;
  }
  const shape = shapeOf(shapes, datagram, first, bytes);
  if (++shape.met === COMPILE_AFTER) shape.compiled = compileDecoder(shape);
  return decodeByShape(shape, datagram, first, block, base);
}

/** The same without a compiled decoder: for rare shapes. */
export function decodeByShape(
  { family, counted, places }: Shape,
  datagram: Uint32Array,
  first: number,
  block: Uint32Array,
  base: number,
): SkipReason | undefined {
  if (family === 0) return 'undecodable';
  const protocol = datagram[first + places[PLACE.protocol]!]! & 0xff;
  if (protocol !== (datagram[first + places[PLACE.protocol + REPLY]!]! & 0xff)) return 'undecodable';

  if (family === 4) {
    copyV4(datagram, first + places[PLACE.sourceV4]!, block, base + WORD.originalSource);
    copyV4(datagram, first + places[PLACE.destinationV4]!, block, base + WORD.originalDestination);
    copyV4(datagram, first + places[PLACE.sourceV4 + REPLY]!, block, base + WORD.replySource);
    copyV4(datagram, first + places[PLACE.destinationV4 + REPLY]!, block, base + WORD.replyDestination);
  } else {
    copyV6(datagram, first + places[PLACE.sourceV6]!, block, base + WORD.originalSource);
    copyV6(datagram, first + places[PLACE.destinationV6]!, block, base + WORD.originalDestination);
    copyV6(datagram, first + places[PLACE.sourceV6 + REPLY]!, block, base + WORD.replySource);
    copyV6(datagram, first + places[PLACE.destinationV6 + REPLY]!, block, base + WORD.replyDestination);
  }
  if (isLoopback(block, base + WORD.originalSource) && isLoopback(block, base + WORD.replySource)) return 'loopback';
  if (!counted) return 'no_counters';

  copyCounter(datagram, first + places[PLACE.packets]!, block, base + WORD.originalPackets);
  copyCounter(datagram, first + places[PLACE.bytes]!, block, base + WORD.originalBytes);
  copyCounter(datagram, first + places[PLACE.packets + REPLY]!, block, base + WORD.replyPackets);
  copyCounter(datagram, first + places[PLACE.bytes + REPLY]!, block, base + WORD.replyBytes);
  block[base + WORD.originalPorts] = ports(datagram, first, places, 0);
  block[base + WORD.replyPorts] = ports(datagram, first, places, REPLY);
  // A zone of one direction is inside its tuple; what is unique is the original tuple in the original direction's zone.
  const zone = places[PLACE.tupleZone]! || places[PLACE.zone]!;
  block[base + WORD.zoneProtocol] = (zone === 0 ? 0 : swap16(datagram[first + zone]!)) | (protocol << 16);

  const id = places[PLACE.id]! === 0 ? 0 : swap32(datagram[first + places[PLACE.id]!]!);
  const status = places[PLACE.status]! === 0 ? 0 : swap32(datagram[first + places[PLACE.status]!]!);
  let timeout = 0;
  let flags: number = FLAG.counters;
  const [source, replyTo, words] =
    family === 4 ? [PLACE.sourceV4, PLACE.destinationV4, 1] : [PLACE.sourceV6, PLACE.destinationV6, 4];
  if (differ(datagram, first + places[source]!, first + places[replyTo + REPLY]!, words)) flags |= FLAG.sourceNat;
  if (places[PLACE.timeout]! !== 0) {
    timeout = swap32(datagram[first + places[PLACE.timeout]!]!);
    flags |= FLAG.timeout;
  }
  if (places[PLACE.start]! !== 0) {
    copyCounter(datagram, first + places[PLACE.start]!, block, base + WORD.identity);
    flags |= FLAG.start;
  } else {
    block[base + WORD.identity] = id;
    block[base + WORD.identity + 1] = 0;
  }
  block[base + WORD.status] = status;
  block[base + WORD.timeout] = timeout;
  block[base + WORD.flags] = flags;
  return undefined;
}

/** Ports (GRE: keys), or id, type and code of ICMP, as one word. Protocols without either have 0. */
function ports(datagram: Uint32Array, first: number, places: Uint16Array, shift: number): number {
  const source = places[PLACE.sourcePort + shift]!;
  const destination = places[PLACE.destinationPort + shift]!;
  const high = source === 0 ? 0 : swap16(datagram[first + source]!);
  if (destination !== 0) return (high << 16) | swap16(datagram[first + destination]!);
  const type = places[PLACE.icmpType + shift]!;
  const code = places[PLACE.icmpCode + shift]!;
  const low = type === 0 || code === 0 ? 0 : ((datagram[first + type]! & 0xff) << 8) | (datagram[first + code]! & 0xff);
  return (high << 16) | low;
}

function copyV4(datagram: Uint32Array, from: number, block: Uint32Array, to: number): void {
  block[to] = 0;
  block[to + 1] = 0;
  block[to + 2] = MAPPED;
  block[to + 3] = datagram[from]!;
}

function copyV6(datagram: Uint32Array, from: number, block: Uint32Array, to: number): void {
  block[to] = datagram[from]!;
  block[to + 1] = datagram[from + 1]!;
  block[to + 2] = datagram[from + 2]!;
  block[to + 3] = datagram[from + 3]!;
}

function differ(datagram: Uint32Array, one: number, other: number, words: number): boolean {
  for (let i = 0; i < words; i++) if (datagram[one + i] !== datagram[other + i]) return true;
  return false;
}

/** 64 bits from network order to two words (low, high). */
function copyCounter(datagram: Uint32Array, from: number, block: Uint32Array, to: number): void {
  block[to] = swap32(datagram[from + 1]!);
  block[to + 1] = swap32(datagram[from]!);
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
