import { createLog } from '@egressd/daemon/log';
import { expect, test } from '@jest/globals';
import type { Mode } from './frame.ts';
import { ModeChoice } from './mode-choice.ts';

function setUp() {
  const lines: string[] = [];
  const log = createLog('info', (line) => lines.push(line));
  return { choice: new ModeChoice(log, () => 0), lines };
}

test.each<[(boolean | undefined)[], Mode | undefined, boolean]>([
  [[undefined], undefined, false],
  [[true, true], 'delta', false],
  [[false, false], 'counter', false],
  [[false, true], 'delta', true],
  [[undefined, true], 'delta', true],
  [[undefined, false], 'counter', true],
])('%p asks for %p', (asked, mode, disagree) => {
  const { choice, lines } = setUp();
  expect(choice.choose(asked)).toBe(mode);
  expect(lines.some((line) => line.includes('collectors disagree'))).toBe(disagree);
});

test('the mode is logged at the start and when it changes, with the query for it', () => {
  const { choice, lines } = setUp();
  for (const asked of [undefined, undefined, true, true, false]) choice.choose([asked]);
  expect(lines).toHaveLength(3);
  expect(lines[0]).toContain('mode=default');
  expect(lines[0]).toContain('query="increase(egressd_transmit_bytes_total[1h])"');
  expect(lines[0]).toContain('set send-traffic-delta to true at the collectors to keep them');
  expect(lines[1]).toContain('mode=delta');
  expect(lines[1]).toContain('query="sum_over_time(egressd_transmit_bytes_total[1h])"');
  expect(lines[2]).toContain('mode=counter');
});
