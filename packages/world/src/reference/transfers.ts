/** What one address sent to another by one protocol, as one node counted it. */
export interface Transfer {
  readonly source: string;
  readonly destination: string;
  /** IP protocol number. */
  readonly protocol: number;
  readonly packets: number;
  /** L3 bytes. */
  readonly bytes: number;
}

/** Transfers by source, destination and protocol: each of these once. */
export type Transfers = ReadonlyMap<string, Transfer>;

/** The key of a pair in one direction. */
export function transferKey(source: string, destination: string, protocol: number): string {
  return `${source} ${destination} ${protocol}`;
}

/** Adds up transfers with the same source, destination and protocol. */
export function sumTransfers(all: Iterable<Transfer>): Map<string, Transfer> {
  const sums = new Map<string, Transfer>();
  for (const each of all) {
    const key = transferKey(each.source, each.destination, each.protocol);
    const before = sums.get(key);
    const sum = before && { ...each, packets: before.packets + each.packets, bytes: before.bytes + each.bytes };
    sums.set(key, sum ?? each);
  }
  return sums;
}
