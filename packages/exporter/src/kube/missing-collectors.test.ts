import { expect, test } from '@jest/globals';
import { MISSING_AFTER_MS, MissingCollectors } from './missing-collectors.ts';

test('a node is without a collector once none has streamed from it for a while', () => {
  const missing = new MissingCollectors();
  const check = (nodes: string[], streaming: string[], at: number) => missing.check(nodes, new Set(streaming), at);
  expect(check(['a', 'b'], ['a'], 0)).toEqual([]);
  expect(check(['a', 'b'], ['a'], MISSING_AFTER_MS - 1)).toEqual([]);
  expect(check(['a', 'b'], ['a'], MISSING_AFTER_MS)).toEqual(['b']);
  expect(check(['a', 'b'], ['a', 'b'], MISSING_AFTER_MS + 1)).toEqual([]);
  expect(check(['a', 'b'], [], 2 * MISSING_AFTER_MS)).toEqual([]);
  expect(check(['a'], [], 3 * MISSING_AFTER_MS)).toEqual(['a']);
  expect(check(['a', 'b'], ['a'], 3 * MISSING_AFTER_MS)).toEqual([]);
});
