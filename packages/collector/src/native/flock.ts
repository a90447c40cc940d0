import { constants } from 'node:os';
import { DataType, load, open } from 'ffi-rs';

/** linux/fcntl.h: for one alone, and without waiting. */
const LOCK_EX = 2;
const LOCK_NB = 4;
const LIBRARY = 'libc for locks';
let opened = false;

/**
 * Locks an open file or folder, flock(2): for every process on this machine, in whatever container. The kernel unlocks it when it is
 * closed, and so when the process ends, however it ends. A file system that knows no locks locks nothing.
 * @returns false where somebody else has it
 */
export function lockFile(fd: number): boolean {
  if (!opened) open({ library: LIBRARY, path: 'libc.so.6' });
  opened = true;
  const { value, errnoCode } = load({
    library: LIBRARY,
    funcName: 'flock',
    retType: DataType.I32,
    paramsType: [DataType.I32, DataType.I32],
    paramsValue: [fd, LOCK_EX | LOCK_NB],
    errno: true,
  }) as { value: number; errnoCode: number };
  return value === 0 || errnoCode !== constants.errno.EWOULDBLOCK;
}
