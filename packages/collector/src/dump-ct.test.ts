import { expect, test } from '@jest/globals';
import { FLAG, STRIDE, WORD } from './conntrack/record.ts';
import type { ConntrackSource, ReadReport } from './conntrack/source.ts';
import { dumpConnections } from './dump-ct.ts';

/** A source whose read delivers blocks of UDP connections with these byte counts, one array a block. */
function sourceOf(blocks: readonly (readonly number[])[], report: Partial<ReadReport>): ConntrackSource {
  return {
    name: 'netfilter',
    async read(onBlock) {
      for (const bytes of blocks) onBlock(blockOf(bytes));
      const skipped = { no_counters: 0, undecodable: 0, loopback: 0 };
      return {
        complete: true,
        startedNs: 0n,
        entries: 0,
        skipped,
        interrupted: 0,
        overrun: 0,
        durationMs: 1,
        ...report,
      };
    },
    sysctls: () => ({ accounting: true, timestamps: true, events: 1 }),
    nodeAddresses: async () => [],
    close: async () => {},
  };
}

function blockOf(bytes: readonly number[]) {
  const words = new Uint32Array(bytes.length * STRIDE);
  for (const [i, count] of bytes.entries()) {
    words[i * STRIDE + WORD.zoneProtocol] = 17 << 16;
    words[i * STRIDE + WORD.originalBytes] = count;
    words[i * STRIDE + WORD.flags] = FLAG.counters;
  }
  return { words, count: bytes.length };
}

async function dump(source: ConntrackSource): Promise<string> {
  let text = '';
  await dumpConnections(source, (chunk) => {
    text += chunk;
  });
  return text;
}

test("one line an entry of Cilium's", async () => {
  expect(await dump({ ...sourceOf([[5, 6]], { entries: 2 }), name: 'cilium' })).toBe(
    'proto=17 src=[::]:0 dst=[::]:0 tx_bytes=5 rx_bytes=0 expires=0s\n' +
      'proto=17 src=[::]:0 dst=[::]:0 tx_bytes=6 rx_bytes=0 expires=0s\n',
  );
});

test('two lines a connection', async () => {
  expect(await dump(sourceOf([[5]], { entries: 1 }))).toBe(
    'proto=17 src=[::]:0 dst=[::]:0 tx_bytes=5 rx_bytes=0 expires=0s\n' +
      'proto=17 src=[::]:0 dst=[::]:0 tx_bytes=0 rx_bytes=5 expires=0s\n',
  );
});

test('only the last attempt is written', async () => {
  const text = await dump(sourceOf([[1, 2], [3], [4, 5], [6]], { entries: 3, interrupted: 1 }));
  expect([...text.matchAll(/tx_bytes=([1-9]\d*)/g)].map(([, bytes]) => bytes)).toEqual(['4', '5', '6']);
});

test('an incomplete read is an error', async () => {
  await expect(dump(sourceOf([[1]], { entries: 1, complete: false }))).rejects.toThrow('try again');
});
