import { describe, expect, test } from '@jest/globals';
import { BatchOffsets, MAX_EPOCHS_PER_NODE, NODE_IDLE_MS } from './batch-offsets.ts';

const FIRST = 'epoch-1';
const SECOND = 'epoch-2';

function opened(...nodes: string[]): BatchOffsets {
  const offsets = new BatchOffsets();
  for (const node of nodes) offsets.open(node, FIRST, 0);
  return offsets;
}

describe('offsets of batches', () => {
  test('of a new node are zero', () =>
    expect(new BatchOffsets().open('a', FIRST, 0)).toEqual({ applied: 0, committed: 0 }));

  test('a batch that comes twice is a duplicate', () => {
    const offsets = opened('a');
    expect(offsets.isDuplicate('a', 1)).toBe(false);
    offsets.apply('a', 1, 0);
    expect([offsets.isDuplicate('a', 1), offsets.isDuplicate('a', 2)]).toEqual([true, false]);
  });

  test('a collector that reconnects continues its epoch', () => {
    const offsets = opened('a');
    offsets.apply('a', 1, 0);
    offsets.apply('a', 2, 0);
    offsets.commitUpTo(new Map([['a', { epoch: FIRST, number: 1 }]]));
    expect(offsets.open('a', FIRST, 0)).toEqual({ applied: 2, committed: 1 });
  });

  test('counts batches that never came', () => {
    const offsets = opened('a');
    offsets.apply('a', 1, 0);
    expect(offsets.apply('a', 2, 0)).toBe(0);
    expect(offsets.apply('a', 6, 0)).toBe(3);
    expect(offsets.of('a').applied).toBe(6);
  });

  test('before the first batch of an epoch nothing is missing', () => expect(opened('a').apply('a', 800, 0)).toBe(0));

  test('to apply a batch twice is a bug', () => {
    const offsets = opened('a');
    offsets.apply('a', 3, 0);
    expect(() => offsets.apply('a', 3, 0)).toThrow('BUG: batch 3 of a applied after 3');
    expect(() => offsets.apply('b', 1, 0)).toThrow('BUG: node b was never opened');
  });

  test('positions are those of the current epochs', () => {
    const offsets = opened('a', 'b', 'c');
    offsets.apply('a', 4, 0);
    offsets.apply('b', 9, 0);
    offsets.open('b', SECOND, 0);
    offsets.apply('b', 1, 0);
    expect([...offsets.positions()]).toEqual([
      ['a', { epoch: FIRST, number: 4 }],
      ['b', { epoch: SECOND, number: 1 }],
    ]);
  });

  test('positions do not move afterwards', () => {
    const offsets = opened('a');
    offsets.apply('a', 1, 0);
    const positions = offsets.positions();
    offsets.apply('a', 2, 0);
    expect(positions.get('a')?.number).toBe(1);
  });

  test('a commit returns the nodes that moved, once', () => {
    const offsets = opened('a', 'b');
    offsets.apply('a', 5, 0);
    offsets.apply('b', 6, 0);
    const positions = offsets.positions();
    offsets.apply('a', 7, 0);
    expect([...offsets.commitUpTo(positions).keys()]).toEqual(['a', 'b']);
    expect([...offsets.commitUpTo(positions).keys()]).toEqual([]);
    expect(offsets.of('a')).toEqual({ applied: 7, committed: 5 });
  });

  test('never commits what was not applied, nor of another epoch', () => {
    const offsets = opened('a');
    offsets.apply('a', 5, 0);
    expect(offsets.commitUpTo(new Map([['a', { epoch: SECOND, number: 3 }]])).size).toBe(0);
    expect(offsets.commitUpTo(new Map([['x', { epoch: FIRST, number: 3 }]])).size).toBe(0);
    expect(offsets.commitUpTo(new Map([['a', { epoch: FIRST, number: 9 }]])).get('a')?.number).toBe(5);
  });

  test('an epoch that comes back, as when two collectors take turns, keeps its offsets', () => {
    const offsets = opened('a');
    offsets.apply('a', 5, 0);
    const positions = offsets.positions();
    expect(offsets.open('a', SECOND, 0)).toEqual({ applied: 0, committed: 0 });
    expect(offsets.commitUpTo(positions).size).toBe(0);
    expect(offsets.open('a', FIRST, 0)).toEqual({ applied: 5, committed: 5 });
  });

  test('old epochs are evicted', () => {
    const offsets = opened('a');
    offsets.apply('a', 5, 0);
    for (let i = 0; i < MAX_EPOCHS_PER_NODE; i++) offsets.open('a', `other-${i}`, 0);
    expect(offsets.open('a', FIRST, 0)).toEqual({ applied: 0, committed: 0 });
  });

  test('a node beyond the limit is refused until an idle one is evicted', () => {
    const offsets = new BatchOffsets(2);
    offsets.open('a', FIRST, 0);
    offsets.open('b', FIRST, 0);
    expect(offsets.open('c', FIRST, 0)).toBeUndefined();
    expect(offsets.open('b', FIRST, 1)).toBeDefined();
    expect(offsets.evictIdle(NODE_IDLE_MS + 1, () => false)).toBe(1);
    expect(offsets.open('c', FIRST, 0)).toBeDefined();
  });

  test('an idle node whose stream is open is kept', () => {
    const offsets = opened('a');
    expect(offsets.evictIdle(2 * NODE_IDLE_MS, (node) => node === 'a')).toBe(0);
    expect(offsets.size).toBe(1);
  });

  test('a node is not idle because the clock was set', () => {
    const offsets = opened('a');
    offsets.shift(2 * NODE_IDLE_MS);
    expect(offsets.evictIdle(2 * NODE_IDLE_MS, () => false)).toBe(0);
    expect(offsets.evictIdle(3 * NODE_IDLE_MS + 1, () => false)).toBe(1);
  });
});

describe('names that were made up', () => {
  const made = (offsets: BatchOffsets) => {
    for (let i = 0; i < 100; i++) offsets.open(`made-up-${i}`, FIRST, 0);
    return offsets;
  };

  test('make room for a node that may evict them, and only for it', () => {
    const offsets = made(new BatchOffsets(100));
    const strangers = (node: string) => node.startsWith('made-up') && node !== 'made-up-7';
    expect(offsets.open('made-up-100', FIRST, 1)).toBeUndefined();
    expect(offsets.open('real', FIRST, 1, strangers)).toEqual({ applied: 0, committed: 0 });
    expect(offsets.size).toBe(2);
    offsets.apply('made-up-7', 1, 2);
    expect(offsets.of('made-up-7').applied).toBe(1);
  });

  test('of whom none may go: no room', () =>
    expect(made(new BatchOffsets(100)).open('real', FIRST, 1, () => false)).toBeUndefined());
});
