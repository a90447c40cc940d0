import { type FileHandle, mkdir, open, rm, stat } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** An exporter that ends has so long to let go: a rollout may start the next one beside it. */
export const LOCK_WAIT_MS = 15_000;
const ASK_AGAIN_MS = 250;
/** Two that find a stale socket at once: the one that comes later takes it, and the other one sees it after this. */
const SETTLE_MS = 100;

/** Another exporter works with the directory. */
export class Locked extends Error {
  override readonly name = 'Locked';

  constructor(folder: string) {
    super(`another exporter uses -state-dir ${folder}: end it, or give this one a directory of its own`);
  }
}

/** Held until it is released, or the process ends however it ends. */
export interface FolderLock {
  release(): Promise<void>;
}

/**
 * Keeps two exporters on one machine, in whatever containers, from working with one state directory: a Unix socket `lock` in it, on which
 * the one that works listens. The kernel stops listening when a process ends, so nothing has to be cleaned up after a kill: a socket that
 * refuses is nobody's. Two machines that share a file system do not see each other so.
 * @throws Locked; or what the file system says, where it knows no sockets
 */
export async function lockFolder(folder: string, waitMs = LOCK_WAIT_MS): Promise<FolderLock> {
  await mkdir(folder, { recursive: true });
  const handle = await open(folder, 'r');
  try {
    return await untilOurs(folder, handle, performance.now() + waitMs);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function untilOurs(folder: string, handle: FileHandle, deadline: number): Promise<FolderLock> {
  // A socket's path may be no longer than 107 bytes, a folder's may.
  const path = `/proc/self/fd/${handle.fd}/lock`;
  for (;;) {
    const server = await listen(path);
    if (server !== undefined && (await staysOurs(path))) return { release: () => release(server, handle) };
    server?.close();
    if (server === undefined && !(await isHeld(path))) await rm(path, { force: true });
    else if (performance.now() > deadline) throw new Locked(folder);
    else await pause(ASK_AGAIN_MS);
  }
}

/** @returns undefined where there is a socket already */
function listen(path: string): Promise<Server | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Server | undefined>();
  const server = createServer((socket) => socket.destroy());
  server.once('error', (error: NodeJS.ErrnoException) =>
    error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
  );
  server.listen(path, () => resolve(server));
  server.unref();
  return promise;
}

async function staysOurs(path: string): Promise<boolean> {
  const { ino } = await stat(path);
  await pause(SETTLE_MS);
  return (await stat(path).catch(() => undefined))?.ino === ino;
}

function isHeld(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createConnection(path);
  socket.once('connect', () => resolve(true));
  // Whatever else goes wrong: it is not known to be nobody's.
  socket.once('error', (error: NodeJS.ErrnoException) => resolve(!/^(ECONNREFUSED|ENOENT)$/.test(error.code ?? '')));
  return promise.finally(() => socket.destroy());
}

async function release(server: Server, handle: FileHandle): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
  await handle.close();
}
