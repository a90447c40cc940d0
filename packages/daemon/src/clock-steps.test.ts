import { expect, test } from '@jest/globals';
import { ClockSteps, MACHINE_CLOCKS } from './clock-steps.ts';

/** What is seen of a wall clock that is changed by so much beside the time that goes by. */
function seen(elapsedMs: number, changeMs: number): number | undefined {
  const clocks = { now: 5_000_000, boot: 1000 };
  const steps = new ClockSteps({ now: () => clocks.now, sinceBoot: () => clocks.boot });
  clocks.now += elapsedMs + changeMs;
  clocks.boot += elapsedMs;
  const step = steps.take();
  expect(steps.take()).toBeUndefined();
  if (step !== undefined) expect(step.sinceMs).toBe(5_000_000 + changeMs);
  return step?.stepMs;
}

test.each([
  { elapsed: 0, change: -3_600_000, step: -3_600_000 },
  { elapsed: 5000, change: 3_600_000, step: 3_600_000 },
  { elapsed: 60_000, change: -7000, step: -7000 },
  { elapsed: 0, change: -600, step: -600 },
])('after $elapsed ms a change by $change ms is a step', ({ elapsed, change, step }) => {
  expect(seen(elapsed, change)).toBe(step);
});

test.each([
  { elapsed: 5000, change: 0 },
  { elapsed: 5000, change: -10 },
  { elapsed: 60_000, change: -4998 },
  { elapsed: 3_600_000, change: 299_000 },
])('after $elapsed ms a change by $change ms may be slewing', ({ elapsed, change }) => {
  expect(seen(elapsed, change)).toBeUndefined();
});

test('the clocks of the machine are in milliseconds', () => {
  expect(MACHINE_CLOCKS.sinceBoot()).toBeGreaterThan(1000);
  expect(new ClockSteps().take()).toBeUndefined();
});
