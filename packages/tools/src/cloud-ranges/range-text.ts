import { RANGE_FILE_HEAD } from '@egressd/exporter/networks/range-file';
import { parseRange } from '@egressd/flow/address';
import type { ProviderRanges } from './providers.ts';

/** Fewer are no whole file of a provider. */
export const LEAST_RANGES = 100;

/**
 * The text of a file for `cloudRanges`, as `parseRangeFile` reads it.
 * @param today the day on which it is made, `YYYY-MM-DD`
 * @param least ranges of each provider, fewer are a mistake
 * @throws Error that says which provider's file is not what it was
 */
export function rangeText(providers: ReadonlyMap<string, ProviderRanges>, today: string, least = LEAST_RANGES): string {
  const sources = [...providers].map(([name, { date }]) => `${name} (${date === '' ? 'no date' : date})`);
  const lines = [...providers].flatMap(([name, { ranges }]) => {
    if (ranges.length < least) throw new Error(`${name}: ${ranges.length} ranges, expected ${least} or more`);
    return ranges.map(({ cidr, region, service }) => {
      if (parseRange(cidr) === undefined) throw new Error(`${name}: ${JSON.stringify(cidr)} is no range of addresses`);
      return [cidr, name, region, service].map((field) => field.replaceAll(/\s/g, ' ')).join('\t');
    });
  });
  return [RANGE_FILE_HEAD, `# made ${today} from ${sources.join(', ')}`, ...lines, ''].join('\n');
}
