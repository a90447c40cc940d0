import { describe, expect, test } from '@jest/globals';
import { clockAt, clockSourceOf, isAlive, type KernelTime } from './clock.ts';

const at = (seconds: number, tickRate: number): KernelTime => ({ seconds, tickRate });
/** As the kernel counts: `jiffies` begins at 2^32 - 300 s. */
const inJiffies = ({ seconds, tickRate }: KernelTime, left: number) =>
  Math.floor((2 ** 32 - 300 * tickRate + (seconds + left) * tickRate) / 256);

describe.each([100, 250, 300, 1000])('%i ticks a second', (rate) => {
  const now = at(86_400 * 3, rate);

  test('how long an entry has left, in either unit', () => {
    expect(clockAt('ktime', now).secondsLeft(now.seconds + 59)).toBe(59);
    const left = clockAt('jiffies', now).secondsLeft(inJiffies(now, 600));
    expect(Math.abs(left - 600)).toBeLessThanOrEqual(256 / rate);
    expect(clockAt('jiffies', now).secondsLeft(17)).toBeLessThan(0);
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
        ages.map((age) => inJiffies(now, age)),
        now,
      ),
    ).toBe('jiffies');
  });

  test('and from expired ones alone', () => {
    expect(clockSourceOf([now.seconds - 90_000], now)).toBe('ktime');
    expect(clockSourceOf([inJiffies(now, -90_000)], now)).toBe('jiffies');
  });

  test('alive is what ends later than now, and not too far off', () => {
    const clock = clockAt('jiffies', now);
    const alive = [-60, 60, 21_600, 200_000].map((left) => isAlive(clock, inJiffies(now, left)));
    expect(alive).toEqual([false, true, true, false]);
  });
});

test('no entries show nothing', () => {
  expect(clockSourceOf([], at(60, 250))).toBeUndefined();
});

test('after 318 days at 100 ticks a second both clocks show the same: undetermined', () => {
  const now = at(27_531_649, 100);
  expect(clockSourceOf([now.seconds + 30], now)).toBeUndefined();
});
