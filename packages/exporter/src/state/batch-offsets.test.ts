import { describe, expect, test } from '@jest/globals';
import { Ledger, MAX_EPOCHS_PER_NODE, NODE_SILENT_MS } from './batch-offsets.ts';

const FIRST = 'epoch-1';
const SECOND = 'epoch-2';

function opened(...nodes: string[]): Ledger {
  const ledger = new Ledger();
  for (const node of nodes) ledger.open(node, FIRST, 0);
  return ledger;
}

describe('ledger', () => {
  test('a node that is not known stands at nothing', () =>
    expect(new Ledger().open('a', FIRST, 0)).toEqual({ applied: 0, committed: 0 }));

  test('a batch that comes twice is known', () => {
    const ledger = opened('a');
    expect(ledger.isDuplicate('a', 1)).toBe(false);
    ledger.apply('a', 1, 0);
    expect([ledger.isDuplicate('a', 1), ledger.isDuplicate('a', 2)]).toEqual([true, false]);
  });

  test('a collector that comes back goes on', () => {
    const ledger = opened('a');
    ledger.apply('a', 1, 0);
    ledger.apply('a', 2, 0);
    ledger.commitUpTo(new Map([['a', { epoch: FIRST, number: 1 }]]));
    expect(ledger.open('a', FIRST, 0)).toEqual({ applied: 2, committed: 1 });
  });

  test('counts batches that never came', () => {
    const ledger = opened('a');
    ledger.apply('a', 1, 0);
    expect(ledger.apply('a', 2, 0)).toBe(0);
    expect(ledger.apply('a', 6, 0)).toBe(3);
    expect(ledger.standing('a').applied).toBe(6);
  });

  test('without a history nothing is missing', () => expect(opened('a').apply('a', 800, 0)).toBe(0));

  test('to apply a batch twice is a bug', () => {
    const ledger = opened('a');
    ledger.apply('a', 3, 0);
    expect(() => ledger.apply('a', 3, 0)).toThrow('BUG: batch 3 of a applied after 3');
    expect(() => ledger.apply('b', 1, 0)).toThrow('BUG: node b was never opened');
  });

  test('positions are those of the present epochs', () => {
    const ledger = opened('a', 'b', 'c');
    ledger.apply('a', 4, 0);
    ledger.apply('b', 9, 0);
    ledger.open('b', SECOND, 0);
    ledger.apply('b', 1, 0);
    expect([...ledger.positions()]).toEqual([
      ['a', { epoch: FIRST, number: 4 }],
      ['b', { epoch: SECOND, number: 1 }],
    ]);
  });

  test('positions do not move afterwards', () => {
    const ledger = opened('a');
    ledger.apply('a', 1, 0);
    const positions = ledger.positions();
    ledger.apply('a', 2, 0);
    expect(positions.get('a')?.number).toBe(1);
  });

  test('tells who moved, once', () => {
    const ledger = opened('a', 'b');
    ledger.apply('a', 5, 0);
    ledger.apply('b', 6, 0);
    const positions = ledger.positions();
    ledger.apply('a', 7, 0);
    expect([...ledger.commitUpTo(positions).keys()]).toEqual(['a', 'b']);
    expect([...ledger.commitUpTo(positions).keys()]).toEqual([]);
    expect(ledger.standing('a')).toEqual({ applied: 7, committed: 5 });
  });

  test('never commits what was not applied, nor of another epoch', () => {
    const ledger = opened('a');
    ledger.apply('a', 5, 0);
    expect(ledger.commitUpTo(new Map([['a', { epoch: SECOND, number: 3 }]])).size).toBe(0);
    expect(ledger.commitUpTo(new Map([['x', { epoch: FIRST, number: 3 }]])).size).toBe(0);
    expect(ledger.commitUpTo(new Map([['a', { epoch: FIRST, number: 9 }]])).get('a')?.number).toBe(5);
  });

  test('an epoch that comes back, as when two collectors take turns, is still known', () => {
    const ledger = opened('a');
    ledger.apply('a', 5, 0);
    const positions = ledger.positions();
    expect(ledger.open('a', SECOND, 0)).toEqual({ applied: 0, committed: 0 });
    expect(ledger.commitUpTo(positions).size).toBe(0);
    expect(ledger.open('a', FIRST, 0)).toEqual({ applied: 5, committed: 5 });
  });

  test('old epochs are forgotten', () => {
    const ledger = opened('a');
    ledger.apply('a', 5, 0);
    for (let i = 0; i < MAX_EPOCHS_PER_NODE; i++) ledger.open('a', `other-${i}`, 0);
    expect(ledger.open('a', FIRST, 0)).toEqual({ applied: 0, committed: 0 });
  });

  test('has room for so many nodes, and for more when some are silent', () => {
    const ledger = new Ledger(2);
    ledger.open('a', FIRST, 0);
    ledger.open('b', FIRST, 0);
    expect(ledger.open('c', FIRST, 0)).toBeUndefined();
    expect(ledger.open('b', FIRST, 1)).toBeDefined();
    expect(ledger.forgetSilent(NODE_SILENT_MS + 1, () => false)).toBe(1);
    expect(ledger.open('c', FIRST, 0)).toBeDefined();
  });

  test('a silent node whose stream is open is kept', () => {
    const ledger = opened('a');
    expect(ledger.forgetSilent(2 * NODE_SILENT_MS, (node) => node === 'a')).toBe(0);
    expect(ledger.size).toBe(1);
  });
});
