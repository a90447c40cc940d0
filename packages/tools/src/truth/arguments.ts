import { parseArgs } from 'node:util';
import { isWorldKind, WORLD_KINDS, type WorldKind } from '@egressd/world/network/kinds';
import type { Row } from './row.ts';

/** Where faults can be counted to the byte: in `offloaded` something passes conntrack by. */
const WORLDS = WORLD_KINDS.filter((kind) => kind !== 'offloaded');

/** What `--help` prints. */
export const USAGE = `npm run truth [-- ROW...]   the table of faults, or some of its rows
  --seed N     the seed of all that is drawn; not set: 1
  --seeds K    every row with K seeds, from the first on
  --world NAME another network below the same cluster: ${WORLDS.join(', ')}; the rows that make sense there
  --source ebpf  collectors count at the sockets of their nodes; the rows that make sense there, without pings
  --quick      only the rows that npm test runs
  --list       says what each row does, and runs none`;

const OFFLOADED =
  '--world offloaded: rows compare to the byte, and there something passes conntrack by: npm run demo -- --once --world offloaded shows the bound';
const MAX_SEED = 2 ** 32 - 1;
const MAX_SEEDS = 1000;

/** Where collectors count. */
export type Source = 'netfilter' | 'ebpf';

/** What to run. */
interface Options {
  readonly source: Source;
  readonly kind: WorldKind;
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
      world: { type: 'string' },
      source: { type: 'string' },
      quick: { type: 'boolean' },
      list: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const {
      seed = '1',
      seeds = '1',
      world: kind = 'routed',
      source = 'netfilter',
      quick = false,
      list = false,
      help,
    } = values;
    if (help) return '';
    if (!isWorldKind(kind)) return `--world: expected one of ${WORLDS.join(', ')}`;
    if (kind === 'offloaded') return OFFLOADED;
    if (source !== 'netfilter' && source !== 'ebpf') return '--source: expected netfilter or ebpf';
    if (!isNumber(seed, MAX_SEED)) return `--seed: expected a number from 0 to ${MAX_SEED}`;
    if (!isNumber(seeds, MAX_SEEDS) || seeds === '0') return `--seeds: expected a number from 1 to ${MAX_SEEDS}`;
    const unknown = positionals.find((name) => !table.some((row) => row.name === name));
    if (unknown !== undefined) return `there is no row ${unknown}: --list names them all`;
    const elsewhere = table.find((row) => positionals.includes(row.name) && !isFor(row, kind));
    if (elsewhere !== undefined) return `the row ${elsewhere.name} makes no sense in the world ${kind}`;
    const inNone = source === 'ebpf' && table.find((row) => positionals.includes(row.name) && row.ebpf === undefined);
    if (inNone) return `the row ${inNone.name} makes no sense with --source ebpf`;
    const named = (row: Row) => positionals.length === 0 || positionals.includes(row.name);
    const rows = table.filter((row) => named(row) && isFor(row, kind) && (!quick || row.quick) && isOf(row, source));
    return {
      kind,
      source,
      rows,
      list,
      seeds: Array.from({ length: Number(seeds) }, (_, i) => (Number(seed) + i) % (MAX_SEED + 1)),
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function isFor({ worlds }: Row, kind: WorldKind): boolean {
  return worlds === undefined || worlds.includes(kind);
}

function isOf({ ebpf }: Row, source: Source): boolean {
  return source === 'netfilter' || ebpf !== undefined;
}

function isNumber(text: string, most: number): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) <= most;
}
