import { createLog } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { expect, jest, test } from '@jest/globals';
import { createBlindSpotMetrics } from '../conntrack/metrics.ts';
import type { BlindSpots, KernelView } from '../conntrack/source.ts';
import { followBlindSpots } from './blind-spots.ts';

const NONE: BlindSpots = { bridge: [], ipvs: [], flowtable: [], pods: [] };
const BRIDGE: BlindSpots = { ...NONE, bridge: ['cni0/ipv4'] };

const viewOf = (spots: BlindSpots, dataPlanes: readonly string[] = []): KernelView => ({
  spots,
  podLinks: [],
  dataPlanes,
});

test.each([
  ['unknown', [], 'of=pods '],
  ['by its links', ['cilium_host'], 'of=cilium_host '],
])('what pods move past conntrack, with a data plane that is %s', async (_, dataPlanes, of) => {
  const lines: string[] = [];
  const passesNetfilterBy = jest.fn();
  const { now, stop } = await followBlindSpots({
    source: { name: 'netfilter', blindSpots: async () => viewOf(NONE, dataPlanes), passesNetfilterBy },
    podTraffic: { look: () => true },
    log: createLog('info', (line) => lines.push(line)),
    record: () => {},
  });
  stop();
  expect(now()).toEqual(['pods']);
  expect(passesNetfilterBy.mock.calls).toEqual([["traffic passes netfilter's table by (pods)"]]);
  expect(lines).toEqual([expect.stringContaining(of)]);
});

test('each change is logged once, and the metric shows what is known', async () => {
  jest.useFakeTimers();
  const registry = createRegistry();
  const lines: string[] = [];
  const looks = [NONE, BRIDGE, BRIDGE, undefined, BRIDGE, NONE].map((spots) => spots && viewOf(spots));
  const { stop } = await followBlindSpots({
    source: { name: 'netfilter', blindSpots: async () => looks.shift() },
    podTraffic: { look: () => false },
    log: createLog('info', (line) => lines.push(line)),
    record: createBlindSpotMetrics(registry),
  });
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
    [5, 'unknown'],
    [6, '1'],
    [7, '0'],
  ]);
});

test('where sockets are counted nothing passes them by', async () => {
  const { now, stop } = await followBlindSpots({
    source: { name: 'ebpf', blindSpots: async () => viewOf(BRIDGE) },
    podTraffic: { look: () => true },
    log: createLog('info', () => {}),
    record: (found) => expect(found).toEqual(NONE),
  });
  stop();
  expect(now()).toEqual([]);
});
