import { crc32 } from 'node:zlib';
import type { AggregateImage } from '../../aggregate/image.ts';
import type { Mode } from '../../sinks/delivery/frame.ts';
import type { SinkStateImage } from '../../sinks/delivery/sink-state-image.ts';
import type { NodeImage } from '../batch-offsets.ts';
import type { UnusableReason } from '../file-outcome.ts';
import { Malformed, Reader, Writer } from './columns.ts';
import { MODES } from './constants.ts';
import { readEpochs, writeEpochs } from './epochs.ts';
import { readSinkState, writeSinkState } from './sink-states.ts';
import { readTotals, writeTotals } from './totals.ts';

const MAGIC = Buffer.from('egressd checkpoint\n');
const VERSION = 4;
/** Version 3 had no networks. */
const WITHOUT_NETWORKS = 3;
/** Version 2 had no workloads: series of then have none, and those of the same pods that come now are others, alike to a sink of pods. */
const WITHOUT_WORKLOADS = 2;
/** Version 1 had no start times in the states of sinks, and no times of last samples. */
const WITHOUT_TIMES = 1;
/** Version, checksum of what follows the header, its length. */
const HEADER_BYTES = MAGIC.length + 4 + 4 + 8;

/** What belongs to a snapshot: totals, and the offsets of the batches that are in them. */
export interface CountedImage {
  /** What collectors ask sinks to send; undefined: none asked. */
  readonly mode: Mode | undefined;
  readonly nodes: readonly NodeImage[];
  readonly totals: AggregateImage;
}

/** All that an exporter needs to continue where another process ended. */
export interface Checkpoint extends CountedImage {
  /** By name of the sink: its state at the moment of the snapshot or later. */
  readonly sinks: ReadonlyMap<string, SinkStateImage>;
  /** `encodeCounted` of this. */
  readonly counted: Buffer;
}

/** A checkpoint from its bytes, or why they cannot be used. */
type DecodedCheckpoint =
  | { readonly ok: true; readonly checkpoint: Checkpoint }
  | { readonly ok: false; readonly reason: UnusableReason };

/** The part that changes only with a snapshot. */
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
 * Little-endian; the checksum is zlib's CRC-32 of all behind the double bar.
 */
export function encodeCheckpoint(counted: Buffer, sinks: ReadonlyMap<string, SinkStateImage>): Buffer[] {
  const into = new Writer();
  into.texts([...sinks.keys()]);
  for (const image of sinks.values()) writeSinkState(into, image);
  const states = into.bytes();
  const length = Buffer.alloc(8);
  length.writeDoubleLE(counted.length);
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32LE(VERSION, MAGIC.length);
  header.writeUInt32LE(crc32(states, crc32(counted, crc32(length))), MAGIC.length + 4);
  header.writeDoubleLE(length.length + counted.length + states.length, MAGIC.length + 8);
  return [header, length, counted, states];
}

/** Decodes what `encodeCheckpoint` encoded: whole, or not at all. For any bytes it terminates, and reads none beyond them. */
export function decodeCheckpoint(bytes: Buffer): DecodedCheckpoint {
  const begin = bytes.subarray(0, MAGIC.length);
  if (!begin.equals(MAGIC.subarray(0, begin.length))) return { ok: false, reason: 'foreign' };
  if (bytes.length < HEADER_BYTES) return { ok: false, reason: 'damaged' };
  const version = bytes.readUInt32LE(MAGIC.length);
  if (version > VERSION || version < WITHOUT_TIMES) return { ok: false, reason: 'version' };
  const body = bytes.subarray(HEADER_BYTES);
  const sound =
    bytes.readDoubleLE(MAGIC.length + 8) === body.length && bytes.readUInt32LE(MAGIC.length + 4) === crc32(body);
  if (!sound) return { ok: false, reason: 'damaged' };
  try {
    return { ok: true, checkpoint: decodeBody(body, version) };
  } catch (error) {
    if (error instanceof Malformed) return { ok: false, reason: 'damaged' };
    throw error;
  }
}

function decodeBody(body: Buffer, version: number): Checkpoint {
  const times = version > WITHOUT_TIMES;
  const length = new Reader(body).count();
  const counted = body.subarray(8, 8 + length);
  const [of, from] = [new Reader(counted), new Reader(body.subarray(8 + length))];
  const mode = MODES[of.number(MODES.length - 1)];
  const [nodes, totals] = [
    readEpochs(of),
    readTotals(of, { workloads: version > WITHOUT_WORKLOADS, networks: version > WITHOUT_NETWORKS }),
  ];
  const sinks = new Map(from.texts().map((name) => [name, readSinkState(from, totals.ids.length, times)]));
  if (!of.atEnd || !from.atEnd) throw new Malformed('bytes after the end');
  return { mode, nodes, totals, sinks, counted };
}
