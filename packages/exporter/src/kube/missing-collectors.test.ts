import { expect, test } from '@jest/globals';
import { ABSENT_MS, Absent } from './missing-collectors.ts';

test('a node is without a collector after a while, from the last time that one spoke for it', () => {
  const absent = new Absent();
  const check = (nodes: string[], speaking: string[], at: number) => absent.check(nodes, new Set(speaking), at);
  expect(check(['a', 'b'], ['a'], 0)).toEqual([]);
  expect(check(['a', 'b'], ['a'], ABSENT_MS - 1)).toEqual([]);
  expect(check(['a', 'b'], ['a'], ABSENT_MS)).toEqual(['b']);
  expect(check(['a', 'b'], ['a', 'b'], ABSENT_MS + 1)).toEqual([]);
  expect(check(['a', 'b'], [], 2 * ABSENT_MS)).toEqual([]);
  expect(check(['a'], [], 3 * ABSENT_MS)).toEqual(['a']);
  expect(check(['a', 'b'], ['a'], 3 * ABSENT_MS)).toEqual([]);
});
