import { sumTransfers, type Transfer } from './transfers.ts';

/** A connection as `conntrack -L` and `conntrack -E` print it, without what is of no interest here. */
const ENTRY =
  /^ *(?:\[DESTROY\] )?\S+ +(\d+) .*?src=(\S+) dst=\S+ .*?packets=(\d+) bytes=(\d+) .*?src=(\S+) dst=\S+ .*?packets=(\d+) bytes=(\d+)/;

/**
 * What was transferred, as `conntrack` says: the original counter is what the source sent to who really answered (the source of
 * the reply), the reply counter the other way.
 * @throws Error for a line that is not a connection with counters
 */
export function parseConntrack(text: string): Map<string, Transfer> {
  const lines = text.split('\n').filter(Boolean);
  return sumTransfers(lines.flatMap(parseEntry).filter(({ packets }) => packets > 0));
}

function parseEntry(line: string): Transfer[] {
  const [, number, source, packets, bytes, destination, replyPackets, replyBytes] = ENTRY.exec(line) ?? [];
  if (source === undefined || destination === undefined) throw new Error(`not a connection with counters: ${line}`);
  const protocol = Number(number);
  return [
    { source, destination, protocol, packets: Number(packets), bytes: Number(bytes) },
    { source: destination, destination: source, protocol, packets: Number(replyPackets), bytes: Number(replyBytes) },
  ];
}
