import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { STRIDE } from '../record.ts';
import { createShapes, shapeOf } from './attributes.ts';
import { compileDecoder, DECODED } from './compile.ts';
import { decodeByShape } from './entry.ts';

const FILE = new URL('./testdata/corpus.json', import.meta.url);
const { recordings } = JSON.parse(readFileSync(FILE, 'utf8')) as {
  recordings: { name: string; datagrams: string[] }[];
};

/** The first message of each recording that is an entry, as words. */
const entries = recordings.flatMap(({ name, datagrams }) => {
  const bytes = Buffer.from(datagrams[0]!, 'hex');
  if (bytes.readUInt16LE(4) !== 0x0100) return [];
  const length = bytes.readUInt32LE(0);
  const words = new Uint32Array(length >> 2);
  new Uint8Array(words.buffer).set(bytes.subarray(0, length));
  return [{ name, words, length }];
});

function byShape(words: Uint32Array, length: number): { record: Uint32Array; skipped: string | undefined } {
  const record = new Uint32Array(STRIDE);
  const skipped = decodeByShape(shapeOf(createShapes(), words, 0, length), words, 0, record, 0);
  return { record, skipped };
}

test('there are recordings of many kinds', () => expect(entries.length).toBeGreaterThan(15));

test.each(entries)('$name: written out it is what it is step by step', ({ words, length }) => {
  const compiled = compileDecoder(shapeOf(createShapes(), words, 0, length));
  const plain = byShape(words, length);
  const record = new Uint32Array(STRIDE);
  if (compiled === undefined) return expect(plain.skipped).toBeDefined();
  expect(compiled(words, 0, record, 0)).toBe(DECODED);
  expect(record).toEqual(plain.record);
});

test('of changed entries it decodes only what it decodes right', () => {
  const kinds = entries.flatMap(({ words, length }) => {
    const compiled = compileDecoder(shapeOf(createShapes(), words, 0, length));
    return compiled === undefined ? [] : [{ words, length, compiled }];
  });
  fc.assert(
    fc.property(
      fc.constantFrom(...kinds),
      fc.array(fc.tuple(fc.nat(2000), fc.nat(0xffff_ffff)), { maxLength: 3 }),
      ({ words, length, compiled }, changes) => {
        const bent = words.slice();
        // The message's own header is the caller's to check.
        for (const [at, value] of changes) bent[5 + (at % (bent.length - 5))] = value;
        const record = new Uint32Array(STRIDE);
        if (compiled(bent, 0, record, 0) !== DECODED) return;
        expect(byShape(bent, length)).toEqual({ record, skipped: undefined });
      },
    ),
    { numRuns: 800 },
  );
});
