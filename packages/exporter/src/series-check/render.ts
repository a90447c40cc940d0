import type { SetCount } from './count-series.ts';

/** What `-series-check` prints. */
export interface SeriesReport {
  readonly path: string;
  /** When the checkpoint was taken, Unix milliseconds. */
  readonly timeMs: number;
  /** Pairs of ends in it. */
  readonly seen: number;
  readonly sets: readonly SetCount[];
  readonly sinks: readonly { readonly name: string; readonly series: number; readonly maxSeries: number }[];
}

/** The report as text. */
export function renderReport({ path, timeMs, seen, sets, sinks }: SeriesReport): string {
  const number = (count: number) => count.toLocaleString('en-US');
  const column = (count: number) => number(count).padStart(10);
  const lines = [
    `${path}: ${number(seen)} series in memory, as of ${new Date(timeMs).toISOString()}. Each counts once a metric that a sink sends.`,
    '',
    `${'labelSet'.padEnd(24)}    series   with addLabels`,
    ...sets.flatMap(({ set, series, with: more }) => [
      `${set.padEnd(24)}${column(series)}`,
      ...[...more].map(([name, count]) => `${' '.repeat(34)}   ${name.padEnd(18)}${column(count)}`),
    ]),
    '',
    `${'sink'.padEnd(24)}    series  maxSeries     in ~other`,
    ...sinks.map(
      ({ name, series, maxSeries }) =>
        `${name.padEnd(24)}${column(series)} ${column(maxSeries)}    ${column(Math.max(0, series - maxSeries))}`,
    ),
    ...(sinks.length === 0 ? ['(none)'] : []),
    '',
  ];
  return lines.join('\n');
}
