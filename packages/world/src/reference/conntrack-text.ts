import { sumTransfers, type Transfer } from './transfers.ts';

/** A connection as `conntrack -L` and `conntrack -E` print it, without what is of no interest here. */
const ENTRY =
  /^ *(?:\[DESTROY\] )?\S+ +(\d+) .*?src=(\S+) dst=\S+ (.*?)packets=(\d+) bytes=(\d+) .*?src=(\S+) dst=\S+ (.*?)packets=(\d+) bytes=(\d+)/;
/** The source's port, or the id of an echo. */
const PORT = /(?:sport|id)=(\d+)/;
const ZONE = / zone=(\d+)/;

/** One entry: what its two ends sent, and which connection of which zone it is. */
interface Entry {
  readonly sent: Transfer;
  readonly answered: Transfer;
  /** Who opened it, and who really answered: the same in every zone that its packets pass. */
  readonly ends: string;
  readonly zone: string;
}

/**
 * What was transferred, as `conntrack` says: the original counter is what the source sent to who really answered (the source of
 * the reply), the reply counter the other way.
 * @throws Error for a line that is not a connection with counters
 */
export function parseConntrack(text: string): Map<string, Transfer> {
  return sumOf(parseEntries(text));
}

/**
 * The same with each packet once, where packets pass several zones of a node. Entries of one connection agree in who opened it and who
 * answered, not in their translation: a Service is translated in one zone, a source in another.
 */
export function parseConntrackOnce(text: string): Map<string, Transfer> {
  const connections = Map.groupBy(parseEntries(text), ({ ends }) => ends);
  return sumOf([...connections.values()].flatMap(largestZone));
}

/** Entries of the zone that has counted most: a packet may get no further than the first. */
function largestZone(entries: readonly Entry[]): Entry[] {
  const zones = [...Map.groupBy(entries, ({ zone }) => zone).values()];
  const packets = (some: readonly Entry[]) =>
    some.reduce((sum, one) => sum + one.sent.packets + one.answered.packets, 0);
  return zones.reduce((most, some) => (packets(some) > packets(most) ? some : most));
}

function sumOf(entries: readonly Entry[]): Map<string, Transfer> {
  return sumTransfers(entries.flatMap(({ sent, answered }) => [sent, answered]).filter(({ packets }) => packets > 0));
}

function parseEntries(text: string): Entry[] {
  return text.split('\n').filter(Boolean).map(parseEntry);
}

function parseEntry(line: string): Entry {
  const [, number, source, ports = '', packets, bytes, destination, replyPorts = '', replyPackets, replyBytes] =
    ENTRY.exec(line) ?? [];
  if (source === undefined || destination === undefined) throw new Error(`not a connection with counters: ${line}`);
  const protocol = Number(number);
  return {
    sent: { source, destination, protocol, packets: Number(packets), bytes: Number(bytes) },
    answered: {
      source: destination,
      destination: source,
      protocol,
      packets: Number(replyPackets),
      bytes: Number(replyBytes),
    },
    ends: [number, source, PORT.exec(ports)?.[1], destination, PORT.exec(replyPorts)?.[1]].join(' '),
    zone: ZONE.exec(line)?.[1] ?? '0',
  };
}
