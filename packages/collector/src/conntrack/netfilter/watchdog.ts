import { spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Another process that switches `setLossless` off where this one stands still: who is stopped cannot watch itself. */
export interface Watchdog {
  /** It runs, as far as is known. */
  readonly alive: boolean;
  /** Somebody reads. Without this for `STALL_MS` it acts. */
  beat(): void;
  close(): void;
}

/** It is a small program that waits: no heap to speak of, and no thread that nobody needs. */
const FLAGS = [
  '--max-old-space-size=16',
  '--max-semi-space-size=1',
  '--v8-pool-size=1',
  '--disable-warning=ExperimentalWarning',
];
/** Where it finds the event socket: behind stdin, which the beats come by, stdout and stderr. */
export const SOCKET_FD = 3;

/** Starts one. It inherits the socket, and ends when this process ends. @param fd of the event socket */
export function startWatchdog(fd: number): Watchdog {
  // Sources are .ts in a checkout and .js in an image.
  const program = fileURLToPath(new URL(`./watchdog-process${extname(import.meta.url)}`, import.meta.url));
  const child = spawn(process.execPath, [...FLAGS, program], { stdio: ['pipe', 'ignore', 'inherit', fd] });
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
    beat: () => void (alive && child.stdin!.write('.')),
    close: () => void child.stdin!.end(),
  };
}
