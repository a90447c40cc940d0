import { encodeRequest, helloBytes } from '@egressd/world/raw-stream';
import type { Row } from '../row.ts';
import { PORTS } from '../sockets.ts';
import { openStream, streamAfterStream } from '../streams.ts';

/** Two bytes each: fifteen bytes as the address before, and another last one. */
const ENTRIES = 16_000;
const PARTS = 32;

/** Row 3. */
export const DICTIONARY: Row = {
  name: 'dictionary',
  does: 'Parts of a batch without rows, with a dictionary of 16,000 entries in 32 KB each.',
  seconds: { quick: 10, full: 60 },
  async attack({ exporter }, stop) {
    const addresses = Uint8Array.from({ length: ENTRIES * 2 }, (_, i) => (i % 2 === 0 ? 15 : i >> 1));
    const part = (number: number) =>
      encodeRequest({
        case: 'part',
        value: { number: 1n, part: number, last: number === PARTS - 1, toMs: 1n, addresses },
      });
    const parts = Array.from({ length: PARTS }, (_, number) => part(number));
    const open = (i: number) =>
      openStream(`${exporter}:${PORTS.stream}`, [
        helloBytes({ node: `invented-${i % 50}`, epoch: `epoch-${i}` }),
        ...parts,
      ]);
    const limits = { count: Number.POSITIVE_INFINITY, parallel: 4, until: 'ended' } as const;
    return { batches: await streamAfterStream(open, limits, stop) };
  },
  isProof: ({ batches = 0 }) => batches > 2,
};
