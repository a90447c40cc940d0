import { describe, expect, test } from '@jest/globals';
import { growthOf } from './memory.ts';

/** Half an hour: a warm-up that ends after a few minutes, then a rise a minute. */
function memory(warmUp: number, perMinute: number) {
  return Array.from({ length: 360 }, (_, i) => {
    const minutes = i / 12;
    const warm = warmUp * Math.min(1, minutes / 5);
    return { seconds: i * 5, value: 80 + warm + perMinute * minutes + (i % 7) / 2 };
  });
}

describe('growth', () => {
  test.each<[string, number, number, boolean]>([
    ['flat', 0, 0, false],
    ['only at the beginning', 30, 0, false],
    ['a leak', 0, 0.5, true],
    ['a leak behind a warm-up', 30, 0.5, true],
    ['less than the noise', 0, 0.01, false],
    ['shrinks', 0, -0.5, false],
  ])('%s', (name, warmUp, perMinute, grows) => {
    expect(growthOf(name, memory(warmUp, perMinute)).grows).toBe(grows);
  });
});
