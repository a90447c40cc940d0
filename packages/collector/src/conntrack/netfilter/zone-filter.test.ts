import { expect, test } from '@jest/globals';
import { type ConnectionBlock, STRIDE, WORD } from '../record.ts';
import { type ConntrackSource, type DestroyListener, NO_LOSS, UNKNOWN_SYSCTLS } from '../source.ts';
import { selectZones } from './zone-filter.ts';

/** A block of entries, of which `zones` says the zones and the position is the id. */
function block(...zones: readonly number[]): ConnectionBlock {
  const words = new Uint32Array(zones.length * STRIDE);
  for (const [i, zone] of zones.entries()) {
    words[i * STRIDE + WORD.zoneProtocol] = zone | (6 << 16);
    words[i * STRIDE + WORD.identity] = i;
  }
  return { words, count: zones.length };
}

const ids = ({ words, count }: ConnectionBlock) =>
  Array.from({ length: count }, (_, i) => words[i * STRIDE + WORD.identity]);

let listener: DestroyListener | undefined;
const SOURCE: ConntrackSource = {
  name: 'netfilter',
  async read(onBlock) {
    onBlock(block(0, 10, 20, 10, 65_520));
    const skipped = { no_counters: 1, undecodable: 0 };
    return { complete: true, startedNs: 0n, entries: 5, skipped, interrupted: 0, overrun: 0, durationMs: 1 };
  },
  subscribe: (given) => {
    listener = given;
  },
  sysctls: () => UNKNOWN_SYSCTLS,
  nodeAddresses: async () => [],
  close: async () => {},
};

test('entries of the zones that are asked for, in reads and in DESTROY events', async () => {
  const source = selectZones(SOURCE, [10, 65_520]);
  const seen: unknown[] = [];
  const report = await source.read((each) => seen.push(ids(each)));
  expect(seen).toEqual([[1, 3, 4]]);
  expect(report).toMatchObject({ entries: 3, skipped: { no_counters: 1, other_zone: 2 } });

  source.subscribe!({ onDestroy: (each) => seen.push(ids(each)), onEventLoss: (lost) => seen.push(lost) });
  listener!.onDestroy(block(20, 10));
  listener!.onEventLoss(NO_LOSS);
  expect(seen.slice(1)).toEqual([[1], NO_LOSS]);
});
