import { expect, test } from '@jest/globals';
import type { CaseResult } from './case.ts';
import { reportLines, verdictOf } from './verdict.ts';

/** What the ends of a transfer counted, and what egressd did. */
type Counted = readonly [kernel: number, database: number];

function result(
  expected: CaseResult['expected'],
  counted: readonly Counted[],
  more: Partial<CaseResult> = {},
): CaseResult {
  const rows = counted.map(([kernel, database]) => ({
    ...{ node: 'n', source: '10.10.1.2', destination: '10.10.1.3', protocol: 6, direction: 'tx' as const },
    bytes: { kernel, database },
    packets: { kernel: 1, database: 1 },
  }));
  return { ...{ world: 'w', name: 'n', expected, rows, blindSpots: [], metrics: '', warnings: [] }, ...more };
}

/** A row of which the payload has to be there. */
function resultOf(bytes: Counted, packets: Counted): CaseResult {
  const { rows, ...rest } = result('payload', [bytes]);
  const [kernel, database] = packets;
  return { ...rest, rows: rows.map((row) => ({ ...row, packets: { kernel, database } })) };
}

const MISSING = { missing: 'flowtable' };
const SPOT = 'egressd_collector_blind_spot{reason="flowtable"} 1';
const SAID = { blindSpots: [SPOT] };

test.each<[string, boolean, CaseResult]>([
  ['every row agrees', true, result('exact', [[10, 10]])],
  ['a row is too low', false, result('exact', [[10, 9]])],
  ['a row is too high', false, result('exact', [[10, 11]])],
  ['nothing was transferred', false, result('exact', [])],
  ['bytes are missing, as they have to be', true, result(MISSING, [[10, 4]], SAID)],
  ['bytes are missing, and no metric says so', false, result(MISSING, [[10, 4]])],
  ['bytes are missing for another reason', false, result({ missing: 'ipvs' }, [[10, 4]], SAID)],
  ['every row agrees, and the collector says otherwise', false, result('exact', [[10, 10]], SAID)],
  ['no byte is missing where some pass conntrack by', false, result(MISSING, [[10, 10]], SAID)],
  [
    'one row lacks bytes and another has too many',
    false,
    result(
      MISSING,
      [
        [10, 4],
        [10, 11],
      ],
      SAID,
    ),
  ],
  ['a SYN sent again is missing', true, resultOf([6000, 5940], [100, 99])],
  ['all is there', true, resultOf([6000, 6000], [100, 100])],
  ['a packet with payload is missing', false, resultOf([6000, 4500], [100, 99])],
  ['many packets are missing', false, resultOf([6000, 5400], [100, 90])],
  ['a packet too many', false, resultOf([6000, 6060], [100, 101])],
  ['the case failed', false, result('exact', [[10, 10]], { error: 'no such link' })],
])('%s: %s', (_, good, of) => {
  expect(verdictOf(of).good).toBe(good);
});

test('rows that differ are named, and what the collector reports', () => {
  expect(
    reportLines(
      result(
        MISSING,
        [
          [10, 10],
          [10, 4],
        ],
        SAID,
      ),
      false,
    ),
  ).toEqual([
    `ok     w: n: MISSING 6 of 20 bytes, in 1 of 2 rows; the collector reports ${SPOT}`,
    '    10.10.1.2 > 10.10.1.3 TCP: ends 10, egressd 4, missing 6',
  ]);
});
