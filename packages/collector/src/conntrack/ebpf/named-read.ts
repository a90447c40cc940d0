import type { ConnectionBlock } from '../record.ts';
import type { ConntrackSource, ReadReport } from '../source.ts';
import type { Entries } from './decode.ts';
import type { KeptEntries } from './kept-entries.ts';
import type { PairRecords } from './pair-records.ts';
import type { PairsReader } from './pairs-reader.ts';
import type { Translations } from './translations.ts';

/** What a read with names needs. */
export interface NamedRead {
  readonly reader: PairsReader;
  readonly records: PairRecords;
  readonly translations: Translations;
  readonly kept: KeptEntries;
  /** netfilter's table. */
  readonly connections: Pick<ConntrackSource, 'read'>;
}

/**
 * Reads all pairs, with the addresses that conntrack knows behind those that are translated. Its table is read after the map: what the
 * sockets had counted by then, it has counted too. Where it cannot be read, what moved keeps the address that the sockets see.
 */
export async function readNamed(
  { reader, records, translations, connections, kept }: NamedRead,
  onBlock: (block: ConnectionBlock) => void,
): Promise<ReadReport> {
  translations.beginRead(process.hrtime.bigint());
  kept.clear();
  const report = await reader.read((entries, count) => kept.add(entries, count));
  const dump = await connections.read((block) => translations.noteConnections(block)).catch(() => undefined);
  translations.endDump(dump?.complete === true);
  let delivered = 0;
  const deliver = (entries: Entries, count: number) => {
    let from = 0;
    for (const entry of [...translations.scan(entries, count), count]) {
      records.deliver(entries, from, entry, onBlock);
      delivered += entry - from;
      if (entry < count) delivered += translations.deliver(entries, entry, onBlock);
      from = entry + 1;
    }
  };
  deliver(kept.entries, kept.count);
  translations.deliverForwarded((block) => {
    delivered += block.count;
    onBlock(block);
  });
  reader.removeIdle(deliver);
  return { ...report, entries: delivered };
}
