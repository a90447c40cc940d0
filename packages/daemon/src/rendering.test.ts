import { expect, test } from '@jest/globals';
import { SharedRendering } from './rendering.ts';

/** A rendering of 5 ms that counts how often it is made, and how many of it run at a time. */
function counted() {
  const seen = { made: 0, running: 0, most: 0 };
  const rendering = new SharedRendering(async () => {
    seen.most = Math.max(seen.most, ++seen.running);
    await new Promise((resolve) => setTimeout(resolve, 5));
    seen.running--;
    return ++seen.made;
  });
  return { seen, rendering };
}

test('is made once for all who ask at a time', async () => {
  const { rendering } = counted();
  expect(await Promise.all(Array.from({ length: 100 }, () => rendering.get()))).toEqual(Array(100).fill(1));
});

test('is never older than the question, and never made twice at a time', async () => {
  const { rendering, seen } = counted();
  const first = rendering.get();
  await new Promise((resolve) => setTimeout(resolve, 2));
  expect(await Promise.all([first, rendering.get(), rendering.get()])).toEqual([1, 2, 2]);
  expect(seen.most).toBe(1);
});

test('rests after each, for longer than it took', async () => {
  const { rendering } = counted();
  await rendering.get();
  const startedMs = performance.now();
  await rendering.get();
  expect(performance.now() - startedMs).toBeGreaterThan(50);
});

test('a failure is of those who asked for it alone', async () => {
  let broken = true;
  const rendering = new SharedRendering(async () => {
    if (broken) throw new Error('broken');
    return 'good';
  });
  await expect(rendering.get()).rejects.toThrow('broken');
  broken = false;
  expect(await rendering.get()).toBe('good');
});
