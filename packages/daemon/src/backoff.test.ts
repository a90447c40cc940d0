import { describe, expect, test } from '@jest/globals';
import { backoffMs, MAX_RETRY_AFTER_MS, parseRetryAfter } from './backoff.ts';

const LIMITS = { minMs: 1000, maxMs: 60_000 };

describe('backoffMs', () => {
  test.each([
    [1, undefined, 0, 500],
    [1, undefined, 0.5, 750],
    [2, undefined, 0, 1000],
    [5, undefined, 0, 8000],
    [50, undefined, 0, 30_000],
    [2000, undefined, 0, 30_000],
    [1, 7000, 0, 7000],
    [50, 7000, 0, 30_000],
    [1, 1e12, 0, MAX_RETRY_AFTER_MS],
  ])('attempt %p, asked %p, random %p: %p ms', (attempt, askedMs, random, expected) => {
    expect(backoffMs(attempt, LIMITS, { askedMs, random })).toBe(expected);
  });

  test.each([
    [1, 1, 100],
    [2, 1, 200],
    [5, 1, 900],
    [5000, 1, 900],
    [3, 0.25, 100],
    [3, 0, 0],
  ])('full jitter, attempt %p, random %p: %p ms', (attempt, random, expected) => {
    expect(backoffMs(attempt, { minMs: 100, maxMs: 900 }, { random, jitter: 'full' })).toBe(expected);
  });
});

describe('parseRetryAfter', () => {
  const now = Date.UTC(2026, 0, 1, 12, 0, 0);
  test.each([
    [undefined, undefined],
    ['', undefined],
    ['0', 0],
    ['120', 120_000],
    [' 5 ', 5000],
    ['-5', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['2026', 2_026_000],
    ['Thu, 01 Jan 2026 12:01:00 GMT', 60_000],
    ['Thu, 01 Jan 2026 11:00:00 GMT', 0],
    ['Thu, nonsense', undefined],
  ])('%p: %p', (header, expected) => expect(parseRetryAfter(header, now)).toBe(expected));
});
