import { expect, test } from '@jest/globals';
import { resultLines } from './report.ts';
import { ROWS } from './rows/table.ts';
import { runRow } from './run-row.ts';

const LIMIT_MS = 240_000;
const SEED = 20_261;

test.each(ROWS.filter(({ quick }) => quick).map((row) => [row.does, row] as const))(
  `%s Seed ${SEED}`,
  async (_, row) => {
    const result = await runRow(row, { kind: 'routed', source: 'netfilter' }, SEED, new AbortController().signal);
    // The line goes with a failure, and below it every pair that differs.
    expect(result.verdict.outcome === 'failed' ? resultLines(result).join('\n') : '').toBe('');
  },
  LIMIT_MS,
);
