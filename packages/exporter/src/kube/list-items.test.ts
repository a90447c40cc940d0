import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { KubeFailure } from './failure.ts';
import { ListItems, MAX_ITEM_BYTES } from './list-items.ts';

/** Items and the rest of a text that comes in pieces of this size. */
function read(text: string, size: number): { items: unknown[]; rest: unknown } {
  const list = new ListItems();
  const bytes = Buffer.from(text);
  const items: unknown[] = [];
  for (let at = 0; at < bytes.length; at += size)
    items.push(...list.push(bytes.subarray(at, at + size)).map((json) => JSON.parse(json)));
  return { items, rest: JSON.parse(list.end()) };
}

describe('a list', () => {
  test.each<[string, string, unknown[], unknown]>([
    ['none', '{"kind":"PodList","items":[]}', [], { kind: 'PodList', items: [] }],
    ['two', '{"items":[{"a":1},{"b":[{}]}],"kind":"K"}', [{ a: 1 }, { b: [{}] }], { items: [], kind: 'K' }],
    ['blanks', '{ "items" : [ {"a":1} ,\n {"b":2} ] }', [{ a: 1 }, { b: 2 }], { items: [] }],
    ['null, as Go writes an empty one', '{"items":null}', [], { items: null }],
    [
      'other lists and deeper items',
      '{"x":[{"a":1}],"y":{"items":[{"b":1}]}}',
      [],
      { x: [{ a: 1 }], y: { items: [{ b: 1 }] } },
    ],
    ['brackets and quotes in strings', '{"items":[{"a":"}]\\"{[\\\\"}]}', [{ a: '}]"{[\\' }], { items: [] }],
    ['no list at all', '[1,2]', [], [1, 2]],
    ['a text', '"x{"', [], 'x{'],
  ])('%s', (_, text, items, rest) => {
    for (let size = 1; size <= text.length; size++) expect(read(text, size)).toEqual({ items, rest });
  });

  test('whatever is in it, however it is cut', () => {
    const maps = fc.array(fc.dictionary(fc.string(), fc.jsonValue()));
    fc.assert(
      fc.property(maps, fc.jsonValue(), fc.integer({ min: 1, max: 40 }), (items, metadata, size) => {
        const text = JSON.stringify({ kind: 'PodList', metadata, items });
        expect(read(text, size)).toEqual({
          items: JSON.parse(JSON.stringify(items)),
          rest: { ...JSON.parse(text), items: [] },
        });
      }),
    );
  });

  test('whatever comes, it comes to an end', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('{', '}', '[', ']', '"', '\\', '"items":[', ',', 'x'), { maxLength: 60 }),
        (parts) => {
          const list = new ListItems();
          for (const part of parts) list.push(Buffer.from(part));
          expect(list.end().length).toBeLessThanOrEqual(parts.join('').length);
        },
      ),
    );
  });

  const MEBIBYTE = Buffer.alloc(1024 * 1024, 0x61);
  const pushTooMuch = (list: ListItems) => {
    for (let bytes = 0; bytes <= MAX_ITEM_BYTES; bytes += MEBIBYTE.length) expect(list.push(MEBIBYTE)).toEqual([]);
  };

  test('an item that is too long is read past, and counted', () => {
    const list = new ListItems();
    expect(list.push(Buffer.from('{"items":[{"a":1},{"a":"'))).toEqual(['{"a":1}']);
    pushTooMuch(list);
    expect(list.push(Buffer.from('"},{"a":2}]}'))).toEqual(['{"a":2}']);
    expect([list.skipped, list.end()]).toEqual([1, '{"items":[]}']);
  });

  test('a list that is too long beside its items is a failure', () => {
    const list = new ListItems();
    list.push(Buffer.from('{"metadata":"'));
    expect(() => pushTooMuch(list)).toThrow(KubeFailure);
  });
});
