import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { WordTable } from './word-table.ts';

test('finds what was added, and nothing else', () => {
  const table = new WordTable(2, 1, 7);
  for (let i = 0; i < 5000; i++) expect(table.add(Uint32Array.of(i, i % 3), 0)).toBe(i);
  for (let i = 0; i < 5000; i++) {
    expect(table.find(Uint32Array.of(9, i, i % 3), 1)).toBe(i);
    expect(table.find(Uint32Array.of(i, 3), 0)).toBe(-1);
  }
});

test('keys that differ in one word only, in any, are different', () => {
  const table = new WordTable(12, 0, 1);
  const zero = new Uint32Array(12);
  table.add(zero, 0);
  for (let word = 0; word < 12; word++) expect(table.find(zero.with(word, 1), 0)).toBe(-1);
});

describe('against a Map', () => {
  const step = fc.tuple(
    fc.nat(300),
    fc.constantFrom('add', 'add', 'add', 'retain', 'rekey'),
    fc.integer({ min: 2, max: 5 }),
  );
  test('whatever is added, dropped and renamed', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), fc.integer(), (steps, seed) => {
        const table = new WordTable(1, 1, seed);
        let model = new Map<number, number>();
        for (const [key, what, part] of steps) {
          if (what === 'add') {
            if (table.find(Uint32Array.of(key), 0) >= 0) continue;
            const index = table.add(Uint32Array.of(key), 0);
            expect(table.records[index * 2 + 1]).toBe(0);
            table.records[index * 2 + 1] = key * 7;
            model.set(key, key * 7);
          } else if (what === 'retain') {
            const { records } = table;
            const renumbered = table.retain((index) => records[index * 2]! % part !== 0);
            model = new Map([...model].filter(([kept]) => kept % part !== 0));
            expect(renumbered.filter((index) => index !== 0).length).toBe(model.size);
          } else {
            // To keys that no record has.
            table.rekey((records, at) => {
              records[at] = records[at]! + 1000;
            });
            model = new Map([...model].map(([old, value]) => [old + 1000, value]));
          }
        }
        expect(table.count).toBe(model.size);
        for (const [key, value] of model) expect(table.records[table.find(Uint32Array.of(key), 0) * 2 + 1]).toBe(value);
      }),
    );
  });
});
