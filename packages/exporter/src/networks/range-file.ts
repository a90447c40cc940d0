import { parseRange, type Range } from '@egressd/flow/address';
import type { Network } from './network.ts';
import type { NetworkRange } from './network-index.ts';

/** The first line of a file of ranges of clouds. */
export const RANGE_FILE_HEAD = '# egressd cloud ranges 1';
const MADE = /^# made (\d{4}-\d{2}-\d{2})\b/;
const FIELDS = 4;

/** A file of ranges, or what is wrong with it. */
export type ParsedRangeFile =
  | { readonly ok: true; readonly ranges: readonly NetworkRange[]; readonly madeMs: number }
  | { readonly ok: false; readonly mistake: string };

/**
 * Parses what `npm run cloud-ranges` writes:
 *
 *   # egressd cloud ranges 1
 *   # made 2026-11-28 from ip-ranges.json of 2021-01-27
 *   3.5.140.0/22 TAB aws TAB ap-northeast-2 TAB S3        range, provider, region, service; either of the last two may be empty
 */
export function parseRangeFile(text: string): ParsedRangeFile {
  const lines = text.split('\n');
  if (lines[0] !== RANGE_FILE_HEAD) return { ok: false, mistake: `line 1: expected "${RANGE_FILE_HEAD}"` };
  const made = lines.map((line) => MADE.exec(line)).find((found) => found !== null);
  const madeMs = Date.parse(made?.[1] ?? '');
  if (Number.isNaN(madeMs)) return { ok: false, mistake: 'expected a line "# made YYYY-MM-DD ..."' };
  const ranges: NetworkRange[] = [];
  const networks = new Map<string, Network>();
  for (const [i, line] of lines.entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const parsed = parseLine(line, networks);
    if (parsed === undefined)
      return { ok: false, mistake: `line ${i + 1}: expected a range, provider, region and service, separated by tabs` };
    ranges.push(parsed);
  }
  return { ok: true, ranges, madeMs };
}

/** One object for all ranges of a provider, region and service. */
function parseLine(line: string, networks: Map<string, Network>): NetworkRange | undefined {
  const tab = line.indexOf('\t');
  const fields = line.split('\t');
  const [cidr = '', name = '', region = '', service = ''] = fields;
  const range: Range | undefined = parseRange(cidr);
  if (range === undefined || name === '' || fields.length !== FIELDS) return undefined;
  const key = line.slice(tab);
  const network = networks.get(key) ?? { name, kind: 'cloud', zone: '', region, service };
  networks.set(key, network);
  return [range, network];
}
