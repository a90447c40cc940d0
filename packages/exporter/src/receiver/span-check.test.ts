import { expect, test } from '@jest/globals';
import { CLOCK_AHEAD_MS, CLOCK_BEHIND_MS, checkSpan } from './span-check.ts';

const NOW = 1_700_000_000_000;
const LATE = CLOCK_BEHIND_MS + 1;

test.each([
  ['now', NOW - 5000, NOW, 0, NOW - 5000, NOW, 'fine'],
  ['as far ahead as may be', NOW, NOW + CLOCK_AHEAD_MS, 0, NOW, NOW + CLOCK_AHEAD_MS, 'fine'],
  ['further ahead', NOW + 10, NOW + CLOCK_AHEAD_MS + 1, 0, NOW, NOW, 'ahead'],
  ['ahead, begun in the past', NOW - 10, NOW + CLOCK_AHEAD_MS + 1, 0, NOW - 10, NOW, 'ahead'],
  ['old, early on a stream', 0, NOW - LATE, CLOCK_BEHIND_MS, 0, NOW - LATE, 'fine'],
  ['old, late on a stream', 0, NOW - LATE, LATE, 0, NOW - LATE, 'behind'],
  ['late on a stream, and not old', 0, NOW - CLOCK_BEHIND_MS, LATE, 0, NOW - CLOCK_BEHIND_MS, 'fine'],
])('a batch from %s', (_, fromMs, toMs, sinceWelcomeMs, expectedFrom, expectedTo, clock) =>
  expect(checkSpan({ number: 3, fromMs, toMs }, NOW, sinceWelcomeMs)).toEqual({
    span: { number: 3, fromMs: expectedFrom, toMs: expectedTo },
    clock,
  }),
);
