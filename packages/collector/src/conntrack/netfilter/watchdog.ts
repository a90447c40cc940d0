import { spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A process that turns `setLossless` off where this one stalls: a stopped process cannot watch itself. */
export interface Watchdog {
  /** It runs, as far as is known. */
  readonly alive: boolean;
  /** Events are being read. Without a heartbeat for `STALL_MS` it acts. */
  heartbeat(): void;
  close(): void;
}

/** A small program that waits: next to no heap, and no spare threads. */
const FLAGS = [
  '--max-old-space-size=16',
  '--max-semi-space-size=1',
  '--v8-pool-size=1',
  '--disable-sigusr1',
  '--disable-warning=ExperimentalWarning',
];
/** Its descriptor of the event socket: behind stdin, which heartbeats come by, stdout and stderr. */
export const SOCKET_FD = 3;

/** Starts one. It inherits the socket, and ends when this process ends. @param fd of the event socket */
export function startWatchdog(fd: number): Watchdog {
  // Sources are .ts in a checkout and .js in an image.
  const program = fileURLToPath(new URL(`./watchdog-process${extname(import.meta.url)}`, import.meta.url));
  // In a checkout packages are resolved to their sources.
  const conditions = process.execArgv.filter((flag) => flag.startsWith('--conditions='));
  const child = spawn(process.execPath, [...FLAGS, ...conditions, program], {
    stdio: ['pipe', 'ignore', 'inherit', fd],
  });
  let alive = true;
  const ended = () => {
    alive = false;
  };
  child.on('error', ended);
  child.on('exit', ended);
  child.stdin!.on('error', ended);
  return {
    get alive() {
      return alive;
    },
    heartbeat: () => void (alive && child.stdin!.write('.')),
    close: () => void child.stdin!.end(),
  };
}
