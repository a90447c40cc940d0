import { parseAddress } from '@egressd/flow/address';
import { expect, test } from '@jest/globals';
import { STRIDE } from '../record.ts';
import { recordFields } from '../record-fields.ts';
import { decodeEntries, lastTick, viewEntries } from './decode.ts';
import { KEY_BYTES, VALUE_BYTES } from './layout.ts';

type End = readonly [sentBytes: bigint, sentPackets: bigint, receivedBytes: bigint, receivedPackets: bigint];
const NONE: End = [0n, 0n, 0n, 0n];
const BORN = 2n ** 40n + 6n;

function entry(low: End, high: End, part: { protocol?: number; last?: bigint; born?: bigint } = {}) {
  const keys = Buffer.alloc(KEY_BYTES);
  keys.set(parseAddress('10.0.0.1')!, 0);
  keys.set(parseAddress('fd00::7')!, 16);
  keys.writeUInt32LE(part.protocol ?? 6, 32);
  const values = Buffer.alloc(VALUE_BYTES);
  for (const [i, word] of [...low, ...high, part.born ?? BORN, part.last ?? 1n].entries())
    values.writeBigUInt64LE(word, 8 * i);
  return viewEntries(keys, values);
}

function decoded(low: End, high: End, protocol = 6) {
  const words = new Uint32Array(STRIDE);
  decodeEntries(entry(low, high, { protocol }), 0, 1, words);
  const { originalBytes, originalPackets, replyBytes, replyPackets } = recordFields({ words, count: 1 }, 0);
  return [originalBytes, originalPackets, replyBytes, replyPackets].map(Number);
}

test('a record: the end that had a socket first is the source, and the time of the entry its identity', () => {
  const words = new Uint32Array(STRIDE);
  decodeEntries(entry([100n, 2n, 50n, 1n], NONE, { protocol: 17 }), 0, 1, words);
  expect(recordFields({ words, count: 1 }, 0)).toMatchObject({
    ...{ zone: 0, protocol: 17, originalSource: '10.0.0.1', originalDestination: 'fd00::7', replySource: 'fd00::7' },
    ...{ originalPorts: [0, 0], start: undefined, timeout: undefined, sourceNat: false },
  });
  expect([words[10], words[11]]).toEqual([6, 2 ** 8]);
});

test.each<[string, End, End, number[]]>([
  ['the low one is on the node', [100n, 2n, 50n, 1n], NONE, [100, 2, 50, 1]],
  ['the high one is', NONE, [100n, 2n, 50n, 1n], [50, 1, 100, 2]],
  ['both are: once a direction, the larger number', [100n, 2n, 48n, 1n], [50n, 1n, 152n, 3n], [152, 3, 50, 1]],
  ['both are, and one is silent', [100n, 2n, 0n, 0n], [0n, 0n, 90n, 1n], [100, 2, 0, 0]],
  ['above 32 bits', [2n ** 40n, 2n ** 33n, 7n, 1n], NONE, [2 ** 40, 2 ** 33, 7, 1]],
])('%s', (_, low, high, expected) => {
  expect(decoded(low, high)).toEqual(expected);
});

test('the high end had a socket first: it is the source', () => {
  const words = new Uint32Array(STRIDE);
  decodeEntries(entry([100n, 2n, 48n, 1n], [50n, 1n, 152n, 3n], { born: BORN + 1n }), 0, 1, words);
  expect(recordFields({ words, count: 1 }, 0)).toMatchObject({
    ...{ originalSource: 'fd00::7', originalDestination: '10.0.0.1', replySource: '10.0.0.1' },
    ...{ originalBytes: 50n, originalPackets: 1n, replyBytes: 152n, replyPackets: 3n },
  });
});

test('echoes: what was sent, which two processes may have heard', () => {
  expect(decoded([100n, 1n, 200n, 2n], [100n, 1n, 100n, 1n], 1)).toEqual([100, 1, 100, 1]);
  expect(decoded([100n, 1n, 100n, 1n], NONE, 58)).toEqual([100, 1, 100, 1]);
});

test('when an entry last counted', () => {
  expect(lastTick(entry(NONE, NONE, { last: 2n ** 33n + 1n }).values, 0)).toBe(2 ** 33 + 1);
});
