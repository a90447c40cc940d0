/**
 * The watchdog of `-conntrack-events=lossless`: where no beat comes by stdin for `STALL_MS`, the kernel is told not to keep ended
 * connections any longer, so that a collector that stands still does not fill the node's table. Ends with its parent.
 */
import { setLossless } from '../../native/event-socket.ts';
import { SOCKET_FD } from './watchdog.ts';

/** A dump of a full table, and a busy machine, take less. */
const STALL_MS = 3000;
const LOOK_MS = 250;

let beatMs = performance.now();
process.stdin.on('data', () => {
  beatMs = performance.now();
});
process.stdin.on('end', () => {
  // A thread that died may have left the socket open behind it.
  setLossless(SOCKET_FD, false);
  process.exit();
});
// Whoever stops the parent stops it too: it goes when the parent has gone.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
setInterval(() => {
  if (performance.now() - beatMs > STALL_MS) setLossless(SOCKET_FD, false);
}, LOOK_MS);
