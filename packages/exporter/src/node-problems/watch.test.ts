import { createLog } from '@egressd/daemon/log';
import type { NodeHealth } from '@egressd/flow/node-health';
import { beforeEach, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { NodeEvent } from '../kube/events.ts';
import type { Collector } from '../receiver/received.ts';
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
let told: NodeEvent[];
let registry: Registry;
let speaking: Set<string>;

beforeEach(() => {
  [now, lines, told] = [0, [], []];
  registry = new Registry();
  speaking = new Set(['n1', 'n2']);
  const log = createLog('debug', (line) => lines.push(line));
  const tell = (event: NodeEvent): void => void told.push(event);
  watch = new NodeProblemWatch({ speaking: () => speaking, tell, log, registry, now: () => now });
});

function take(node: string, health: Partial<NodeHealth>): void {
  const settings = { excludeNamespaces: [], groupPublicIps: false, sendTrafficDelta: undefined };
  const collector: Collector = {
    node,
    bootId: '',
    epoch: node,
    version: '',
    settings,
    nodeAddresses: [],
    peer: undefined,
  };
  watch.take(collector, { ...FINE, ...health });
}

/** `reason number` of every reason that is not 0. */
async function shown(): Promise<string[]> {
  const { values } = await registry.getSingleMetric('egressd_exporter_node_problems')!.get();
  expect(values).toHaveLength(5);
  return values.filter(({ value }) => value > 0).map(({ labels, value }) => `${labels.reason} ${value}`);
}

test('accounting off: a line, a metric, and an event as long as it is so', async () => {
  take('n1', { accounting: false });
  take('n2', {});
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/level=error msg="nf_conntrack_acct is off on a node.*node=n1 advice="run.*-init/);
  expect(told).toMatchObject([{ node: 'n1', reason: 'AccountingOff', message: expect.stringContaining('-init') }]);
  expect(await shown()).toEqual(['accounting_off 1']);
  watch.check();
  expect(told).toHaveLength(2);
  take('n1', {});
  watch.check();
  expect(told).toHaveLength(2);
  expect(await shown()).toEqual([]);
});

test('counters zeroed by somebody else', async () => {
  take('n1', {});
  take('n1', { counterDecreases: 1 });
  expect(lines.join()).toMatch(/level=warn msg="the counters of connections fell.*node=n1 advice="find who/);
  expect(told).toMatchObject([{ node: 'n1', reason: 'CountersZeroed' }]);
  expect(await shown()).toEqual(['counters_zeroed 1']);
});

test('what loses nothing is no event', async () => {
  take('n1', { timestamps: false, entriesWithoutCounters: 5 });
  take('n2', { timestamps: false });
  watch.check();
  expect(told).toEqual([]);
  expect(lines).toHaveLength(2);
  expect(await shown()).toEqual(['timestamps_off 2', 'entries_without_counters 1']);
});

test('a node that flaps is said less and less, each on its own', () => {
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
  speaking.delete('n1');
  watch.check();
  expect(told).toHaveLength(1);
  expect(await shown()).toEqual([]);
});
