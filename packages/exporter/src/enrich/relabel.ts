import type { EndOwner, Endpoint } from './endpoint.ts';
import type { EnrichedPart } from './enriched.ts';

/** Who has an end of a row instead. */
export interface RowOwner {
  readonly owner: EndOwner;
  /** Index in `VERDICTS`. */
  readonly verdict: number;
}

/** Missing: that end stays as it is. */
interface RowOwners {
  readonly source?: RowOwner | undefined;
  readonly destination?: RowOwner | undefined;
}

/**
 * The same part with other owners at the ends of some rows. An address has the same new owner in all of them.
 *
 *   endpoints, verdicts   | as they were ... | one more for each address that gets another owner |
 *   source, destination   copies, in which such rows point behind the dictionary
 */
export function relabel(part: EnrichedPart, ownersOf: (row: number) => RowOwners | undefined): EnrichedPart {
  const { flows } = part;
  let changed: { source: Uint32Array; destination: Uint32Array; endpoints: Endpoint[]; verdicts: number[] } | undefined;
  const relabelled = new Map<number, number>();
  for (let row = 0; row < flows.rows; row++) {
    const found = ownersOf(row);
    if (found === undefined) continue;
    changed ??= {
      source: flows.source.slice(),
      destination: flows.destination.slice(),
      endpoints: [...part.endpoints],
      verdicts: [...part.verdicts],
    };
    const { endpoints, verdicts } = changed;
    const indexOf = (index: number, local: RowOwner | undefined): number => {
      if (local === undefined) return index;
      const at = relabelled.get(index) ?? endpoints.length;
      if (at === endpoints.length) {
        endpoints.push({ ...part.endpoints[index]!, place: 'owned', owner: local.owner });
        verdicts.push(local.verdict);
        relabelled.set(index, at);
      }
      return at;
    };
    changed.source[row] = indexOf(flows.source[row]!, found.source);
    changed.destination[row] = indexOf(flows.destination[row]!, found.destination);
  }
  if (changed === undefined) return part;
  const { source, destination, endpoints, verdicts } = changed;
  return { flows: { ...flows, source, destination }, endpoints, verdicts: Uint8Array.from(verdicts) };
}
