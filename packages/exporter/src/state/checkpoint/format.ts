import { crc32 } from 'node:zlib';
import type { AggregateImage } from '../../aggregate/image.ts';
import type { Mode } from '../../sinks/delivery/frame.ts';
import type { SinkStateImage } from '../../sinks/delivery/sink-state-image.ts';
import type { NodeImage } from '../batch-offsets.ts';
import { Malformed, Reader, Writer } from './columns.ts';
import { readEpochs, writeEpochs } from './epochs.ts';
import { readBooks, writeBooks } from './sink-states.ts';
import { readTotals, writeTotals } from './totals.ts';

const MAGIC = Buffer.from('egressd checkpoint\n');
const VERSION = 1;
/** Version, checksum of what follows the head, its length. */
const HEAD_BYTES = MAGIC.length + 4 + 4 + 8;
const MODES = [undefined, 'counter', 'delta'] as const;

/** What is true of a snapshot: totals, and which batches are in them. */
export interface CountedImage {
  /** What the collectors ask sinks to send. */
  readonly mode: Mode | undefined;
  readonly nodes: readonly NodeImage[];
  readonly totals: AggregateImage;
}

/** All that an exporter needs to go on as if it had not ended. */
export interface Checkpoint extends CountedImage {
  /** By name of the sink: its books, at the moment of the snapshot or later. */
  readonly sinks: ReadonlyMap<string, SinkStateImage>;
  /** `encodeCounted` of this. */
  readonly counted: Buffer;
}

/**
 * Why bytes are no checkpoint that can be used: `foreign`: not begun by us; `version`: of another version of egressd; `damaged`: cut off,
 * or changed since it was written.
 */
export const REFUSALS = ['foreign', 'version', 'damaged'] as const;
export type Refusal = (typeof REFUSALS)[number];

export type Read =
  | { readonly ok: true; readonly checkpoint: Checkpoint }
  | { readonly ok: false; readonly reason: Refusal };

/** The part that changes with a snapshot only. */
export function encodeCounted({ mode, nodes, totals }: CountedImage): Buffer {
  const into = new Writer();
  into.number(MODES.indexOf(mode));
  writeEpochs(into, nodes);
  writeTotals(into, totals);
  return into.bytes();
}

/**
 * A checkpoint, in pieces that follow each other:
 *
 *   "egressd checkpoint\n" | version (4) | CRC-32 (4) | length (8) || length of counted (8) | counted | sinks
 *
 * Numbers least byte first; the checksum is that of zlib over all behind the bars.
 */
export function encodeCheckpoint(counted: Buffer, sinks: ReadonlyMap<string, SinkStateImage>): Buffer[] {
  const into = new Writer();
  into.texts([...sinks.keys()]);
  for (const image of sinks.values()) writeBooks(into, image);
  const books = into.bytes();
  const length = Buffer.alloc(8);
  length.writeDoubleLE(counted.length);
  const head = Buffer.alloc(HEAD_BYTES);
  MAGIC.copy(head);
  head.writeUInt32LE(VERSION, MAGIC.length);
  head.writeUInt32LE(crc32(books, crc32(counted, crc32(length))), MAGIC.length + 4);
  head.writeDoubleLE(length.length + counted.length + books.length, MAGIC.length + 8);
  return [head, length, counted, books];
}

/** Reads what `encodeCheckpoint` wrote: whole, or not at all. Whatever the bytes are, it ends and reads nothing beyond them. */
export function readCheckpoint(bytes: Buffer): Read {
  const begin = bytes.subarray(0, MAGIC.length);
  if (!begin.equals(MAGIC.subarray(0, begin.length))) return { ok: false, reason: 'foreign' };
  if (bytes.length < HEAD_BYTES) return { ok: false, reason: 'damaged' };
  if (bytes.readUInt32LE(MAGIC.length) !== VERSION) return { ok: false, reason: 'version' };
  const body = bytes.subarray(HEAD_BYTES);
  const sound =
    bytes.readDoubleLE(MAGIC.length + 8) === body.length && bytes.readUInt32LE(MAGIC.length + 4) === crc32(body);
  if (!sound) return { ok: false, reason: 'damaged' };
  try {
    return { ok: true, checkpoint: readBody(body) };
  } catch (error) {
    if (error instanceof Malformed) return { ok: false, reason: 'damaged' };
    throw error;
  }
}

function readBody(body: Buffer): Checkpoint {
  const length = new Reader(body).count();
  const counted = body.subarray(8, 8 + length);
  const [of, from] = [new Reader(counted), new Reader(body.subarray(8 + length))];
  const mode = MODES[of.number(MODES.length - 1)];
  const [nodes, totals] = [readEpochs(of), readTotals(of)];
  const sinks = new Map(from.texts().map((name) => [name, readBooks(from, totals.ids.length)]));
  if (!of.atEnd || !from.atEnd) throw new Malformed('more than there should be');
  return { mode, nodes, totals, sinks, counted };
}
