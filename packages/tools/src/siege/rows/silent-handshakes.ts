import { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import type { Row } from '../row.ts';
import { keepOpen, openSocket, PORTS } from '../sockets.ts';

/** More than the memory limit holds at 75 KB each, and than there are descriptors. */
const CONNECTIONS = { quick: 3_000, full: 18_000 };
const PER_SECOND = 2_000;

/** The first record of a TLS handshake, as a client without a certificate sends it. */
function clientHello(): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const socket = new Duplex({ read() {}, write: (chunk: Buffer, _, done) => done(void resolve(chunk)) });
  connect({ socket, ALPNProtocols: ['h2'] }).on('error', () => {});
  return promise;
}

/** Row 4: no certificate is needed. */
export const SILENT_HANDSHAKES: Row = {
  name: 'silent-handshakes',
  does: 'A pod opens connections to the stream port, begins a TLS handshake on each, and says no more.',
  quick: true,
  world: 'overlay',
  seconds: { quick: 5, full: 60 },
  async attack({ exporter, quick }, stop) {
    const hello = await clientHello();
    const open = () => {
      const socket = openSocket(exporter, PORTS.stream);
      socket.once('connect', () => socket.write(hello));
      return socket;
    };
    return { opened: await keepOpen(CONNECTIONS[quick ? 'quick' : 'full'], PER_SECOND, open, stop) };
  },
  isProof: ({ opened = 0 }) => opened > 500,
};
