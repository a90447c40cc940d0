import type { ClockStep } from '@egressd/daemon/clock-steps';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { ClusterClock, type Moved } from './cluster-clock.ts';

const HOUR = 3_600_000;
const TRUE_MS = 1_700_000_000_000;

let elapsed: number;
let offBy: number;
let steps: ClockStep[];
let corrections: number[];
let moves: Moved[];
let clock: ClusterClock;

/** The exporter starts with a clock that is off by so much. */
function start(startsOffBy: number): void {
  [elapsed, offBy, steps, corrections, moves] = [0, startsOffBy, [], [], []];
  clock = new ClusterClock(
    { stepped: (step) => steps.push(step), corrected: (ms) => corrections.push(ms) },
    { now: () => TRUE_MS + elapsed + offBy, sinceBoot: () => 5000 + elapsed },
  );
  clock.onMoved((moved) => moves.push(moved));
}

/** How far `now` is ahead of the true time. */
const shown = () => clock.now() - TRUE_MS - elapsed;
/** Nodes connect, in this order, with clocks that are off by so much. */
function connect(...nodes: number[]): void {
  for (const [i, off] of nodes.entries()) clock.take(`n${i + 1}`, TRUE_MS + elapsed + off);
}

beforeEach(() => start(0));

describe('off at the start', () => {
  test.each([HOUR, -HOUR])('by %s ms: two nodes of two show it', (off) => {
    start(off);
    connect(0);
    expect(shown()).toBe(off);
    connect(0, 0);
    expect(shown()).toBe(0);
    expect(moves).toEqual([{ byMs: -off, learned: true }]);
    expect(corrections).toEqual([-off]);
    expect([clock.aheadOf('n1'), clock.aheadOf('n2')]).toEqual([0, 0]);
  });

  test('with a node that has the same clock: most decide, and that node is off', () => {
    start(HOUR);
    connect(HOUR, 0, 0);
    expect(shown()).toBe(0);
    expect(clock.aheadOf('n1')).toBe(HOUR);
  });

  test('put right then: nothing moves', () => {
    start(HOUR);
    connect(0, 0);
    moves = [];
    offBy = 0;
    expect(shown()).toBe(0);
    expect(moves).toEqual([]);
    expect(steps).toHaveLength(1);
    expect(corrections).toEqual([-HOUR, 0]);
  });

  test('put right when no node is there to show it', () => {
    start(HOUR);
    connect(0, 0);
    clock.forget('n1');
    clock.forget('n2');
    offBy = 0;
    expect(shown()).toBe(0);
    expect(corrections).toEqual([-HOUR, 0]);
  });
});

describe.each([HOUR, -HOUR, 90_000])('set by %s ms', (by) => {
  test('while two nodes are connected: time goes on, and no node is off', () => {
    connect(0, 0);
    [elapsed, offBy] = [1000, by];
    expect(shown()).toBe(0);
    expect(moves).toEqual([]);
    expect(corrections).toEqual([-by]);
    expect([clock.aheadOf('n1'), clock.aheadOf('n2')]).toEqual([0, 0]);
  });

  test('while one is, or none: it is believed, and what was measured moves along', () => {
    connect(0);
    [elapsed, offBy] = [1000, by];
    expect(shown()).toBe(by);
    expect(moves).toEqual([{ byMs: by, learned: false }]);
    expect(corrections).toEqual([]);
    expect(clock.aheadOf('n1')).toBe(-by);
  });

  test('with all nodes: they follow as they report', () => {
    connect(0, 0, 0);
    offBy = by;
    connect(by, by, by);
    expect(shown()).toBe(by);
    expect(corrections).toEqual([-by, 0]);
    expect(moves.reduce((sum, { byMs }) => sum + byMs, 0)).toBe(by);
  });
});

test.each([
  ['one of three', [HOUR, 0, 0]],
  ['two of four', [HOUR, HOUR, 0, 0]],
  ['all, each by something else', [HOUR, 2 * HOUR, -HOUR]],
  ['all, by less than matters', [50_000, 50_000, 50_000]],
])('what is not ours is not taken for it: %s', (_, nodes) => {
  connect(...nodes);
  expect(shown()).toBe(0);
  expect(nodes.map((_off, i) => clock.aheadOf(`n${i + 1}`))).toEqual(nodes);
});
