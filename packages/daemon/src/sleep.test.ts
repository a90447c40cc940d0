import { test } from '@jest/globals';
import { sleep } from './sleep.ts';

test('an aborted signal ends it at once, before or meanwhile', async () => {
  await sleep(60_000, AbortSignal.abort());
  const cut = new AbortController();
  const sleeping = sleep(60_000, cut.signal);
  cut.abort();
  await sleeping;
});

test('it ends by itself too', () => sleep(1));
