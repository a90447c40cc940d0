import type { EventSocket } from '../../native/event-socket.ts';
import type { BufferPool } from './buffer-pool.ts';
import { EventReader } from './events.ts';
import { Lossless } from './lossless.ts';
import { readNumber, readText, type SysctlFiles } from './proc-files.ts';
import { parseDrops } from './statistics.ts';
import { startWatchdog } from './watchdog.ts';
import type { EventsMode, WorkerEvent } from './worker-messages.ts';

/** Between two drains: each wakes the thread. The socket's buffer has room for more events than come in it. */
const DRAIN_INTERVAL_MS = 250;

/** DESTROY events, received and delivered every now and then, and whenever asked for. */
export interface EventDrain {
  drain(): Promise<void>;
  /** Waits for the drain that is under way: the socket and its memory are in use until then. */
  stop(): Promise<void>;
}

/**
 * Starts to deliver DESTROY events, what was lost of them and, with `lossless`, whether the kernel keeps connections until their
 * event was delivered.
 */
export function startDrain(
  mode: EventsMode,
  files: SysctlFiles,
  socket: EventSocket,
  pool: BufferPool,
  post: (event: WorkerEvent) => void,
): EventDrain {
  const drops = () => parseDrops(readText(files.sockets), socket.inode);
  const lossless = mode === 'lossless' ? createLossless(files, socket) : undefined;
  const reader = new EventReader(socket, pool, drops, () => lossless?.on !== true);
  const drain = async () => {
    await reader.drain();
    const change = lossless?.check();
    if (change !== undefined) post({ kind: 'lossless', change });
    const report = reader.report();
    if (report !== undefined) post({ kind: 'eventLoss', report });
  };
  const timer = setInterval(drain, DRAIN_INTERVAL_MS);
  return {
    drain,
    async stop() {
      clearInterval(timer);
      await reader.drained();
      lossless?.close();
    },
  };
}

function createLossless(files: SysctlFiles, { fd }: EventSocket): Lossless {
  const fill = () => {
    const [entries, limit] = [readNumber(files.entries), readNumber(files.limit)];
    return entries === undefined || !limit ? undefined : entries / limit;
  };
  return new Lossless({ fd, fill, watch: () => startWatchdog(fd), now: () => performance.now() });
}
