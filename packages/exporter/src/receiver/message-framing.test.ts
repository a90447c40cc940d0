import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MessageFraming } from './message-framing.ts';

const message = (length: number, flag = 0) => {
  const bytes = Buffer.alloc(5 + length);
  bytes[0] = flag;
  bytes.writeUInt32BE(length, 1);
  return bytes;
};

describe('framing', () => {
  test('counts messages and what is unfinished, however the bytes are cut', () => {
    const lengths = fc.array(fc.nat(40), { maxLength: 8 });
    fc.assert(
      fc.property(
        lengths,
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
        fc.nat(30),
        (all, cuts, rest) => {
          const begun = rest === 0 ? Buffer.alloc(0) : message(100).subarray(0, rest);
          const bytes = Buffer.concat([...all.map((length) => message(length)), begun]);
          const framing = new MessageFraming(1000);
          for (let at = 0, cut = 0; at < bytes.length; cut++) {
            const taken = cuts[cut % cuts.length]!;
            expect(framing.push(bytes.subarray(at, at + taken))).toBeUndefined();
            at += taken;
          }
          expect(framing.messages).toBe(all.length);
          expect(framing.unfinished).toBe(begun.length);
        },
      ),
    );
  });

  test.each<[string, Buffer, string | undefined]>([
    ['a compressed message', message(3, 1), 'compressed'],
    ['a first message above the limit', message(1001).subarray(0, 5), 'first_too_long'],
    ['a first message at the limit', message(1000), undefined],
    ['a later one above it', Buffer.concat([message(1), message(1001)]), undefined],
    ['a later one that is compressed', Buffer.concat([message(1), message(1, 1)]), 'compressed'],
  ])('%s', (_, bytes, refused) => expect(new MessageFraming(1000).push(bytes)).toBe(refused));
});
