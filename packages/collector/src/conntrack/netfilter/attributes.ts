/** Decodes the entry at word `first` of `datagram` into the record at word `base` of `block`. */
export type CompiledDecoder = (datagram: Uint32Array, first: number, block: Uint32Array, base: number) => number;

/**
 * Where the values of an entry lie. ctnetlink sends an entry as attributes, some of which hold attributes; each begins at a
 * multiple of four bytes, so they are read as 32-bit words. What is not listed here is stepped over.
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
 *
 * Walking the attributes costs more than all else, and entries of a kind have the same attributes in the same places. So the
 * walk is made once a kind: it gives a shape, and an entry whose headers are word for word those of the shape is not walked.
 *
 *   headers    place, word | place, word | ...      what another entry of the shape has too
 *   places     one for each PLACE, 0 where the value is missing
 *
 * All places count words from the message's first.
 */
export interface Shape {
  /** Bytes of the message. */
  bytes: number;
  /** 4 or 6; 0 where the attributes are not what the kernel's headers say. */
  family: 4 | 6 | 0;
  /** All four counters are there. */
  counted: boolean;
  /** Attributes in `headers`, or `TOO_MANY`. */
  attributes: number;
  readonly headers: Uint32Array;
  readonly places: Uint16Array;
  /** Entries of this shape so far, until it is compiled. */
  met: number;
  /** Decodes entries of this shape, once it has been met often. */
  compiled: CompiledDecoder | undefined;
}

/** The kernel sends some thirty attributes in some three hundred bytes. What goes beyond these is walked every time. */
const MAX_ATTRIBUTES = 64;
export const MAX_SHAPE_BYTES = 1024;
const TOO_MANY = -1;

const MESSAGE_AND_FAMILY_HEADER_BYTES = 20;
const HEADER_BYTES = 4;
/** An attribute's type without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`. */
const TYPE_MASK = 0x3fff;

/** Places of values. Those of a tuple and of counters are the original direction's; `REPLY` later come the other's. */
export const PLACE = {
  sourceV4: 1,
  destinationV4: 2,
  sourceV6: 3,
  destinationV6: 4,
  protocol: 5,
  /** Port, GRE key or ICMP id. */
  sourcePort: 6,
  destinationPort: 7,
  icmpType: 8,
  icmpCode: 9,
  tupleZone: 10,
  packets: 11,
  bytes: 12,
  status: 26,
  id: 27,
  timeout: 28,
  zone: 29,
  start: 30,
} as const;
export const REPLY = 13;
const PLACES = 31;

/** What an attribute means: a value of at least so many bytes, or a container. */
type Meaning =
  | { readonly place: number; readonly bytes: number }
  | { readonly inside: Meanings; readonly shift: number };
/** By type. */
type Meanings = ReadonlyMap<number, Meaning>;

const value = (place: number, bytes: number): Meaning => ({ place, bytes });
const container = (inside: Meanings, shift = 0): Meaning => ({ inside, shift });

const CTA_TUPLE_IP: Meanings = new Map([
  [1, value(PLACE.sourceV4, 4)],
  [2, value(PLACE.destinationV4, 4)],
  [3, value(PLACE.sourceV6, 16)],
  [4, value(PLACE.destinationV6, 16)],
]);
const CTA_TUPLE_PROTO: Meanings = new Map([
  [1, value(PLACE.protocol, 1)],
  [2, value(PLACE.sourcePort, 2)],
  [3, value(PLACE.destinationPort, 2)],
  [4, value(PLACE.sourcePort, 2)], // CTA_PROTO_ICMP_ID, _TYPE, _CODE
  [5, value(PLACE.icmpType, 1)],
  [6, value(PLACE.icmpCode, 1)],
  [7, value(PLACE.sourcePort, 2)], // CTA_PROTO_ICMPV6_ID, _TYPE, _CODE
  [8, value(PLACE.icmpType, 1)],
  [9, value(PLACE.icmpCode, 1)],
]);
const CTA_TUPLE: Meanings = new Map([
  [1, container(CTA_TUPLE_IP)],
  [2, container(CTA_TUPLE_PROTO)],
  [3, value(PLACE.tupleZone, 2)],
]);
const CTA_COUNTERS: Meanings = new Map([
  [1, value(PLACE.packets, 8)],
  [2, value(PLACE.bytes, 8)],
]);
const CTA_TIMESTAMP: Meanings = new Map([[1, value(PLACE.start, 8)]]);
const ENTRY: Meanings = new Map([
  [1, container(CTA_TUPLE)],
  [2, container(CTA_TUPLE, REPLY)],
  [3, value(PLACE.status, 4)],
  [7, value(PLACE.timeout, 4)],
  [9, container(CTA_COUNTERS)],
  [10, container(CTA_COUNTERS, REPLY)],
  [12, value(PLACE.id, 4)],
  [18, value(PLACE.zone, 2)],
  [20, container(CTA_TIMESTAMP)],
]);

