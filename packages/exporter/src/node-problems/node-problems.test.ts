import type { NodeHealth } from '@egressd/flow/node-health';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { EVICT_AFTER_MS, NodeProblems, ZEROED_MS } from './node-problems.ts';

const FINE: NodeHealth = {
  accounting: true,
  timestamps: true,
  events: 1,
  counterDecreases: 0,
  entriesWithoutCounters: 0,
};

let nodes: NodeProblems;
const take = (health: Partial<NodeHealth>, nowMs = 0, epoch = 'first') =>
  nodes.take('n1', epoch, { ...FINE, ...health }, nowMs);

/** Nodes by problem. */
const problems = (nowMs = 0, ...streaming: string[]) =>
  Object.fromEntries(
    [...nodes.current(new Set(streaming.length === 0 ? ['n1'] : streaming), nowMs)].filter(
      ([, list]) => list.length > 0,
    ),
  );

beforeEach(() => {
  nodes = new NodeProblems();
});

describe('a problem', () => {
  test.each([
    ['nothing', {}, []],
    ['what the kernel does not say', { accounting: undefined, timestamps: undefined, events: undefined }, []],
    ['events', { events: 0 }, ['events_off']],
    ['events of connections opened while a listener exists', { events: 2 }, []],
    ['accounting', { accounting: false }, ['accounting_off']],
    ['timestamps', { timestamps: false }, ['timestamps_off']],
    ['entries', { entriesWithoutCounters: 7 }, ['entries_without_counters']],
    [
      'blind spots',
      { blindSpots: ['bridge', 'ipvs', 'flowtable', 'pods'] as const },
      ['uncounted_bridge', 'uncounted_ipvs', 'uncounted_flowtable', 'uncounted_pods'],
    ],
    [
      'all',
      { accounting: false, timestamps: false, entriesWithoutCounters: 1 },
      ['accounting_off', 'timestamps_off', 'entries_without_counters'],
    ],
  ])('%s', (_, health, expected) => {
    expect(take(health)).toEqual(expected);
    expect(problems()).toEqual(Object.fromEntries(expected.map((problem) => [problem, ['n1']])));
  });

  test('is new once, and again after it was well', () => {
    expect(take({ accounting: false })).toEqual(['accounting_off']);
    expect(take({ accounting: false, entriesWithoutCounters: 3 })).toEqual(['entries_without_counters']);
    expect(take({})).toEqual([]);
    expect(problems()).toEqual({});
    expect(take({ accounting: false })).toEqual(['accounting_off']);
  });

  test('counts nodes with a stream', () => {
    take({ accounting: false });
    nodes.take('n2', 'other', { ...FINE, accounting: false }, 0);
    expect(problems(0, 'n1', 'n2', 'n3')).toEqual({ accounting_off: ['n1', 'n2'] });
    expect(problems(0, 'n2')).toEqual({ accounting_off: ['n2'] });
  });
});

describe('counters that fell', () => {
  test('are a problem for a while after each time', () => {
    take({});
    expect(take({ counterDecreases: 2 }, 1000)).toEqual(['counters_zeroed']);
    expect(take({ counterDecreases: 5 }, 2000)).toEqual([]);
    expect(problems(2000 + ZEROED_MS - 1)).toEqual({ counters_zeroed: ['n1'] });
    expect(problems(2000 + ZEROED_MS)).toEqual({});
    expect(take({ counterDecreases: 5 }, 3000 + ZEROED_MS)).toEqual([]);
    expect(take({ counterDecreases: 6 }, 4000 + ZEROED_MS)).toEqual(['counters_zeroed']);
  });

  test('before the first NodeHealth of the node are old', () => expect(take({ counterDecreases: 9 })).toEqual([]));

  test('are counted from zero by a collector that restarted', () => {
    take({ counterDecreases: 9 });
    expect(take({ counterDecreases: 0 }, 0, 'second')).toEqual([]);
    expect(take({ counterDecreases: 3 }, 0, 'third')).toEqual(['counters_zeroed']);
  });

  test.each([[false], [undefined]])('prove nothing where timestamps are %s', (timestamps) => {
    take({ timestamps });
    expect(take({ timestamps, counterDecreases: 1 })).not.toContain('counters_zeroed');
  });
});

test('a node with a stream stays, one that is gone is evicted', () => {
  take({ accounting: false });
  nodes.take('n2', 'other', FINE, 0);
  nodes.evict(new Set(['n1']), EVICT_AFTER_MS - 1);
  expect(nodes.size).toBe(2);
  nodes.evict(new Set(['n1']), EVICT_AFTER_MS);
  expect(nodes.size).toBe(1);
  expect(problems(EVICT_AFTER_MS)).toEqual({ accounting_off: ['n1'] });
  nodes.evict(new Set(), 2 * EVICT_AFTER_MS - 1);
  expect(nodes.size).toBe(1);
  nodes.evict(new Set(), 2 * EVICT_AFTER_MS);
  expect(nodes.size).toBe(0);
});
