import { expect, test } from '@jest/globals';
import { resultLines } from './report.ts';
import { ROWS } from './rows/table.ts';
import { runRow } from './run-row.ts';
import { wrongOf } from './verdict.ts';

const LIMIT_MS = 120_000;
const SEED = 20_261;
/** The probes' own limit: on a machine that is busy with other things, an answer may take longer than the siege allows. */
const MAX_STALL_MS = 5_000;

test.each(ROWS.filter(({ quick }) => quick).map((row) => [row.does, row] as const))(
  '%s',
  async (_, row) => {
    const result = await runRow(row, { quick: true, seed: SEED, stop: new AbortController().signal });
    expect(wrongOf(result, MAX_STALL_MS).length === 0 ? '' : resultLines(result).join('\n')).toBe('');
  },
  LIMIT_MS,
);
