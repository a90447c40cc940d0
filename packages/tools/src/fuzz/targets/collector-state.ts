import { crc32 } from 'node:zlib';
import { decodeBatchFile, encodeBatchFile, type SavedBatch } from '@egressd/collector/state/batch-file';
import {
  CONNECTION_WORDS,
  type ConnectionsImage,
  decodeConnections,
  encodeConnections,
  encodeFrame,
} from '@egressd/collector/state/connections-file';
import { must, type Target } from '../target.ts';

const IDENTITY = { node: 'node-a', bootId: 'boot', source: 'netfilter net:[1]', epoch: 'one' };
const KEPT: SavedBatch = {
  node: 'node-a',
  epoch: 'one',
  batch: { number: 7, messages: [Buffer.from('rows'), Buffer.from('')], bytes: 4, rows: 1, flowBytes: 5, frozenMs: 9 },
};

function image(number: number, connections: number): ConnectionsImage {
  const words = new Uint32Array(connections * CONNECTION_WORDS).fill(number);
  return { whole: number === 1, number, sinceMs: 5, firstReadNs: 5n, baseline: false, counterDecreases: 0, words };
}

const FILE = Buffer.concat([...encodeConnections(IDENTITY, image(1, 2)), ...encodeFrame(image(2, 0))]);

/** Where magic and version end, and so the length of the identity stands. */
const IDENTITY_AT = 12;

/** Gives every part the checksum that belongs to it, as far as the lengths lead. */
function withChecksums(input: Uint8Array): Uint8Array {
  const file = Buffer.from(input);
  if (file.length < IDENTITY_AT + 4) return file;
  let at = IDENTITY_AT + 4 + file.readUInt32LE(IDENTITY_AT);
  if (at + 4 > file.length) return file;
  file.writeUInt32LE(crc32(file.subarray(IDENTITY_AT + 4, at)), at);
  at += 4;
  while (at + 8 <= file.length) {
    const length = file.readUInt32LE(at);
    if (at + 8 + length > file.length) break;
    file.writeUInt32LE(crc32(file.subarray(at + 8, at + 8 + length)), at + 4);
    at += 8 + length;
  }
  return file;
}

/** What a collector had counted. */
export const CONNECTIONS_FILE: Target = {
  name: 'connections',
  about: "the collector's file of what it had counted of every connection",
  seeds: () => [new Uint8Array(FILE)],
  mend: withChecksums,
  run(input) {
    const read = decodeConnections(input);
    if (!read.ok) return;
    const { identity, images, torn } = read.value;
    const [first, ...rest] = images;
    const again = Buffer.concat([...encodeConnections(identity, first), ...rest.flatMap(encodeFrame)]);
    const twice = decodeConnections(again);
    must(twice.ok && twice.value.images.length === images.length, 'written again, it is another file');
    for (const [i, one] of images.entries())
      must(Buffer.compare(bytesOf(one), bytesOf(twice.value.images[i]!)) === 0, 'written again, it counts otherwise');
    must(torn || images.at(-1)!.number >= first.number, 'numbers fall');
  },
};

function bytesOf(image: ConnectionsImage): Buffer {
  return Buffer.concat(encodeFrame(image));
}

/** Where the checksum of a batch's file stands; it is of all behind it. */
const BATCH_CHECKSUM_AT = 12;

/** A batch that waits for its commit. */
export const BATCH_FILE: Target = {
  name: 'batch-file',
  about: "the collector's file of a batch that is not committed",
  seeds: () => [new Uint8Array(Buffer.concat(encodeBatchFile(KEPT)))],
  mend(input) {
    const file = Buffer.from(input);
    if (file.length < BATCH_CHECKSUM_AT + 4) return file;
    file.writeUInt32LE(crc32(file.subarray(BATCH_CHECKSUM_AT + 4)), BATCH_CHECKSUM_AT);
    return file;
  },
  run(input) {
    const read = decodeBatchFile(input);
    if (!read.ok) return;
    const { batch } = read.value;
    must(
      batch.messages.reduce((sum, { length }) => sum + length, 0) === batch.bytes,
      'its length is not that of its messages',
    );
    must(decodeBatchFile(Buffer.concat(encodeBatchFile(read.value))).ok, 'written again, it is refused');
  },
};