/** Shapes met so far, by length of the message in words. What is learned in one dump serves the next. */
export type Shapes = (Shape | undefined)[];

/** No shapes. */
export function createShapes(): Shapes {
  return new Array<Shape | undefined>(MAX_SHAPE_BYTES / 4 + 1).fill(undefined);
}

/**
 * The shape of an entry: that of an earlier one with the same headers, or a new one.
 * @param first the message's first word
 * @param bytes the message's length; the datagram holds it
 */
export function shapeOf(shapes: Shapes, datagram: Uint32Array, first: number, bytes: number): Shape {
  const known = bytes <= MAX_SHAPE_BYTES ? shapes[bytes >> 2] : undefined;
  if (known !== undefined && hasShape(known, datagram, first, bytes)) return known;
  const shape = newShape(datagram, first, bytes);
  if (bytes <= MAX_SHAPE_BYTES && shape.attributes !== TOO_MANY) shapes[bytes >> 2] = shape;
  return shape;
}

function hasShape(shape: Shape, datagram: Uint32Array, first: number, bytes: number): boolean {
  if (shape.bytes !== bytes) return false;
  const { headers } = shape;
  const end = 2 * shape.attributes;
  for (let i = 0; i < end; i += 2) if (datagram[first + headers[i]!] !== headers[i + 1]) return false;
  return true;
}

function newShape(datagram: Uint32Array, first: number, bytes: number): Shape {
  const shape: Shape = {
    bytes,
    family: 0,
    counted: false,
    attributes: 0,
    met: 0,
    compiled: undefined,
    headers: new Uint32Array(2 * MAX_ATTRIBUTES),
    places: new Uint16Array(PLACES),
  };
  const begin = MESSAGE_AND_FAMILY_HEADER_BYTES;
  if (!walk(shape, datagram, first, begin, bytes, ENTRY, 0)) {
    // Where the walk stopped, another entry may be whole.
    shape.attributes = TOO_MANY;
    return shape;
  }
  const has = (place: number) => shape.places[place] !== 0 && shape.places[place + REPLY] !== 0;
  if (has(PLACE.protocol) && has(PLACE.sourceV4) && has(PLACE.destinationV4)) shape.family = 4;
  else if (has(PLACE.protocol) && has(PLACE.sourceV6) && has(PLACE.destinationV6)) shape.family = 6;
  shape.counted = has(PLACE.packets) && has(PLACE.bytes);
  return shape;
}

/** Notes headers and places of the attributes from byte `begin` to `end` of the message. @returns whether they fit in there */
function walk(
  shape: Shape,
  datagram: Uint32Array,
  first: number,
  begin: number,
  end: number,
  meanings: Meanings,
  shift: number,
): boolean {
  for (let at = begin; at + HEADER_BYTES <= end; ) {
    const place = at >> 2;
    const header = datagram[first + place]!;
    const size = header & 0xffff;
    if (size < HEADER_BYTES || at + size > end) return false;
    noteHeader(shape, place, header);
    const meaning = meanings.get((header >>> 16) & TYPE_MASK);
    if (meaning !== undefined && 'inside' in meaning) {
      const { inside } = meaning;
      if (!walk(shape, datagram, first, at + HEADER_BYTES, at + size, inside, shift + meaning.shift)) return false;
    } else if (meaning !== undefined && size >= HEADER_BYTES + meaning.bytes) {
      shape.places[meaning.place + shift] = place + 1;
    }
    at += (size + 3) & ~3;
  }
  return true;
}

function noteHeader(shape: Shape, place: number, header: number): void {
  const { attributes } = shape;
  if (attributes === TOO_MANY) return;
  if (attributes === MAX_ATTRIBUTES) {
    shape.attributes = TOO_MANY;
    return;
  }
  shape.headers[2 * attributes] = place;
  shape.headers[2 * attributes + 1] = header;
  shape.attributes++;
}
