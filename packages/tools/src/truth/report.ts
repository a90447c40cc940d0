import { comparisonTable } from '../demo/once.ts';
import { type FixedColumn, fixedLine, fixedTitles, readableBytes, readableCount } from '../demo/text-table.ts';
import type { Result } from './run-row.ts';

/** Widths of the columns: a line is printed as soon as its row has ended. */
const COLUMNS: readonly FixedColumn[] = [
  ['ROW', 26],
  ['SEED', 10],
  ['BYTES: KERNEL', -15],
  ['DATABASE', -15],
  ['DIFFERENCE', -11],
  ['PACKETS', -8],
  ['COLLECTOR', -10],
  ['EXPORTER', -10],
  ['', 0],
];

/** The titles of the table. */
export function titleLine(): string {
  return fixedTitles(COLUMNS);
}

/** One line for a row; below it what explains a difference. */
export function resultLines({ name, seed, sums, memory, verdict }: Result): string[] {
  const said = { exact: 'exact', bounded: 'within its bound', failed: 'FAILED' }[verdict.outcome];
  const numbers = [sums.kernelBytes, sums.databaseBytes, sums.bytesDifference, sums.packetsDifference];
  const row = fixedLine(COLUMNS, [
    ...[name, String(seed)],
    ...numbers.map(readableCount),
    ...[readableBytes(memory.collector), readableBytes(memory.exporter)],
    said,
  ]);
  if (verdict.outcome === 'exact') return [row];
  const pairs = sums.wrong.length > 0 ? comparisonTable(sums.wrong).map((text) => `    ${text}`) : [];
  if (verdict.outcome === 'failed') return [row, `    ${verdict.why}`, ...pairs];
  const { bytes, packets, whole, reason, metric, shown } = verdict.bound;
  const most = `${whole ? 'just' : 'at most'} ${readableCount(bytes)} bytes and ${readableCount(packets)} packets`;
  return [row, `    ${most}: ${reason}; ${metric} says ${readableCount(shown)}`];
}
