import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { areDistinct } from './distinct.ts';

describe('addresses that are there once', () => {
  test('any addresses: as a set of them says', () => {
    const address = fc.uint8Array({ minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(fc.array(address, { maxLength: 30 }), fc.array(fc.nat(29), { maxLength: 3 }), (some, again) => {
        const all = [...some, ...again.flatMap((i) => some[i] ?? [])];
        const expected = new Set(all.map((bytes) => Buffer.from(bytes).toString('hex'))).size === all.length;
        expect(areDistinct(Uint8Array.from(all.flatMap((bytes) => [...bytes])))).toBe(expected);
      }),
    );
  });
});
