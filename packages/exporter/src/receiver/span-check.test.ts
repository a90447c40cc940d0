import { expect, test } from '@jest/globals';
import { CLOCK_AHEAD_MS, CLOCK_BEHIND_MS, checkSpan, WITNESSES_MS } from './span-check.ts';

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
  expect(checkSpan({ number: 3, fromMs, toMs }, NOW, { sinceWelcomeMs, aheadMs: undefined })).toEqual({
    span: { number: 3, fromMs: expectedFrom, toMs: expectedTo },
    clock,
  }),
);

const HOUR = 3_600_000;

test.each([
  ['ahead', HOUR, 'ahead'],
  ['behind', -HOUR, 'behind'],
  ['off by as much as may be', CLOCK_AHEAD_MS, 'fine'],
])('where the clock of the node is known to be %s, the times are by ours', (_, aheadMs, clock) => {
  const span = { number: 3, fromMs: NOW - 5000 + aheadMs, toMs: NOW - 10 + aheadMs };
  const expected = { span: { number: 3, fromMs: NOW - 5000, toMs: NOW - 10 }, clock };
  expect(checkSpan(span, NOW, { sinceWelcomeMs: WITNESSES_MS, aheadMs })).toEqual(expected);
  // Before that it may be ours that is off.
  expect(checkSpan(span, NOW, { sinceWelcomeMs: 0, aheadMs })).toEqual({ ...expected, clock: 'fine' });
});

test('a batch from before the clock of its node was set back ends now', () => {
  const span = { number: 3, fromMs: NOW + HOUR - 5000, toMs: NOW + HOUR };
  const expected = { span: { number: 3, fromMs: NOW, toMs: NOW }, clock: 'fine' };
  expect(checkSpan(span, NOW, { sinceWelcomeMs: LATE, aheadMs: 0 })).toEqual(expected);
});

test('an old batch of a node whose clock is right is only late', () => {
  const span = { number: 3, fromMs: 0, toMs: NOW - LATE };
  expect(checkSpan(span, NOW, { sinceWelcomeMs: LATE, aheadMs: 100 }).clock).toBe('fine');
});
