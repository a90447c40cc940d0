import { comparisonTable } from '../demo/once.ts';
import { readableBytes, readableCount } from '../demo/text-table.ts';
import { together } from './probes.ts';
import { type Result, wrongOf } from './verdict.ts';

/** Widths of the columns: a line is printed as soon as its row has ended. */
const TITLES = [
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
] as const;

function line(cells: readonly string[]): string {
  const pad = (cell: string, i: number) => {
    const [, width] = TITLES[i]!;
    return width < 0 ? cell.padStart(-width) : cell.padEnd(width);
  };
  return cells.map(pad).join('  ').trimEnd();
}

/** The titles of the table. */
export function titleLine(): string {
  return line(TITLES.map(([title]) => title));
}

/** One line for a row; below it what the attack did, and what is wrong. */
export function resultLines(result: Result): string[] {
  const { name, ended, memory, probes, sums, done } = result;
  const { asked, answered, longestMs } = together(Object.values(probes));
  const wrong = wrongOf(result);
  const row = line([
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
