/**
 * The watchdog of `-conntrack-events=lossless`: without a heartbeat on stdin for `STALL_MS` it has the kernel keep ended connections
 * no longer, so that a stalled collector does not fill the node's conntrack table. Ends with its parent.
 */
import { setLossless } from '../../native/event-socket.ts';
import { SOCKET_FD } from './watchdog.ts';

/** A dump of a full table, and a busy machine, take less. */
const STALL_MS = 3000;
const CHECK_INTERVAL_MS = 250;

let heartbeatMs = performance.now();
process.stdin.on('data', () => {
  heartbeatMs = performance.now();
});
process.stdin.on('end', () => {
  // A thread that died may have left the socket open behind it.
  setLossless(SOCKET_FD, false);
  process.exit();
});
// A signal to the parent's process group reaches this process too: it stays until the parent has gone.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
setInterval(() => {
  if (performance.now() - heartbeatMs > STALL_MS) setLossless(SOCKET_FD, false);
}, CHECK_INTERVAL_MS);
