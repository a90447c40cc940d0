import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatDuration, parseDuration } from './duration.ts';

test.each([
  ['0', 0],
  ['-0', 0],
  ['5s', 5000],
  ['2m', 120_000],
  ['1h30m', 5_400_000],
  ['500ms', 500],
  ['1.5h', 5_400_000],
  ['.5s', 500],
  ['1.s', 1000],
  ['1us', 0.001],
  ['1µs', 0.001],
  ['1μs', 0.001],
  ['2000000ns', 2],
  ['+3s', 3000],
  ['-3s', -3000],
  ['1m1m', 120_000],
])('%s is a duration', (text, ms) => {
  expect(Math.abs((parseDuration(text) ?? Number.NaN) - ms)).toBeLessThan(1e-9);
});

test.each(['', '5', 's', '.s', '5 s', '5S', '5d', '1h30', '--5s', '5s ', '1e3s', '٣s'])('%j is none', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test.each([
  [0, '0s'],
  [500, '500ms'],
  [5000, '5s'],
  [60_000, '1m'],
  [5_400_000, '1h30m'],
  [90_061_001, '25h1m1s1ms'],
  [-1500, '-1s500ms'],
])('%d is written %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test('what is written is read again', () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e12, max: 1e12 }), (ms) => {
      expect((parseDuration(formatDuration(ms)) ?? Number.NaN) + 0).toBe(ms);
    }),
  );
});
