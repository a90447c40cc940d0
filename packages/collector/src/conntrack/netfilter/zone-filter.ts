import { type ConnectionBlock, STRIDE, WORD } from '../record.ts';
import type { ConntrackSource, DestroyListener } from '../source.ts';

/**
 * The same source without the entries of other conntrack zones (`-conntrack-zones`), in reads and DESTROY events alike. What a read
 * leaves out is in its report, as `other_zone`.
 * @param zones to keep; 0 is the one of a node without any
 */
export function selectZones(source: ConntrackSource, zones: readonly number[]): ConntrackSource {
  const kept = new Set(zones);
  return {
    name: source.name,
    async read(onBlock) {
      let leftOut = 0;
      const report = await source.read((block) => {
        const count = keepZones(block, kept);
        leftOut += block.count - count;
        onBlock({ words: block.words, count });
      });
      return { ...report, entries: report.entries - leftOut, skipped: { ...report.skipped, other_zone: leftOut } };
    },
    ...(source.subscribe === undefined
      ? {}
      : {
          subscribe: (listener: DestroyListener) =>
            source.subscribe!({
              ...listener,
              onDestroy: (block) => listener.onDestroy({ words: block.words, count: keepZones(block, kept) }),
            }),
        }),
    sysctls: () => source.sysctls(),
    table: () => source.table?.(),
    async blindSpots() {
      const view = await source.blindSpots?.();
      // What is left out by choice would look as if it passed conntrack by.
      return view && { ...view, podLinks: undefined };
    },
    nodeAddresses: () => source.nodeAddresses(),
    close: () => source.close(),
  };
}

/** Moves the records that are kept to the front of the block. @returns how many */
function keepZones({ words, count }: ConnectionBlock, zones: ReadonlySet<number>): number {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const at = i * STRIDE;
    if (!zones.has(words[at + WORD.zoneProtocol]! & 0xffff)) continue;
    if (kept < i) words.copyWithin(kept * STRIDE, at, at + STRIDE);
    kept++;
  }
  return kept;
}
