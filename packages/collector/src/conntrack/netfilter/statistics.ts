import { TABLE_STATISTICS, type TableState, type TableStatistic } from '../source.ts';
import { readNumber, readText, type SysctlFiles } from './proc-files.ts';

/** Reads how full the table is (`nf_conntrack_count`, `nf_conntrack_max`), and the kernel's counters of it. */
export function readTable(files: SysctlFiles): TableState {
  return {
    entries: readNumber(files.entries),
    limit: readNumber(files.limit),
    statistics: parseStatistics(readText(files.statistics)),
  };
}

/**
 * Sums of `/proc/net/stat/nf_conntrack`: one line of names, then one line a processor with hexadecimal numbers.
 * @returns undefined where it is not that
 */
export function parseStatistics(text: string): Record<TableStatistic, number> | undefined {
  const [names, ...processors] = text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  if (names === undefined || processors.length === 0) return undefined;
  const sums = TABLE_STATISTICS.map((name) => {
    const column = names.indexOf(name);
    return [name, processors.reduce((sum, numbers) => sum + Number.parseInt(numbers[column] ?? '', 16), 0)] as const;
  });
  if (sums.some(([, sum]) => Number.isNaN(sum))) return undefined;
  return Object.fromEntries(sums) as Record<TableStatistic, number>;
}

/**
 * Messages that a netlink socket dropped since it was opened, by `/proc/net/netlink`: the column `Drops` of the line that ends with its inode.
 * @returns undefined where there is no such line
 */
export function parseDrops(text: string, inode: number): number | undefined {
  const fields = text.split('\n').map((line) => line.trim().split(/\s+/));
  const names = fields[0] ?? [];
  const line = fields.find((values) => values[names.indexOf('Inode')] === String(inode));
  const drops = Number(line?.[names.indexOf('Drops')]);
  return Number.isInteger(drops) ? drops : undefined;
}
