import type { Log } from '@egressd/daemon/log';
import { formatRecord } from './conntrack/format.ts';
import type { ConnectionBlock } from './conntrack/record.ts';
import type { ConntrackSource, ReadReport } from './conntrack/source.ts';
import { SourceError } from './conntrack/source-error.ts';

/**
 * `-dump-ct`: reads all connections once and writes them, see `formatBlock`. Nothing is written of an attempt that was abandoned.
 * @param write takes a chunk of whole lines; what it returns is waited for, so that a slow pipe does not fill the memory
 * @throws SourceError where the source cannot be read, or not as a whole
 */
export async function dumpConnections(
  source: ConntrackSource,
  write: (text: string) => void | Promise<void>,
): Promise<ReadReport> {
  const records: string[] = [];
  const seen: number[] = [];
  const report = await source.read((block) => {
    records.push(formatBlock(block, source.name));
    seen.push(block.count);
  });
  if (!report.complete) {
    throw new SourceError('system', 'the table changed under every attempt to read it: try again');
  }
  for (const text of lastAttempt(records, seen, report.entries)) await write(text);
  return report;
}

/**
 * The lines of a whole block, each with its end: two for a connection of netfilter's, forward and backward, one for one of Cilium's or a pair of our own counting.
 */
function formatBlock(block: ConnectionBlock, source: ConntrackSource['name']): string {
  let text = '';
  for (let i = 0; i < block.count; i++) {
    const [forward, backward] = formatRecord(block, i);
    text += source !== 'netfilter' ? `${forward}\n` : `${forward}\n${backward}\n`;
  }
  return text;
}

/** `-log-entries`: logs the same lines of a block at level debug. */
export function logBlock(block: ConnectionBlock, source: ConntrackSource['name'], log: Log): void {
  for (const entry of formatBlock(block, source).split('\n')) if (entry !== '') log.debug('entry', { entry });
}

/** The chunks of the last attempt: the ones at the end that hold `entries` records together. */
function lastAttempt(chunks: readonly string[], counts: readonly number[], entries: number): readonly string[] {
  let first = chunks.length;
  let missing = entries;
  while (first > 0 && missing > 0) missing -= counts[--first]!;
  return chunks.slice(first);
}
