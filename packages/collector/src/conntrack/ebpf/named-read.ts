import type { ConnectionBlock } from '../record.ts';
import type { ConntrackSource, ReadReport } from '../source.ts';
import type { Entries } from './decode.ts';
import type { PairRecords } from './pair-records.ts';
import type { PairsReader } from './pairs-reader.ts';
import type { Translations } from './translations.ts';

/** A batch of entries that is kept until conntrack was read. */
interface Kept {
  readonly entries: Entries;
  readonly count: number;
}

/** What a read with names needs. */
export interface NamedRead {
  readonly reader: PairsReader;
  readonly records: PairRecords;
  readonly translations: Translations;
  /** netfilter's table. */
  readonly connections: Pick<ConntrackSource, 'read'>;
}

/**
 * Reads all pairs, with the addresses that conntrack knows behind those that are translated. Its table is read after the map: what the
 * sockets had counted by then, it has counted too. Where it cannot be read, what moved keeps the address that the sockets see.
 */
export async function readNamed(
  { reader, records, translations, connections }: NamedRead,
  onBlock: (block: ConnectionBlock) => void,
): Promise<ReadReport> {
  const kept: Kept[] = [];
  translations.beginRead(process.hrtime.bigint());
  const report = await reader.read((entries, count) => kept.push({ entries: copyOf(entries, count), count }));
  const dump = await connections.read((block) => translations.noteConnections(block)).catch(() => undefined);
  translations.endDump(dump?.complete === true);
  const special = kept.map(({ entries, count }) => translations.scan(entries, count));
  let delivered = report.entries;
  const deliver = ({ entries, count }: Kept, aliases: readonly number[]) => {
    let from = 0;
    for (const entry of [...aliases, count]) {
      records.deliver(entries, from, entry, onBlock);
      if (entry < count) delivered += translations.deliver(entries, entry, onBlock) - 1;
      from = entry + 1;
    }
  };
  for (const [i, batch] of kept.entries()) deliver(batch, special[i]!);
  translations.deliverForwarded((block) => {
    delivered += block.count;
    onBlock(block);
  });
  reader.removeIdle((entries, count) => {
    delivered += count;
    deliver({ entries, count }, translations.scan(entries, count));
  });
  return { ...report, entries: delivered, complete: report.complete };
}

function copyOf({ keys, values }: Entries, count: number): Entries {
  const part = (words: Uint32Array, each: number) => words.slice(0, count * each);
  return { keys: part(keys, 10), values: part(values, 20) };
}
