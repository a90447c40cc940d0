import { parseArgs } from 'node:util';
import type { Row } from './row.ts';

/** What `--help` prints. */
export const USAGE = `npm run siege [-- ROW...]   the table of attacks, or some of its rows
  --quick      shorter, and only the rows that npm test runs where none is named
  --list       says what each row does, and runs none`;

/** What to run. */
export interface Options {
  readonly rows: readonly Row[];
  readonly quick: boolean;
  readonly list: boolean;
}

/** @returns what to do; a text: what is wrong with the arguments, or nothing where only the usage is asked for */
export function readArguments(args: string[], table: readonly Row[]): Options | string {
  try {
    const options = {
      quick: { type: 'boolean' },
      list: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const { quick = false, list = false, help } = values;
    if (help) return '';
    const unknown = positionals.find((name) => !table.some((row) => row.name === name));
    if (unknown !== undefined) return `there is no row ${unknown}: --list names them all`;
    const wanted = (row: Row) => (positionals.length > 0 ? positionals.includes(row.name) : !quick || row.quick);
    return { quick, list, rows: table.filter(wanted) };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
