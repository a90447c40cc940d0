import { describe, expect, test } from '@jest/globals';
import { clockAt, clockSourceOf, isAlive, type KernelTime, tickRate } from './clock.ts';

const at = (seconds: number, rate: number): KernelTime => ({ seconds, jiffies: 2 ** 32 - 300 * rate + seconds * rate });
const inJiffies = (now: KernelTime, rate: number, seconds: number) => Math.floor((now.jiffies! + seconds * rate) / 256);

test.each([100, 250, 300, 1000])('%i ticks a second are found out, from the first minute to ten years', (rate) => {
  for (const seconds of [5, 60, 3600, 86_400, 3.15e8]) expect(tickRate(at(seconds, rate))).toBe(rate);
});

test('ticks that fit no rate are none', () => {
  expect(tickRate({ seconds: 86_400 * 30, jiffies: 17 })).toBeUndefined();
  expect(tickRate({ seconds: 10, jiffies: undefined })).toBeUndefined();
});

describe.each([100, 250, 300, 1000])('%i ticks a second', (rate) => {
  const now = at(86_400 * 3, rate);

  test('how long an entry has left, in either unit', () => {
    expect(clockAt('ktime', now)!.secondsUntil(now.seconds + 59)).toBe(59);
    const left = clockAt('jiffies', now)!.secondsLeft(inJiffies(now, rate, 600));
    expect(Math.abs(left - 600)).toBeLessThanOrEqual(256 / rate);
    expect(clockAt('jiffies', now)!.secondsUntil(17)).toBe(0);
  });

  test('the unit is found out from entries that live, among expired ones', () => {
    const ages = [-86_400, -3600, -1, 30, 60, 8000, 21_600];
    expect(
      clockSourceOf(
        ages.map((age) => now.seconds + age),
        now,
      ),
    ).toBe('ktime');
    expect(
      clockSourceOf(
        ages.map((age) => inJiffies(now, rate, age)),
        now,
      ),
    ).toBe('jiffies');
  });

  test('and from expired ones alone', () => {
    expect(clockSourceOf([now.seconds - 90_000], now)).toBe('ktime');
    expect(clockSourceOf([inJiffies(now, rate, -90_000)], now)).toBe('jiffies');
  });

  test('alive is what ends later than now, and not too far off', () => {
    const clock = clockAt('jiffies', now)!;
    const alive = [-60, 60, 21_600, 200_000].map((left) => isAlive(clock, inJiffies(now, rate, left)));
    expect(alive).toEqual([false, true, true, false]);
  });
});

test('no entries tell nothing', () => {
  expect(clockSourceOf([], at(60, 250))).toBeUndefined();
});

test('without ticks seconds can still be told, jiffies not', () => {
  const now = { seconds: 1000, jiffies: undefined };
  expect(clockAt('jiffies', now)).toBeUndefined();
  expect(clockSourceOf([1030], now)).toBe('ktime');
});
