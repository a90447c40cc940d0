import { createLog } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { expect, jest, test } from '@jest/globals';
import { createBlindSpotMetrics } from '../conntrack/metrics.ts';
import type { BlindSpots } from '../conntrack/source.ts';
import { followBlindSpots } from './blind-spots.ts';

const NONE: BlindSpots = { bridge: [], ipvs: [], flowtable: [] };
const BRIDGE: BlindSpots = { ...NONE, bridge: ['cni0/ipv4'] };

test('each change is logged once, and the metric shows what is known', async () => {
  jest.useFakeTimers();
  const registry = createRegistry();
  const lines: string[] = [];
  const looks = [NONE, BRIDGE, BRIDGE, undefined, BRIDGE, NONE];
  const source = { blindSpots: async () => looks.shift() };
  const { stop } = await followBlindSpots(
    source,
    createLog('info', (line) => lines.push(line)),
    createBlindSpotMetrics(registry),
  );
  const seen: [number, string][] = [];
  for (;;) {
    const text = await registry.getSingleMetricAsString('egressd_collector_blind_spot');
    seen.push([lines.length, /\{reason="bridge"\} (\d)/.exec(text)?.[1] ?? 'unknown']);
    if (looks.length === 0) break;
    await jest.advanceTimersByTimeAsync(60_000);
  }
  stop();
  jest.useRealTimers();
  expect(seen).toEqual([
    [0, '0'],
    [1, '1'],
    [1, '1'],
    // That it is not known any more, a line for each reason.
    [4, 'unknown'],
    [5, '1'],
    [6, '0'],
  ]);
});
