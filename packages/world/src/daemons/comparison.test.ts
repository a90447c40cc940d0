import { describe, expect, test } from '@jest/globals';
import { sumTransfers, type Transfer } from '../reference/transfers.ts';
import { compare, isExact, type NodeCounts } from './comparison.ts';
import type { PairTotals } from './samples.ts';

const POD = '10.10.1.2';
const OTHER = '10.10.2.2';

const transfer = (source: string, destination: string, packets: number, bytes: number): Transfer => ({
  ...{ source, destination, protocol: 6, packets, bytes },
});
const totals = (
  source: string,
  destination: string,
  tx: [number, number],
  rx: [number, number],
): [string, PairTotals] => [
  `${source} ${destination} 6`,
  { source, destination, protocol: 6, txPackets: tx[0], txBytes: tx[1], rxPackets: rx[0], rxBytes: rx[1] },
];

function counts(reference: Transfer[], database: [string, PairTotals][]): NodeCounts {
  return { node: 'node-a', pods: new Set([POD]), reference: sumTransfers(reference), database: new Map(database) };
}

const BOTH_WAYS = [transfer(POD, OTHER, 3, 180), transfer(OTHER, POD, 2, 4000)];

describe('exact', () => {
  const cases: [string, Transfer[], [string, PairTotals][], number][] = [
    ['nothing at all', [], [], 0],
    ['both ways', BOTH_WAYS, [totals(POD, OTHER, [3, 180], [2, 4000])], 2],
    ['only received', [transfer(OTHER, POD, 1, 60)], [totals(POD, OTHER, [0, 0], [1, 60])], 2],
    ['a pod that reaches itself', [transfer(POD, POD, 9, 999)], [totals(POD, POD, [9, 999], [9, 999])], 2],
    ['between others: not of this node', [transfer(OTHER, '10.9.9.9', 1, 60)], [], 0],
  ];
  test.each(cases)('%s', (_, reference, database, rows) => {
    const compared = compare(counts(reference, database));
    expect([compared.length, compared.every(isExact)]).toEqual([rows, true]);
  });
});

describe('what passed conntrack by', () => {
  const passedBy = sumTransfers([transfer(OTHER, POD, 1, 1500)]);
  const against = (database: [string, PairTotals][]) => compare({ ...counts(BOTH_WAYS, database), passedBy });
  test('is what the database has to lack', () => {
    const rows = against([totals(POD, OTHER, [3, 180], [1, 2500])]);
    expect(rows.every(isExact)).toBe(true);
    expect(rows.map((row) => row.passedBy)).toEqual([undefined, { bytes: 1500, packets: 1 }]);
  });
  test.each<[string, [number, number]]>([
    ['lacks nothing', [2, 4000]],
    ['lacks a byte more', [1, 2499]],
    ['lacks a packet more', [0, 2500]],
  ])('is no excuse where it %s', (_, rx) => {
    expect(against([totals(POD, OTHER, [3, 180], rx)]).filter((row) => !isExact(row))).toHaveLength(1);
  });
});

describe('not exact', () => {
  const cases: [string, Transfer[], [string, PairTotals][], number][] = [
    ['a byte too few', BOTH_WAYS, [totals(POD, OTHER, [3, 179], [2, 4000])], 1],
    ['a packet too many', BOTH_WAYS, [totals(POD, OTHER, [3, 180], [3, 4000])], 1],
    ['missing in the database', BOTH_WAYS, [], 2],
    ['missing in the kernel', [], [totals(POD, OTHER, [3, 180], [2, 4000])], 2],
    ['all zero, and missing in the kernel', [], [totals(POD, OTHER, [0, 0], [0, 0])], 2],
    ['the other end is not of this node', BOTH_WAYS.slice(1), [totals(OTHER, POD, [2, 4000], [0, 0])], 4],
  ];
  test.each(cases)('%s', (_, reference, database, wrong) =>
    expect(compare(counts(reference, database)).filter((row) => !isExact(row))).toHaveLength(wrong),
  );
});
