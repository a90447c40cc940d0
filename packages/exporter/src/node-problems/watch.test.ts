import { createLog } from '@egressd/daemon/log';
import type { NodeHealth } from '@egressd/flow/node-health';
import { beforeEach, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { NodeEvent } from '../kube/events.ts';
import { collectorOf } from '../receiver/testing.ts';
import { NodeProblemWatch } from './watch.ts';

const FINE: NodeHealth = {
  accounting: true,
  timestamps: true,
  events: 1,
  counterDecreases: 0,
  entriesWithoutCounters: 0,
};

let watch: NodeProblemWatch;
let now: number;
let lines: string[];
let reported: NodeEvent[];
let registry: Registry;
let streaming: Set<string>;

beforeEach(() => {
  [now, lines, reported] = [0, [], []];
  registry = new Registry();
  streaming = new Set(['n1', 'n2']);
  const log = createLog('debug', (line) => lines.push(line));
  const report = (event: NodeEvent): void => void reported.push(event);
  watch = new NodeProblemWatch({ streaming: () => streaming, report, log, registry, now: () => now });
});

function take(node: string, health: Partial<NodeHealth>): void {
  watch.take(collectorOf(node, { epoch: node }), { ...FINE, ...health });
}

/** `reason number` of every reason that is not 0. */
async function shown(): Promise<string[]> {
  const { values } = await registry.getSingleMetric('egressd_exporter_node_problems')!.get();
  expect(values).toHaveLength(9);
  return values.filter(({ value }) => value > 0).map(({ labels, value }) => `${labels.reason} ${value}`);
}

test('accounting off: a line, a metric, and an event as long as it is so', async () => {
  take('n1', { accounting: false });
  take('n2', {});
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/level=error .* node=n1 problem=accounting_off advice="run.*-init/);
  expect(reported).toMatchObject([{ node: 'n1', reason: 'AccountingOff', message: expect.stringContaining('-init') }]);
  expect(await shown()).toEqual(['accounting_off 1']);
  watch.check();
  expect(reported).toHaveLength(2);
  take('n1', {});
  watch.check();
  expect(reported).toHaveLength(2);
  expect(await shown()).toEqual([]);
});

test.each([
  ['bridge', 'BridgeTrafficNotCounted', 'br_netfilter'],
  ['ipvs', 'IpvsTrafficNotCounted', 'vs.conntrack=1'],
  ['flowtable', 'FlowtableTrafficNotCounted', 'counter'],
  ['pods', 'PodTrafficNotCounted', 'eBPF'],
] as const)('what passes conntrack by (%s): a line, a metric, and an event', async (blindSpot, reason, advice) => {
  take('n1', { blindSpots: [blindSpot] });
  expect(lines).toEqual([expect.stringContaining(advice)]);
  expect(reported).toMatchObject([{ node: 'n1', reason, message: expect.stringContaining(advice) }]);
  expect(await shown()).toEqual([`uncounted_${blindSpot} 1`]);
  take('n1', {});
  expect(await shown()).toEqual([]);
});

test('counters zeroed by another process', async () => {
  take('n1', {});
  take('n1', { counterDecreases: 1 });
  expect(lines.join()).toMatch(/level=warn .* node=n1 problem=counters_zeroed advice="find/);
  expect(reported).toMatchObject([{ node: 'n1', reason: 'CountersZeroed' }]);
  expect(await shown()).toEqual(['counters_zeroed 1']);
});

test('what loses nothing is no event', async () => {
  take('n1', { timestamps: false, entriesWithoutCounters: 5 });
  take('n2', { timestamps: false });
  watch.check();
  expect(reported).toEqual([]);
  expect(lines).toHaveLength(2);
  expect(await shown()).toEqual(['timestamps_off 2', 'entries_without_counters 1']);
});

test('log lines of a node that flaps are limited, each node on its own', () => {
  for (let i = 0; i < 100; i++) {
    now += 100;
    take('n1', { accounting: i % 2 === 0 });
  }
  expect(lines.length).toBeLessThan(6);
  take('n2', { accounting: false });
  expect(lines.at(-1)).toContain('node=n2');
});

test('a node whose stream is gone is not counted', async () => {
  take('n1', { accounting: false });
  streaming.delete('n1');
  watch.check();
  expect(reported).toHaveLength(1);
  expect(await shown()).toEqual([]);
});
