import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

/** Shows how much the counter grows in three idle times and with a block of half a second, in a process where nothing else runs. */
const PROGRAM = `
  import { Registry } from 'prom-client';
  import { registerEventLoopMetrics } from './event-loop.ts';
  const registry = new Registry();
  registerEventLoopMetrics(registry);
  let before = 0;
  const show = async () => {
    const active = (await registry.getMetricsAsJSON())[0].values[0].value;
    console.log(active - before);
    before = active;
  };
  await show();
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    await show();
  }
  const end = performance.now() + 500;
  while (performance.now() < end);
  await show();
`;

test('an idle process shows about zero, a blocked one the block', async () => {
  const argv = ['--disable-warning=ExperimentalWarning', '--input-type=module-typescript', '-e', PROGRAM];
  const { stdout } = await promisify(execFile)(process.execPath, argv, { cwd: import.meta.dirname });
  const grown = stdout.trim().split('\n').map(Number);
  // The best of three: the machine may be busy with other tests.
  expect(Math.min(...grown.slice(1, 4))).toBeLessThan(0.05);
  expect(grown[4]).toBeGreaterThanOrEqual(0.499);
  expect(grown[4]).toBeLessThan(1);
});
