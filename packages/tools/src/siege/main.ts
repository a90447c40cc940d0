/**
 * The siege: one row for each attack by a pod or by a collector that was taken over, beside honest traffic, with each daemon in a
 * memory cgroup with the chart's limits. Fails unless every daemon survives, answers every probe within a second, and every honest pair
 * is exact to the byte.
 *
 *   npm run siege                      all rows
 *   npm run siege -- idle-keepalives   one of them
 */
import { textTable } from '../demo/text-table.ts';
import { EXIT_INTERRUPTED, interruptSignal } from '../interrupt.ts';
import { Interrupted } from '../truth/run-row.ts';
import { readArguments, USAGE } from './arguments.ts';
import { resultLines, titleLine } from './report.ts';
import type { Row } from './row.ts';
import { ROWS } from './rows/table.ts';
import { runRow } from './run-row.ts';
import { wrongOf } from './verdict.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const SEED = 1;

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Runs one row and prints its lines. @returns whether it stands @throws Interrupted */
async function stands(row: Row, quick: boolean, stop: AbortSignal): Promise<boolean> {
  say(`${row.name}: ${row.does}`);
  try {
    const result = await runRow(row, { quick, seed: SEED, stop });
    for (const line of resultLines(result)) print(line);
    return wrongOf(result).length === 0;
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    print(`${row.name}  FAILED: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

function listRows(rows: readonly Row[]): void {
  const columns = ['ROW', 'ATTACK'].map((title) => ({ title, align: 'left' as const }));
  const lines = rows.map(({ name, does }) => [name, does]);
  for (const line of textTable(columns, lines)) print(line);
}

async function main(): Promise<number> {
  const options = readArguments(process.argv.slice(2), ROWS);
  if (typeof options === 'string') {
    say(options === '' ? USAGE : `siege: ${options}\n${USAGE}`);
    return options === '' ? 0 : EXIT_USAGE;
  }
  const { rows, quick, list } = options;
  if (list) {
    listRows(rows);
    return 0;
  }
  const stop = interruptSignal();
  print(titleLine());
  let fallen = 0;
  for (const row of rows) if (!(await stands(row, quick, stop))) fallen++;
  print(fallen === 0 ? `STANDS: ${rows.length} of ${rows.length} rows` : `FAILED: ${fallen} of ${rows.length} rows`);
  return fallen === 0 ? 0 : EXIT_FAILED;
}

main().then(
  (code) => process.exit(code),
  (error) => {
    say(`siege: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(error instanceof Interrupted ? EXIT_INTERRUPTED : EXIT_FAILED);
  },
);
