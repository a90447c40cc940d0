import { createSocket } from 'node:dgram';
import { setTimeout as pause } from 'node:timers/promises';
import type { Row } from '../row.ts';

const ADDRESSES = { quick: 50_000, full: 1_000_000 };
const PER_TICK = 85;
const TICK_MS = 10;
const PORT = 9;
const RESTARTS = { quick: 1, full: 5 };

/** Private addresses that nobody in the world has: 172.16.0.0/12 in order, which are more than a million. */
function addressOf(number: number): string {
  return `172.${16 + (number >>> 16)}.${(number >>> 8) & 255}.${number & 255}`;
}

/** Row 1. */
export const MANY_SERIES: Row = {
  name: 'many-series',
  does: 'A pod sends a datagram of one byte to each of a million private addresses; after that the exporter is restarted five times.',
  seconds: { quick: 15, full: 180 },
  from: ['db-2'],
  sendsTo: '172.16.0.0/12',
  sysctls: { 'netfilter/nf_conntrack_udp_timeout': 5 },
  daemons: { stateDirectories: true, settings: { exportInterval: '5s' } },
  async attack({ quick }, stop) {
    const socket = createSocket('udp4').on('error', () => {});
    const count = ADDRESSES[quick ? 'quick' : 'full'];
    let sent = 0;
    while (!stop.aborted) {
      for (let i = 0; i < PER_TICK && sent < count; i++) socket.send('x', PORT, addressOf(sent++), () => {});
      await pause(TICK_MS);
    }
    socket.close();
    return { sent };
  },
  isProof: ({ sent = 0 }) => sent >= 40_000,
  async after({ restartExporter }, quick) {
    const wrong: (string | undefined)[] = [];
    for (let i = 0; i < RESTARTS[quick ? 'quick' : 'full']; i++) wrong.push(await restartExporter());
    return wrong.find((each) => each !== undefined);
  },
};
