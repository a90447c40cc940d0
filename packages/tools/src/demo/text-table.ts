/** A column: its title, and on which side its values stand. */
export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

/** Lines of a table, aligned, without blanks at their ends. */
export function textTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const titles = columns.map(({ title }) => title);
  const widths = titles.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const pad = (text: string, i: number) =>
    columns[i]?.align === 'right' ? text.padStart(widths[i]!) : text.padEnd(widths[i]!);
  return [titles, ...rows].map((row) => row.map(pad).join('  ').trimEnd());
}

/** Title and width of a column whose values are not all known as the first line is printed; a negative width: they stand on the right. */
export type FixedColumn = readonly [title: string, width: number];

/** A line of such a table, without blanks at its end. */
export function fixedLine(columns: readonly FixedColumn[], cells: readonly string[]): string {
  const pad = (cell: string, i: number) => {
    const [, width] = columns[i]!;
    return width < 0 ? cell.padStart(-width) : cell.padEnd(width);
  };
  return cells.map(pad).join('  ').trimEnd();
}

/** Its titles. */
export function fixedTitles(columns: readonly FixedColumn[]): string {
  return fixedLine(
    columns,
    columns.map(([title]) => title),
  );
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Bytes for people: three digits at least, decimal units. */
export function readableBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 999.5 && unit < UNITS.length - 1; unit++) value /= 1000;
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** A whole number with its thousands apart. */
export function readableCount(value: number): string {
  return value.toLocaleString('en-US');
}
