/**
 * The proof: one row for each thing that can go wrong, each with real traffic, and each compared with the kernel's own
 * counters at its end, pair by pair and direction by direction. Fails unless every difference is zero, or within the bound
 * that the row names.
 *
 *   npm run truth                      all rows
 *   npm run truth -- collector-killed  one of them
 *   npm run truth -- --world NAME      those that make sense in another kind of world
 *   npm run truth -- --source ebpf     those that make sense where sockets are counted
 */
import { textTable } from '../demo/text-table.ts';
import { EXIT_INTERRUPTED, interruptSignal } from '../interrupt.ts';
import { readArguments, USAGE } from './arguments.ts';
import { resultLines, titleLine } from './report.ts';
import type { Row } from './row.ts';
import { ROWS } from './rows/table.ts';
import { Interrupted, runRow, type Where } from './run-row.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Runs one row with one seed and prints its line. @returns whether it holds @throws Interrupted */
async function hold(row: Row, where: Where, seed: number, stop: AbortSignal): Promise<boolean> {
  say(`${row.name}: ${row.does}`);
  try {
    const result = await runRow(row, where, seed, stop);
    for (const line of resultLines(result)) print(line);
    return result.verdict.outcome !== 'failed';
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    print(`${row.name}  seed ${seed}  FAILED: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

async function main(): Promise<number> {
  const options = readArguments(process.argv.slice(2), ROWS);
  if (typeof options === 'string') {
    say(options === '' ? USAGE : `truth: ${options}\n${USAGE}`);
    return options === '' ? 0 : EXIT_USAGE;
  }
  const { kind, source, rows, seeds, list } = options;
  if (list) {
    const columns = ['ROW', 'WHAT HAPPENS'].map((title) => ({ title, align: 'left' as const }));
    for (const line of textTable(
      columns,
      rows.map(({ name, does }) => [name, does]),
    ))
      print(line);
    return 0;
  }
  const stop = interruptSignal();
  print(titleLine());
  let broken = 0;
  for (const row of rows) for (const seed of seeds) if (!(await hold(row, { kind, source }, seed, stop))) broken++;
  const runs = rows.length * seeds.length;
  print(broken === 0 ? `EXACT: ${runs} of ${runs} runs` : `FAILED: ${broken} of ${runs} runs`);
  return broken === 0 ? 0 : EXIT_FAILED;
}

main().then(
  (code) => process.exit(code),
  (error) => {
    say(`truth: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(error instanceof Interrupted ? EXIT_INTERRUPTED : EXIT_FAILED);
  },
);
