import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, rm } from 'node:fs/promises';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;

/** What is there is nothing that this program made. The message has the path, what it is, and what to do. */
export class NotOwnFileError extends Error {
  override readonly name = 'NotOwnFileError';

  constructor(path: string, what: string) {
    super(`${path} ${what}: egressd did not make it, see where it comes from and remove it`);
  }
}

/**
 * Opens a file in a directory of this program: a regular one of its own user. Links are not followed, the other end of a FIFO is not waited
 * for, and a device is not opened.
 * @throws NotOwnFileError, or an error of the file system
 */
export async function openOwnFile(path: string, access: 'read' | 'change'): Promise<FileHandle> {
  // Some devices do things by being opened, so this is looked at first.
  checkOwn(path, await lstat(path), 'file');
  const file = await open(path, (access === 'read' ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK);
  try {
    // It may have been replaced since.
    checkOwn(path, await file.stat(), 'file');
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Makes a new file for writing, in place of whatever has that name. @throws an error of the file system, where that is a folder for example */
export async function createOwnFile(path: string, mode: number): Promise<FileHandle> {
  await rm(path, { force: true });
  return open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
}

/** Checks that a folder within a directory of this program is one, of its own user. @throws NotOwnFileError, or an error of the file system */
export async function checkOwnFolder(path: string): Promise<void> {
  checkOwn(path, await lstat(path), 'folder');
}

function checkOwn(path: string, stats: Stats, expected: 'file' | 'folder'): void {
  const kind = kindOf(stats);
  if (kind !== expected) throw new NotOwnFileError(path, `is a ${kind}, not a ${expected}`);
  const user = process.geteuid?.();
  if (user !== undefined && stats.uid !== user)
    throw new NotOwnFileError(path, `belongs to user ${stats.uid}, not to ${user}`);
}

function kindOf(stats: Stats): string {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'folder';
  if (stats.isSymbolicLink()) return 'symbolic link';
  if (stats.isFIFO()) return 'FIFO';
  return stats.isSocket() ? 'socket' : 'device';
}
