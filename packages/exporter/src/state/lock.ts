import { type FileHandle, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** An exporter that ends has so long to release the lock: a rollout may start the next one beside it. */
const LOCK_WAIT_MS = 15_000;
const RETRY_MS = 250;
/** Of two that find a stale socket at once the later one takes it, and the other notices after this. */
const SETTLE_MS = 100;

/** Another exporter uses the directory. */
export class Locked extends Error {
  override readonly name = 'Locked';

  constructor(folder: string) {
    super(`another exporter uses -state-dir ${folder}: end it, or give this one a directory of its own`);
  }
}

/** Held until it is released, or the process ends in any way. */
interface FolderLock {
  release(): Promise<void>;
}

/**
 * Keeps two exporters on one machine, in any containers, from using one state directory: the owner listens on a Unix socket `lock` in it.
 * The kernel closes it when the process ends, so nothing has to be cleaned up after a kill: a socket that refuses connections has no
 * owner. Two machines that share a file system do not see each other this way.
 * @throws Locked; or an error of the file system, where it has no sockets
 */
export async function lockFolder(folder: string, waitMs = LOCK_WAIT_MS): Promise<FolderLock> {
  await mkdir(folder, { recursive: true });
  const handle = await open(folder, 'r');
  try {
    return await acquire(folder, handle, performance.now() + waitMs);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function acquire(folder: string, handle: FileHandle, deadline: number): Promise<FolderLock> {
  // A socket's path has at most 107 bytes; that of a folder may be longer.
  const path = `/proc/self/fd/${handle.fd}/lock`;
  for (;;) {
    const server = await listen(path);
    if (server !== undefined && (await isStillOurs(path))) return { release: () => release(server, handle) };
    server?.close();
    if (server === undefined && (await isNoSocket(path))) await rename(path, `${path}.bad`);
    else if (server === undefined && !(await isHeld(path))) await rm(path, { force: true });
    else if (performance.now() > deadline) throw new Locked(folder);
    else await sleep(RETRY_MS);
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

/** What is there was not made here, such as a link to the socket of another program, which would be held for ever. */
async function isNoSocket(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isSocket() === false;
}

async function isStillOurs(path: string): Promise<boolean> {
  const { ino } = await lstat(path);
  await sleep(SETTLE_MS);
  return (await lstat(path).catch(() => undefined))?.ino === ino;
}

function isHeld(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createConnection(path);
  socket.once('connect', () => resolve(true));
  // After any other error it may have an owner.
  socket.once('error', (error: NodeJS.ErrnoException) => resolve(!/^(ECONNREFUSED|ENOENT)$/.test(error.code ?? '')));
  return promise.finally(() => socket.destroy());
}

async function release(server: Server, handle: FileHandle): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
  await handle.close();
}
