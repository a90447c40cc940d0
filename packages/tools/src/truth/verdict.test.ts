import type { Row as ComparedRow } from '@egressd/world/daemons/comparison';
import { describe, expect, test } from '@jest/globals';
import type { Bound } from './row.ts';
import { judge, sumRows } from './verdict.ts';

const row = (kernel: number, database: number, packets = [1, 1]): ComparedRow => ({
  ...{ node: 'n', source: 'a', destination: 'b', protocol: 6, direction: 'tx' },
  bytes: { kernel, database },
  packets: { kernel: packets[0]!, database: packets[1]! },
});
const BOUND: Bound = { bytes: 10, packets: 2, reason: 'because', metric: 'm', shown: 1 };

test('too much in one place does not make good for too little in another', () => {
  const sums = sumRows([row(100, 90), row(100, 110), row(5, 5)]);
  expect(sums).toMatchObject({ kernelBytes: 205, databaseBytes: 205, bytesDifference: 20, packetsDifference: 0 });
  expect(sums.wrong).toHaveLength(2);
});

describe('a verdict', () => {
  const cases: [string, ComparedRow[], Partial<Bound> | undefined, string | RegExp][] = [
    ['nothing differs', [row(7, 7), row(8, 8)], undefined, 'exact'],
    ['nothing differs where something may', [row(7, 7), row(8, 8)], {}, 'exact'],
    ['a byte', [row(7, 8), row(8, 8)], undefined, /1 of 2 counters differ/],
    ['only packets', [row(7, 7, [3, 2]), row(8, 8)], undefined, /1 of 2 counters differ/],
    ['within the bound', [row(7, 0), row(8, 8)], {}, 'bounded'],
    ['more bytes than the bound', [row(11, 0), row(8, 8)], {}, /more than the bound of 10 bytes/],
    ['more packets than the bound', [row(7, 7, [3, 0]), row(8, 8)], {}, /more than the bound/],
    ['within the bound, and no metric shows it', [row(7, 0), row(8, 8)], { shown: 0 }, /m does not show it/],
    ['just what must be missing', [row(10, 0, [2, 0]), row(8, 8)], { whole: true }, 'bounded'],
    ['less than must be missing', [row(9, 0, [2, 0]), row(8, 8)], { whole: true }, /must be missing/],
    ['nothing missing that must be', [row(7, 7), row(8, 8)], { whole: true }, /must be missing/],
    ['nothing at all', [], undefined, /only 0 pairs/],
  ];
  test.each(cases)('%s', (_, rows, bound, expected) => {
    const verdict = judge(sumRows(rows), bound && { ...BOUND, ...bound }, 1);
    expect(verdict.outcome === 'failed' ? verdict.why : verdict.outcome).toMatch(expected);
  });
});
