import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { STRIDE } from '../record.ts';
import { recordFields } from '../record-fields.ts';
import { decodeEntries, viewEntries } from './decode.ts';
import { KEY_BYTES, VALUE_BYTES } from './layout.ts';

test('whatever is in the map: as many records as entries, and never more in a direction than either end counted', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const entries = fc.array(fc.tuple(bytes(KEY_BYTES), bytes(VALUE_BYTES)), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(entries, (all) => {
      const keys = Uint8Array.from(all.flatMap(([key]) => [...key]));
      const values = Uint8Array.from(all.flatMap(([, value]) => [...value]));
      const words = new Uint32Array(all.length * STRIDE);
      decodeEntries(viewEntries(keys, values), 0, all.length, words);
      for (const [i, [, value]] of all.entries()) {
        const { originalBytes, replyBytes } = recordFields({ words, count: all.length }, i);
        const at = (word: number) => Buffer.from(value).readBigUInt64LE(8 * word);
        const isHighFirst = (at(8) & 1n) === 1n;
        expect([at(0), at(6)]).toContain(isHighFirst ? replyBytes : originalBytes);
        expect([at(4), at(2)]).toContain(isHighFirst ? originalBytes : replyBytes);
      }
    }),
  );
});
