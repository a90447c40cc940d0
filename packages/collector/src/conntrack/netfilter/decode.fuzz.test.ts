import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { STRIDE } from '../record.ts';
import { createShapes } from './attributes.ts';
import { decodeDatagram, startDump } from './decode.ts';
import { decodeDestroyEvents, newDestroyEvents } from './decode-events.ts';

const FILE = new URL('./testdata/corpus.json', import.meta.url);
const { recordings } = JSON.parse(readFileSync(FILE, 'utf8')) as { recordings: { datagrams: string[] }[] };
const DESTROY_EVENTS = new URL('./testdata/destroy-events.json', import.meta.url);
const events = JSON.parse(readFileSync(DESTROY_EVENTS, 'utf8')) as { recordings: { datagram: string }[] };
const datagrams = [
  ...recordings.flatMap((recording) => recording.datagrams),
  ...events.recordings.map(({ datagram }) => datagram),
].map((hex) => Buffer.from(hex, 'hex'));

const RECORDS = 4;
const GUARD = 0xfeed_face;

/** Decodes a datagram to its end, as of a dump and as of DESTROY events, and says what must hold whatever is in it. */
function decodesSafely(datagram: Uint8Array): void {
  holds(datagram, startDump(), decodeDatagram);
  holds(datagram, newDestroyEvents(createShapes()), decodeDestroyEvents);
}

function holds<State extends { at: number; count: number }>(
  datagram: Uint8Array,
  state: State,
  decode: (state: State, words: Uint32Array, length: number, block: Uint32Array) => void,
): void {
  const bytes = new Uint8Array((datagram.length + 3) & ~3);
  bytes.set(datagram);
  const words = new Uint32Array(bytes.buffer);
  // Nothing may be written beyond the block's end.
  const memory = new Uint32Array((RECORDS + 1) * STRIDE).fill(GUARD);
  const block = memory.subarray(0, RECORDS * STRIDE);
  const before = datagram.length / 16 + 1;
  for (let rounds = 0; state.at < datagram.length; rounds++) {
    const at = state.at;
    decode(state, words, datagram.length, block);
    expect(state.at).toBeGreaterThan(at);
    expect(state.at).toBeLessThanOrEqual(datagram.length);
    expect(state.count).toBeLessThanOrEqual(RECORDS);
    expect(rounds).toBeLessThan(before);
    state.count = 0;
  }
  expect(memory.subarray(RECORDS * STRIDE).every((word) => word === GUARD)).toBe(true);
}

/** Bytes of real datagrams, some of them changed, cut anywhere. */
const mutated = fc
  .record({
    parts: fc.array(fc.nat(datagrams.length - 1), { minLength: 1, maxLength: 6 }),
    changes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 12 }),
    cut: fc.option(fc.nat()),
  })
  .map(({ parts, changes, cut }) => {
    const bytes = Buffer.concat(parts.map((i) => datagrams[i]!));
    for (const [at, value] of changes) bytes[at % bytes.length] = value;
    return cut === null ? bytes : bytes.subarray(0, cut % (bytes.length + 1));
  });

/** Bytes whose first message claims to be an entry, so that the walk of attributes gets to see them. */
const entryOfNoise = fc.uint8Array({ minLength: 20, maxLength: 400 }).map((noise) => {
  const bytes = Buffer.from(noise);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(0x0100 | (noise[0]! & 2), 4);
  return bytes;
});

test('random bytes', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2048 }), decodesSafely), { numRuns: 500 });
});

test('an entry of random attributes', () => {
  fc.assert(fc.property(entryOfNoise, decodesSafely), { numRuns: 500 });
});

test('real datagrams with some bytes changed, or cut off', () => {
  fc.assert(fc.property(mutated, decodesSafely), { numRuns: 500 });
});
