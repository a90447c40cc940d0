import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { memberNames } from './btf.ts';
import { layoutOfMembers } from './inspect.ts';

/** A description of types, as a compiler writes it. `[kind, members]`: members are names and types. */
function btf(
  types: readonly (readonly [kind: number, members: readonly (readonly [string, number])[], type?: number])[],
) {
  const strings: number[] = [0];
  const nameAt = (name: string) => {
    if (name === '') return 0;
    const at = strings.length;
    strings.push(...Buffer.from(name), 0);
    return at;
  };
  const words = types.flatMap(([kind, members, type = 0]) => [
    0,
    (kind << 24) | members.length,
    type,
    ...(kind === 1 ? [32] : []),
    ...members.flatMap(([name, of]) => [nameAt(name), of, 0]),
  ]);
  const header = Buffer.alloc(24);
  header.writeUInt16LE(0xeb9f, 0);
  header.writeUInt8(1, 2);
  for (const [i, word] of [24, 0, words.length * 4, words.length * 4, strings.length].entries())
    header.writeUInt32LE(word, 4 + i * 4);
  return Buffer.concat([header, Buffer.from(Uint32Array.from(words).buffer), Buffer.from(strings)]);
}

const [INT, STRUCT, UNION, TYPEDEF] = [1, 4, 5, 8];
const OLD = ['rx_packets', 'rx_bytes', 'tx_packets', 'tx_bytes', 'lifetime'];

describe('the layout from a description of types', () => {
  test('a struct with a counter a direction, through a typedef', () => {
    const bytes = btf([
      [INT, []],
      [STRUCT, OLD.map((name) => [name, 1] as const)],
      [TYPEDEF, [], 2],
    ]);
    expect(memberNames(bytes, 3)).toEqual(OLD);
    expect(layoutOfMembers(memberNames(bytes, 3))).toBe('directed');
  });

  test('unnamed parts are looked into', () => {
    const bytes = btf([
      [INT, []],
      [
        STRUCT,
        [
          ['reserved0', 1],
          ['backend_id', 1],
        ],
      ],
      [
        UNION,
        [
          ['nat_addr', 1],
          ['', 2],
        ],
      ],
      [
        STRUCT,
        [
          ['', 3],
          ['packets', 1],
          ['bytes', 1],
        ],
      ],
    ]);
    expect(memberNames(bytes, 4)).toEqual(['nat_addr', 'reserved0', 'backend_id', 'packets', 'bytes']);
    expect(layoutOfMembers(memberNames(bytes, 4))).toBe('summed');
  });

  test('what is no struct, or of other names, shows nothing', () => {
    expect(memberNames(btf([[INT, []]]), 1)).toBeUndefined();
    expect(memberNames(btf([[INT, []]]), 2)).toBeUndefined();
    expect(memberNames(btf([[TYPEDEF, [], 1]]), 1)).toBeUndefined();
    expect(layoutOfMembers(['count'])).toBeUndefined();
    expect(layoutOfMembers(undefined)).toBeUndefined();
  });

  test('damaged ones end, and say nothing that is not there', () => {
    const good = btf([
      [INT, []],
      [STRUCT, OLD.map((name) => [name, 1] as const)],
    ]);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 }),
        fc.nat(good.length),
        (changes, length) => {
          const bytes = Buffer.from(good.subarray(0, length));
          for (const [at, value] of changes) if (at < length) bytes[at] = value;
          for (const type of [0, 1, 2, 3]) memberNames(bytes, type);
        },
      ),
    );
  });
});
