/** flock(2): locks that the kernel releases by itself. */
import { constants } from 'node:os';
import { DataType } from 'ffi-rs';
import { LIBC, native, openLibc } from './library.ts';

/** linux/fcntl.h: for one alone, and without waiting. */
const LOCK_EX = 2;
const LOCK_NB = 4;

const flock = native<number>(LIBC, 'flock', DataType.I32, [DataType.I32, DataType.I32]);

/**
 * Locks an open file or folder: for every process on this machine, in whatever container. The kernel unlocks it when it is closed, and
 * so when the process ends, however it ends. A file system that knows no locks locks nothing.
 * @returns false where another process has the lock
 */
export function lockFile(fd: number): boolean {
  openLibc();
  const { value, errnoCode } = flock(fd, LOCK_EX | LOCK_NB);
  return value === 0 || errnoCode !== constants.errno.EWOULDBLOCK;
}
