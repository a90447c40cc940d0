import { type Row as ComparedRow, isExact } from '@egressd/world/daemons/comparison';
import type { Bound } from './row.ts';

/** What kernel and database say in the end, over all pairs and directions. */
export interface Sums {
  readonly pairs: number;
  readonly kernelBytes: number;
  readonly databaseBytes: number;
  /** Sums of the sizes of all differences: too much here does not make good for too little there. */
  readonly bytesDifference: number;
  readonly packetsDifference: number;
  readonly wrong: readonly ComparedRow[];
}

/** `failed` says why. */
export type Verdict =
  | { readonly outcome: 'exact' }
  | { readonly outcome: 'bounded'; readonly bound: Bound }
  | { readonly outcome: 'failed'; readonly why: string };

/** Adds up the rows of a comparison. */
export function sumRows(rows: readonly ComparedRow[]): Sums {
  const sum = (of: (row: ComparedRow) => number) => rows.reduce((total, row) => total + of(row), 0);
  return {
    pairs: rows.length / 2,
    kernelBytes: sum(({ bytes }) => bytes.kernel),
    databaseBytes: sum(({ bytes }) => bytes.database),
    bytesDifference: sum(({ bytes }) => Math.abs(bytes.database - bytes.kernel)),
    packetsDifference: sum(({ packets }) => Math.abs(packets.database - packets.kernel)),
    wrong: rows.filter((row) => !isExact(row)),
  };
}

/**
 * Whether the numbers stand.
 * @param least pairs that there must be: a comparison of nothing with nothing is no proof
 */
export function judge(sums: Sums, bound: Bound | undefined, least: number): Verdict {
  if (sums.pairs < least) return failed(`only ${sums.pairs} pairs were seen, of at least ${least}`);
  if (sums.wrong.length === 0 && !bound?.whole) return { outcome: 'exact' };
  if (bound === undefined) return failed(`${sums.wrong.length} of ${sums.pairs * 2} counters differ`);
  const { bytesDifference, packetsDifference } = sums;
  if (bytesDifference > bound.bytes || packetsDifference > bound.packets)
    return failed(`more than the bound of ${bound.bytes} bytes and ${bound.packets} packets (${bound.reason})`);
  if (bound.whole && (bytesDifference !== bound.bytes || packetsDifference !== bound.packets))
    return failed(
      `less than the ${bound.bytes} bytes and ${bound.packets} packets that must be missing (${bound.reason})`,
    );
  if (!(bound.shown > 0)) return failed(`something is missing, and ${bound.metric} does not show it`);
  return { outcome: 'bounded', bound };
}

function failed(why: string): Verdict {
  return { outcome: 'failed', why };
}
