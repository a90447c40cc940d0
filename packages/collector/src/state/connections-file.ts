import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter, type Decoded, decoded, StateRefusalError } from './bytes.ts';

/** What the connections belong to: they are of use for nothing else. */
export interface Identity {
  readonly node: string;
  /** Of the kernel that counts: /proc/sys/kernel/random/boot_id. */
  readonly bootId: string;
  /** Which table is read: the source's name and its network namespace. */
  readonly source: string;
  readonly epoch: string;
}

/** The connections as they were when a batch was frozen. */
export interface ConnectionsImage {
  /** All connections; else those that changed since the image before. */
  readonly whole: boolean;
  /** The last batch that was frozen: what the connections counted is in it and in those before. */
  readonly number: number;
  /** Where the span of the next batch begins: Unix milliseconds. */
  readonly sinceMs: number;
  /** @see Baseline.firstReadNs */
  readonly firstReadNs: bigint;
  /** @see Baseline.isOpen */
  readonly baseline: boolean;
  /** @see FlowTable.counterDecreases */
  readonly counterDecreases: number;
  /** @see FlowTable.image */
  readonly words: Uint32Array;
}

/** The file, read. */
export interface SavedConnections {
  readonly identity: Identity;
  /** The first is whole. */
  readonly images: readonly [ConnectionsImage, ...ConnectionsImage[]];
  /** The last frame was cut off, as its writer was killed: it is left out. */
  readonly torn: boolean;
}

/** First bytes of the file. */
const MAGIC = Buffer.from('egrsconn');
const VERSION = 1;
/** 32-bit words of a connection, as many as in an image of the flow table. Other ones are another version. */
export const CONNECTION_WORDS = 20;
const HEAD_BYTES = 16;
/** Of a frame's body, in front of the connections. */
const BODY_HEAD_BYTES = 40;
/** Flags of a frame. */
const WHOLE = 1;
const BASELINE = 2;

/**
 * The file of the connections, little-endian:
 *
 *   "egrsconn" | version u32 | length of the identity u32 | identity | CRC-32 of it u32 | frame | frame | ...
 *
 *   identity   node, boot id, source, epoch (each: length u32, UTF-8), zeros up to a multiple of 4
 *   frame      length of the body u32 | CRC-32 of the body u32 | body
 *   body       number f64 | since f64 | first read i64 | counter decreases f64 | connections u32 | flags u32 (1: whole, 2: baseline)
 *              | connections, 80 bytes each: words 0..11 and 17..24 of record.ts
 */
export function encodeConnections(identity: Identity, image: ConnectionsImage): readonly Uint8Array[] {
  const { node, bootId, source, epoch } = identity;
  const texts = Buffer.concat(new ByteWriter().text(node).text(bootId).text(source).text(epoch).take());
  // Filled up with zeros, so that the connections lie where a view of words can be.
  const padded = Buffer.concat([texts], texts.length + (-texts.length & 3));
  const head = new ByteWriter().bytes(MAGIC).u32(VERSION).u32(padded.length).bytes(padded).u32(crc32(padded));
  return [...head.take(), ...encodeFrame(image)];
}

/** One more frame. */
export function encodeFrame(image: ConnectionsImage): readonly Uint8Array[] {
  const { whole, number, sinceMs, firstReadNs, baseline, counterDecreases, words } = image;
  const head = new ByteWriter().count(number).count(sinceMs).i64(firstReadNs).count(counterDecreases);
  head.u32(words.length / CONNECTION_WORDS).u32((whole ? WHOLE : 0) | (baseline ? BASELINE : 0));
  const body = [...head.take(), new Uint8Array(words.buffer, words.byteOffset, words.byteLength)];
  const checksum = body.reduce((sum, part) => crc32(part, sum), 0);
  return [
    ...new ByteWriter()
      .u32(BODY_HEAD_BYTES + words.byteLength)
      .u32(checksum)
      .take(),
    ...body,
  ];
}

/** Reads the file. Any bytes may come. A frame that is cut off at the end is left out, one that was changed is refused. */
export function decodeConnections(bytes: Uint8Array): Decoded<SavedConnections> {
  return decoded(() => {
    const reader = new ByteReader(bytes);
    if (reader.left < HEAD_BYTES) throw new StateRefusalError('damaged');
    if (!MAGIC.equals(reader.bytes(MAGIC.length))) throw new StateRefusalError('foreign');
    if (reader.u32() !== VERSION) throw new StateRefusalError('version');
    const padded = reader.bytes(reader.u32());
    if (crc32(padded) !== reader.u32()) throw new StateRefusalError('damaged');
    const identity = readIdentity(new ByteReader(padded));
    const images: ConnectionsImage[] = [];
    let torn = false;
    while (reader.left > 0 && !torn) {
      const body = readFrame(reader);
      if (body === undefined) torn = true;
      else images.push(readImage(new ByteReader(body), images.at(-1)));
    }
    const [first, ...rest] = images;
    if (first === undefined) throw new StateRefusalError('damaged');
    return { identity, images: [first, ...rest], torn };
  });
}

function readIdentity(reader: ByteReader): Identity {
  return { node: reader.text(), bootId: reader.text(), source: reader.text(), epoch: reader.text() };
}

/** @returns the body, or undefined where the file ends before it does */
function readFrame(reader: ByteReader): Uint8Array | undefined {
  if (reader.left < 8) return undefined;
  const length = reader.u32();
  const checksum = reader.u32();
  if (length > reader.left) return undefined;
  const body = reader.bytes(length);
  if (crc32(body) !== checksum) throw new StateRefusalError('damaged');
  return body;
}

/** The first is whole, and numbers do not fall. */
function readImage(reader: ByteReader, before: ConnectionsImage | undefined): ConnectionsImage {
  const [number, sinceMs, firstReadNs, counterDecreases] = [
    reader.count(),
    reader.count(),
    reader.i64(),
    reader.count(),
  ];
  const [count, flags] = [reader.u32(), reader.u32()];
  const whole = (flags & WHOLE) !== 0;
  const baseline = (flags & BASELINE) !== 0;
  const fits = reader.left === count * CONNECTION_WORDS * 4 && flags <= (WHOLE | BASELINE);
  if (!fits || number < (before?.number ?? 0) || (before === undefined && !whole))
    throw new StateRefusalError('damaged');
  return { whole, number, sinceMs, firstReadNs, baseline, counterDecreases, words: asWords(reader.bytes(reader.left)) };
}

/** Where they do not lie at a multiple of four they are copied. */
function asWords(bytes: Uint8Array): Uint32Array {
  const isAligned = bytes.byteOffset % Uint32Array.BYTES_PER_ELEMENT === 0;
  const { buffer, byteOffset } = isAligned ? bytes : new Uint8Array(bytes);
  return new Uint32Array(buffer, byteOffset, bytes.length / Uint32Array.BYTES_PER_ELEMENT);
}
