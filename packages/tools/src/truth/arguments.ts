import { parseArgs } from 'node:util';
import type { Row } from './row.ts';

export const USAGE = `npm run truth [-- ROW...]   the table of faults, or some of its rows
  --seed N     the seed of all that is drawn; not set: 1
  --seeds K    every row with K seeds, from the first on
  --quick      only the rows that npm test runs
  --list       says what each row does, and runs none`;

const MAX_SEED = 2 ** 32 - 1;
const MAX_SEEDS = 1000;

/** What to run. */
interface Options {
  readonly rows: readonly Row[];
  readonly seeds: readonly number[];
  readonly list: boolean;
}

/** @returns what to do; a text: what is wrong with the arguments, or nothing where only the usage is asked for */
export function readArguments(args: string[], table: readonly Row[]): Options | string {
  try {
    const options = {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      quick: { type: 'boolean' },
      list: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const { seed = '1', seeds = '1', quick = false, list = false, help } = values;
    if (help) return '';
    if (!isNumber(seed, MAX_SEED)) return `--seed: expected a number from 0 to ${MAX_SEED}`;
    if (!isNumber(seeds, MAX_SEEDS) || seeds === '0') return `--seeds: expected a number from 1 to ${MAX_SEEDS}`;
    const stranger = positionals.find((name) => !table.some((row) => row.name === name));
    if (stranger !== undefined) return `there is no row ${stranger}: --list names them all`;
    const named = (row: Row) => positionals.length === 0 || positionals.includes(row.name);
    const rows = table.filter((row) => named(row) && (!quick || row.quick));
    return { rows, list, seeds: Array.from({ length: Number(seeds) }, (_, i) => (Number(seed) + i) % (MAX_SEED + 1)) };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function isNumber(text: string, most: number): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) <= most;
}
