import { comparisonTable } from '../demo/once.ts';
import { type FixedColumn, fixedLine, fixedTitles, readableBytes, readableCount } from '../demo/text-table.ts';
import { together } from './probes.ts';
import { type Result, wrongOf } from './verdict.ts';

/** Widths of the columns: a line is printed as soon as its row has ended. */
const COLUMNS: readonly FixedColumn[] = [
  ['ROW', 20],
  ['SURVIVED', 8],
  ['COLLECTOR', -10],
  ['EXPORTER', -10],
  ['STALL', -8],
  ['PROBES', -13],
  ['PAIRS', -5],
  ['BYTES', -15],
  ['DIFFERENCE', -11],
  ['', 0],
];

/** The titles of the table. */
export function titleLine(): string {
  return fixedTitles(COLUMNS);
}

/** One line for a row; below it what the attack did, and what is wrong. */
export function resultLines(result: Result): string[] {
  const { name, ended, memory, probes, sums, done } = result;
  const { asked, answered, longestMs } = together(Object.values(probes));
  const wrong = wrongOf(result);
  const row = fixedLine(COLUMNS, [
    ...[name, ended === undefined ? 'yes' : 'no', readableBytes(memory.collector), readableBytes(memory.exporter)],
    ...[`${longestMs} ms`, `${answered} of ${asked}`],
    ...(sums === undefined
      ? ['', '', '']
      : [sums.pairs, sums.kernelBytes, sums.bytesDifference].map((number) => readableCount(number))),
    wrong.length === 0 ? 'stands' : 'FAILED',
  ]);
  const pairs = comparisonTable(sums?.wrong ?? []).slice(0, 20);
  const more = [JSON.stringify(done), ...wrong, ...(sums?.wrong.length ? pairs : [])];
  return [row, ...more.map((text) => `    ${text}`)];
}
