import { seededRandom } from '@egressd/world/traffic/random';
import { describe, expect, test } from '@jest/globals';
import { type Sample, trendOf } from './slope.ts';

/** Samples every five seconds for half an hour: a base, a rise an hour, noise up to 5 and a garbage collection now and then. */
function samples(perHour: number, seed = 1): Sample[] {
  const random = seededRandom(seed);
  return Array.from({ length: 360 }, (_, i) => {
    const noise = random.between(0, 500) / 100 - (i % 50 === 0 ? 20 : 0);
    return { seconds: i * 5, value: 100 + (perHour * i * 5) / 3600 + noise };
  });
}

test('a straight line is its own trend', () => {
  const line = [0, 10, 20, 30].map((seconds) => ({ seconds, value: 5 + seconds / 10 }));
  expect(trendOf(line)).toEqual({ median: 6.5, perHour: 360, leastPerHour: 360, mostPerHour: 360 });
});

describe.each([0, 2, 10, -7])('a rise of %p an hour under noise', (perHour) => {
  const { perHour: found, leastPerHour, mostPerHour } = trendOf(samples(perHour));

  test('is found', () => {
    expect(Math.abs(found - perHour)).toBeLessThan(1);
  });

  test('lies within the interval', () => {
    expect(leastPerHour).toBeLessThan(perHour);
    expect(mostPerHour).toBeGreaterThan(perHour);
  });
});

test('more samples than are looked at', () => {
  const many = Array.from({ length: 5000 }, (_, i) => ({ seconds: i, value: i }));
  expect(trendOf(many).perHour).toBeCloseTo(3600);
});
