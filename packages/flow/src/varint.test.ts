import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readVarints, varintLength, writeVarint } from './varint.ts';

const number = fc.oneof(
  fc.nat(300),
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 62),
);

test('what is written has the length that was announced, and every bit of the number', () => {
  fc.assert(
    fc.property(number, (value) => {
      const bytes = new Uint8Array(12);
      const end = writeVarint(bytes, 2, value);
      expect(end - 2).toBe(varintLength(value));
      const sevens = [...bytes.subarray(2, end)].map((byte, i) => BigInt(byte & 0x7f) << BigInt(7 * i));
      expect(sevens.reduce((sum, each) => sum + each, 0n)).toBe(BigInt(value));
      expect([...bytes.subarray(2, end)].map((byte) => byte >> 7)).toEqual([...Array(end - 3).fill(1), 0]);
    }),
  );
});

test('it is read again', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(Number.MAX_SAFE_INTEGER), { minLength: 1 }), (values) => {
      const bytes = new Uint8Array(8 * values.length);
      let end = 0;
      for (const value of values) end = writeVarint(bytes, end, value);
      const into = new Float64Array(values.length);
      expect(readVarints(bytes.subarray(0, end), into, Number.MAX_SAFE_INTEGER)).toBeUndefined();
      expect([...into]).toEqual(values);
    }),
  );
});
