import type { Row } from '../row.ts';
import { PORTS } from '../sockets.ts';
import { openStream, streamAfterStream } from '../streams.ts';

/** Unknown fields of two bytes: number 15, a varint of 0. So a message of 16 MiB has eight million. */
const FIELD = Uint8Array.of(15 << 3, 0);
const MESSAGE_BYTES = 16 * 1024 * 1024 - 64;

/** Row 2. */
export const UNKNOWN_FIELDS: Row = {
  name: 'unknown-fields',
  does: 'First messages of 16 KB, compressed: 16 MiB of fields that are not known.',
  seconds: { quick: 10, full: 60 },
  async attack({ exporter }, stop) {
    const message = Uint8Array.from({ length: MESSAGE_BYTES }, (_, i) => FIELD[i % FIELD.length]!);
    const open = () => openStream(`${exporter}:${PORTS.stream}`, [message], { gzip: true });
    const limits = { count: Number.POSITIVE_INFINITY, parallel: 8, until: 'ended' } as const;
    return { messages: await streamAfterStream(open, limits, stop) };
  },
  isProof: ({ messages = 0 }) => messages > 16,
};
