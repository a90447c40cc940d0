import { expect, test } from '@jest/globals';
import { ReadSchedule } from './read-schedule.ts';

const HOUR = 3_600_000;
const never = new AbortController().signal;

test('a read that is asked for, be it during the one before, comes long before its time', async () => {
  const times = new ReadSchedule(HOUR);
  times.readSooner();
  await times.wait(never);
});

test('a stop ends the wait', async () => {
  const stop = new AbortController();
  const waiting = new ReadSchedule(HOUR).wait(stop.signal);
  stop.abort();
  await waiting;
});

test('a time that has passed is no reason to wait, nor to complain', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error) => void warnings.push(warning);
  process.on('warning', note);
  const times = new ReadSchedule(1);
  for (let i = 0; i < 20; i++) await times.wait(never);
  process.off('warning', note);
  expect(warnings.map(({ name }) => name)).not.toContain('TimeoutNegativeWarning');
});
