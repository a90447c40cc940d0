import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter, type Decoded, decoded, StateRefusalError } from './bytes.ts';
import type { FrozenBatch } from './frozen-batch.ts';

/** Whose batch it is. */
interface BatchOwner {
  readonly node: string;
  readonly epoch: string;
}

/** A batch on the disk. */
export interface SavedBatch extends BatchOwner {
  readonly batch: FrozenBatch;
}

/** First bytes of the file. */
const MAGIC = Buffer.from('egrsbtch');
const VERSION = 1;
/** More messages than a batch at its limits has. */
const MAX_MESSAGES = 4096;

/**
 * The file of one batch, little-endian:
 *
 *   "egrsbtch" | version u32 | CRC-32 of all behind it u32 | body
 *
 *   body   node, epoch (each: length u32, UTF-8) | number f64 | rows f64 | flow bytes f64 | frozen at f64 (Unix ms)
 *          | messages u32 | each message: length u32, bytes
 */
export function encodeBatchFile({ batch, node, epoch }: SavedBatch): readonly Uint8Array[] {
  const body = new ByteWriter().text(node).text(epoch).count(batch.number).count(batch.rows);
  body.count(batch.flowBytes).count(batch.frozenMs).u32(batch.messages.length);
  for (const message of batch.messages) body.u32(message.length).bytes(message);
  const parts = body.take();
  const checksum = parts.reduce((sum, part) => crc32(part, sum), 0);
  return [...new ByteWriter().bytes(MAGIC).u32(VERSION).u32(checksum).take(), ...parts];
}

/** Reads one. Any bytes may come. */
export function decodeBatchFile(bytes: Uint8Array): Decoded<SavedBatch> {
  return decoded(() => {
    const reader = new ByteReader(bytes);
    if (reader.left < MAGIC.length) throw new StateRefusalError('damaged');
    if (!MAGIC.equals(reader.bytes(MAGIC.length))) throw new StateRefusalError('foreign');
    if (reader.u32() !== VERSION) throw new StateRefusalError('version');
    if (reader.u32() !== crc32(bytes.subarray(bytes.length - reader.left))) throw new StateRefusalError('damaged');
    return readBody(reader);
  });
}

function readBody(reader: ByteReader): SavedBatch {
  const node = reader.text();
  const epoch = reader.text();
  const [number, rows, flowBytes, frozenMs] = [reader.count(), reader.count(), reader.count(), reader.count()];
  const count = reader.u32();
  if (count > MAX_MESSAGES || number === 0) throw new StateRefusalError('damaged');
  // Copied, so that they do not keep the whole file in memory.
  const messages = Array.from({ length: count }, () => new Uint8Array(reader.bytes(reader.u32())));
  if (reader.left > 0) throw new StateRefusalError('damaged');
  const length = messages.reduce((sum, message) => sum + message.length, 0);
  return { node, epoch, batch: { number, messages, bytes: length, rows, flowBytes, frozenMs } };
}
