import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { IMAGE_WORDS } from '../flow-table/flow-record.ts';
import { decodeBatchFile, encodeBatchFile, type SavedBatch } from './batch-file.ts';
import {
  CONNECTION_WORDS,
  type ConnectionsImage,
  decodeConnections,
  encodeConnections,
  encodeFrame,
  type Identity,
} from './connections-file.ts';

const IDENTITY: Identity = { node: 'node-ä', bootId: 'boot', source: 'netfilter net:[4026531840]', epoch: 'name' };

const count = fc.maxSafeNat();
const image = fc.record({
  whole: fc.boolean(),
  number: count,
  sinceMs: count,
  firstReadNs: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  baseline: fc.boolean(),
  counterDecreases: count,
  words: fc
    .array(fc.nat(0xffff_ffff), { maxLength: 5 })
    .map((some) => Uint32Array.from(some.flatMap((word) => Array<number>(CONNECTION_WORDS).fill(word)))),
});
const batch: fc.Arbitrary<SavedBatch> = fc
  .record({
    node: fc.string(),
    epoch: fc.uuid(),
    number: fc.integer({ min: 1 }),
    messages: fc.array(fc.uint8Array(), { maxLength: 4 }),
    rows: count,
    flowBytes: count,
    frozenMs: count,
  })
  .map(({ node, epoch, messages, ...rest }) => {
    const bytes = messages.reduce((sum, message) => sum + message.length, 0);
    return { node, epoch, batch: { ...rest, messages, bytes } };
  });

/** Images as they follow each other in a file: the first is whole, and numbers do not fall. */
function inOrder(images: readonly ConnectionsImage[]): ConnectionsImage[] {
  const numbers = images.map(({ number }) => number).sort((a, b) => a - b);
  return images.map((one, i) => ({ ...one, number: numbers[i]!, whole: one.whole || i === 0 }));
}

function connectionsFile(images: readonly ConnectionsImage[]): Buffer {
  const [first, ...rest] = images;
  return Buffer.concat([...encodeConnections(IDENTITY, first!), ...rest.flatMap(encodeFrame)]);
}

const SMALL: ConnectionsImage = {
  whole: true,
  number: 7,
  sinceMs: 1000,
  firstReadNs: 5n,
  baseline: false,
  counterDecreases: 0,
  words: new Uint32Array(CONNECTION_WORDS).fill(9),
};

test('a connection in the file is one of the flow table', () => expect(CONNECTION_WORDS).toBe(IMAGE_WORDS));

describe('what was written is read again', () => {
  test('a batch', () =>
    fc.assert(
      fc.property(batch, (kept) =>
        expect(decodeBatchFile(Buffer.concat(encodeBatchFile(kept)))).toEqual({ ok: true, value: kept }),
      ),
    ));

  test('connections, wherever the bytes lie in memory', () =>
    fc.assert(
      fc.property(fc.array(image, { minLength: 1, maxLength: 4 }), fc.nat(3), (some, shift) => {
        const images = inOrder(some);
        const file = connectionsFile(images);
        const shifted = new Uint8Array(file.length + shift).subarray(shift);
        shifted.set(file);
        expect(decodeConnections(shifted)).toEqual({ ok: true, value: { identity: IDENTITY, images, torn: false } });
      }),
    ));
});

describe('a file that was cut off', () => {
  test('at any byte: the images that are whole are read', () => {
    const images = inOrder([SMALL, SMALL, SMALL]);
    const file = connectionsFile(images);
    const head = file.length - 3 * Buffer.concat(encodeFrame(SMALL)).length;
    for (let length = 0; length < file.length; length++) {
      const read = decodeConnections(file.subarray(0, length));
      const whole = Math.floor((length - head) / ((file.length - head) / 3));
      if (whole < 1) expect(read).toEqual({ ok: false, reason: 'damaged' });
      else
        expect(read).toMatchObject({
          ok: true,
          value: { images: { length: whole }, torn: (length - head) % ((file.length - head) / 3) > 0 },
        });
    }
  });

  test('a batch, at any byte: is refused', () => {
    const messages = [Buffer.from('some bytes')];
    const kept = { number: 1, messages, bytes: 10, rows: 1, flowBytes: 5, frozenMs: 0 };
    const file = Buffer.concat(encodeBatchFile({ node: 'a', epoch: 'b', batch: kept }));
    for (let length = 0; length < file.length; length++)
      expect(decodeBatchFile(file.subarray(0, length))).toEqual({ ok: false, reason: 'damaged' });
  });
});

describe('a file that was changed', () => {
  test.each<[string, (file: Buffer) => void, string]>([
    ['something else', (file) => void file.write('#!/bin/sh'), 'foreign'],
    ['of another version', (file) => void file.writeUInt32LE(2, 8), 'version'],
    ['of another node', (file) => void file.write('x', 20), 'damaged'],
    ['in its last connection', (file) => void file.writeUInt8(1, file.length - 1), 'damaged'],
    ['in the length of its first image', (file) => void file.writeUInt32LE(4, file.length - 128), 'damaged'],
  ])('%s', (_, change, reason) => {
    const file = connectionsFile([SMALL]);
    change(file);
    expect(decodeConnections(file)).toEqual({ ok: false, reason });
  });

  test('images that cannot follow each other', () => {
    const refused = { ok: false, reason: 'damaged' };
    expect(decodeConnections(connectionsFile([SMALL, { ...SMALL, number: 6 }]))).toEqual(refused);
    expect(decodeConnections(connectionsFile([{ ...SMALL, whole: false }]))).toEqual(refused);
  });

  test('any bytes: it is read or refused, and nothing else happens', () => {
    const files = [connectionsFile([SMALL, SMALL]), Buffer.concat(encodeBatchFile({ ...ONE }))];
    const change = fc.record({ file: fc.nat(1), at: fc.nat(400), bytes: fc.uint8Array({ minLength: 1 }) });
    fc.assert(
      fc.property(fc.oneof(change, fc.uint8Array()), (some) => {
        const bytes = some instanceof Uint8Array || !('file' in some) ? (some as Uint8Array) : changed(files, some);
        for (const read of [decodeConnections(bytes), decodeBatchFile(bytes)])
          expect(read.ok || ['foreign', 'version', 'damaged'].includes(read.reason)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

const ONE: SavedBatch = {
  node: 'a',
  epoch: 'b',
  batch: { number: 1, messages: [Buffer.from('some bytes')], bytes: 10, rows: 1, flowBytes: 5, frozenMs: 0 },
};

function changed(files: readonly Buffer[], { file, at, bytes }: { file: number; at: number; bytes: Uint8Array }) {
  const copy = Buffer.from(files[file]!);
  copy.set(bytes.subarray(0, Math.max(0, copy.length - at)), Math.min(at, copy.length));
  return copy;
}
