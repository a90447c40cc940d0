import { helloBytes } from '@egressd/world/raw-stream';
import type { Row } from '../row.ts';
import { PORTS } from '../sockets.ts';
import { openStream, streamAfterStream } from '../streams.ts';

const ADDRESSES = 4_096;
const HELLOS = { quick: 100, full: 2_000 };

/** So many addresses of fd00:bad::/32 that no other Hello has. */
function addressesOf(hello: number): Uint8Array[] {
  return Array.from({ length: ADDRESSES }, (_, i) => {
    const address = new Uint8Array(16);
    address.set([0xfd, 0x00, 0x0b, 0xad]);
    new DataView(address.buffer).setUint32(8, hello);
    new DataView(address.buffer).setUint32(12, i);
    return address;
  });
}

/** Row 9. */
export const HELLO_ADDRESSES: Row = {
  name: 'hello-addresses',
  does: 'A collector that was taken over says Hello with 4,096 addresses of its node, for one name after the other.',
  seconds: { quick: 10, full: 60 },
  async attack({ exporter, quick }, stop) {
    const hello = (i: number) => helloBytes({ node: `invented-${i}`, epoch: 'epoch', nodeAddresses: addressesOf(i) });
    const limits = { count: HELLOS[quick ? 'quick' : 'full'], parallel: 4, until: 'answered' } as const;
    return {
      hellos: await streamAfterStream((i) => openStream(`${exporter}:${PORTS.stream}`, [hello(i)]), limits, stop),
    };
  },
  isProof: ({ hellos = 0 }) => hellos > 20,
};
