/** Entering another network namespace: setns(2), of the calling thread alone. */
import { closeSync, openSync } from 'node:fs';
import { Bug } from '@egressd/flow/bug';
import { DataType } from 'ffi-rs';
import { SourceError } from '../conntrack/source-error.ts';
import { LIBC, native, openLibc } from './library.ts';
import { netlinkError } from './netlink-error.ts';

/** linux/sched.h */
const CLONE_NEWNET = 0x4000_0000;
const OWN_NAMESPACE = '/proc/thread-self/ns/net';

const setns = native<number>(LIBC, 'setns', DataType.I32, [DataType.I32, DataType.I32]);

/** Runs `body`, which must not wait, with the calling thread in the network namespace of a file such as `/proc/1/ns/net`. */
export function inNamespace<T>(path: string, body: () => T): T {
  openLibc();
  const own = openSync(OWN_NAMESPACE, 'r');
  try {
    enterNamespace(path);
    try {
      return body();
    } finally {
      leaveNamespace(own);
    }
  } finally {
    closeSync(own);
  }
}

function enterNamespace(path: string): void {
  const needs = 'the pod needs hostPID and the capabilities SYS_ADMIN and SYS_PTRACE';
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const denied = code === 'EACCES' || code === 'EPERM';
    throw new SourceError(denied ? 'permission' : 'system', `cannot open a network namespace (${needs}): ${message}`);
  }
  const entered = setns(file, CLONE_NEWNET);
  closeSync(file);
  if (entered.value !== 0) {
    throw netlinkError(`cannot enter the network namespace ${path} (${needs})`, entered.errnoCode);
  }
}

function leaveNamespace(own: number): void {
  // A thread in the wrong namespace would read the numbers of another: better none.
  if (setns(own, CLONE_NEWNET).value !== 0) throw new Bug('cannot go back to the own network namespace');
}
