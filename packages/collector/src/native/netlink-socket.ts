/**
 * The calls that read netfilter's table: libnetfilter_conntrack owns the socket and the request, libc receives into our own
 * buffer and switches the thread's network namespace. A call costs some microseconds: one for many datagrams, none an entry.
 */

import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { Bug } from '@egressd/flow/bug';
import { DataType, isNullPointer, type JsExternal } from 'ffi-rs';
import { SourceError, type SourceErrorCode } from '../conntrack/source-error.ts';
import { errnoName, LIBC, native, nativeMemory, nullPointer, openLibc, openPackaged } from './library.ts';

/** Debian's name for the library, and of the package that holds it. */
export const LIBRARY_FILE = 'libnetfilter_conntrack.so.3';
const LIBRARY_PACKAGE = 'libnetfilter-conntrack3';
const LIBRARY = 'libnetfilter_conntrack';

/** The kernel fills at most 32 KiB a datagram of a dump (netlink_dump of net/netlink/af_netlink.c). */
export const DATAGRAM_BYTES = 32 * 1024;
/** The kernel makes each datagram of a dump while it is asked for it: silence of this length is an error. */
export const SILENCE_SECONDS = 10;

/** `CONNTRACK` of libnfnetlink, `NFCT_Q_DUMP` of libnetfilter_conntrack. Its neighbour, 6, would set all counters to zero. */
const CONNTRACK = 1;
const NFCT_Q_DUMP = 5;
/** Received by one call at most: a call from here costs some microseconds, and a full table has thousands. */
const DATAGRAMS = 16;
/** `struct sockaddr_nl` of linux/netlink.h: family, padding, port id, groups. */
const SOCKADDR_NL_BYTES = 12;
/** `struct iovec` and `struct mmsghdr` of linux/socket.h on 64-bit machines, and where in the latter things are. */
const IOVEC_BYTES = 16;
const MMSGHDR_BYTES = 64;
const MSG_NAME = 0;
const MSG_NAMELEN = 8;
const MSG_IOV = 16;
const MSG_IOVLEN = 24;
const MSG_LEN = 56;
/** asm-generic/socket.h, linux/socket.h, linux/sched.h. */
export const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
const MSG_WAITFORONE = 0x1_0000;
const CLONE_NEWNET = 0x4000_0000;
/** linux/socket.h. Every family; and one that no connection is of. */
const AF_UNSPEC = 0;
const AF_UNIX = 1;
const OWN_NAMESPACE = '/proc/thread-self/ns/net';

const { ENOBUFS, EINTR, EAGAIN, EPERM, EACCES, EPROTONOSUPPORT, EAFNOSUPPORT, EOPNOTSUPP, EINVAL, ENOENT } =
  constants.errno;

/** A netlink socket that conntrack dumps are read from, and the buffers that datagrams land in. */
export interface ConntrackSocket {
  /** The datagrams of the last `receive`, as words. */
  readonly datagrams: readonly Uint32Array[];
  /**
   * Asks for a dump of all connections, IPv4 and IPv6, or of `none`, which only tells whether the kernel would answer. The dump
   * before must have been received to its end.
   */
  requestDump(which: 'all' | 'none'): void;
  /**
   * Receives the next datagrams that the kernel sent: waits for one, and takes those that are there.
   * @returns how many, or `'overrun'` where datagrams were lost
   * @throws SourceError where the kernel refuses, or is silent for `SILENCE_SECONDS`
   */
  receive(): number | 'overrun';
  /** The length of a received datagram in bytes; 0 where it is not the kernel's, `'overrun'` where it was cut off. */
  lengthOf(datagram: number): number | 'overrun';
  close(): void;
}

const { External, I32, U8, U8Array } = DataType;
const nfctOpen = native<JsExternal>(LIBRARY, 'nfct_open', External, [U8, I32]);
const nfctFd = native<number>(LIBRARY, 'nfct_fd', I32, [External]);
const nfctSend = native<number>(LIBRARY, 'nfct_send', I32, [External, I32, U8Array]);
const nfctClose = native<number>(LIBRARY, 'nfct_close', I32, [External]);
export const setsockopt = native<number>(LIBC, 'setsockopt', I32, [I32, I32, I32, U8Array, I32]);
export const getsockopt = native<number>(LIBC, 'getsockopt', I32, [I32, I32, I32, U8Array, U8Array]);
const recvmmsg = native<number>(LIBC, 'recvmmsg', I32, [I32, External, I32, I32, External]);
const setns = native<number>(LIBC, 'setns', I32, [I32, I32]);

/** Opens a socket in the network namespace of the calling thread. `file` is for tests. */
export function openConntrackSocket(file: string = LIBRARY_FILE): ConntrackSocket {
  const { handle, fd, close } = openNetlink(file, 0);
  const timeval = Buffer.alloc(16);
  timeval.writeBigInt64LE(BigInt(SILENCE_SECONDS));
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeval, timeval.length);

  const memory = receiveMemory(DATAGRAMS, DATAGRAM_BYTES);
  const families = { all: Buffer.of(AF_UNSPEC, 0, 0, 0), none: Buffer.of(AF_UNIX, 0, 0, 0) };
  return {
    datagrams: memory.datagrams,
    requestDump(which) {
      const sent = nfctSend(handle, NFCT_Q_DUMP, families[which]);
      if (sent.value < 0) throw kernelError('cannot ask for a conntrack dump', sent.errnoCode);
    },
    receive() {
      const received = receive(fd, memory, MSG_WAITFORONE);
      if (received !== 'nothing') return received;
      throw new SourceError('system', `the kernel sent nothing of a conntrack dump for ${SILENCE_SECONDS} s`);
    },
    lengthOf: (i) => lengthOf(memory, i),
    close() {
      close();
      memory.free();
    },
  };
}

/** A netlink socket of libnetfilter_conntrack in the network namespace of the calling thread. */
export interface NetlinkHandle {
  readonly handle: JsExternal;
  readonly fd: number;
  close(): void;
}

/**
 * Opens one.
 * @param file of libnetfilter_conntrack
 * @param groups what it listens for: `NF_NETLINK_CONNTRACK_*` of linux/netfilter/nfnetlink_compat.h
 */
export function openNetlink(file: string, groups: number): NetlinkHandle {
  openPackaged(LIBRARY, file, LIBRARY_PACKAGE);
  const { value: handle, errnoCode } = nfctOpen(CONNTRACK, groups);
  if (isNullPointer(handle)) throw kernelError('cannot open a conntrack socket', errnoCode);
  return { handle, fd: nfctFd(handle).value, close: () => void nfctClose(handle) };
}

/**
 * Memory that the kernel writes to, in one piece that never moves:
 *
 *   headers    | mmsghdr 0 | mmsghdr 1 | ...      each points to its peer and its iovec, and gets the datagram's length
 *   iovecs     | iovec 0   | iovec 1   | ...      each points to its datagram
 *   datagrams  | bytes     | bytes     | ...
 *   peers      | sockaddr_nl 0 | ...              who sent it
 */
export interface ReceiveMemory {
  /** Of all, and so of the headers. */
  readonly at: JsExternal;
  /** Bytes of each datagram's room. */
  readonly room: number;
  readonly headers: Buffer;
  readonly peers: Buffer;
  readonly datagrams: readonly Uint32Array[];
  /** No time limit but the socket's. */
  readonly nothing: JsExternal;
  free(): void;
}

/** Makes it for so many datagrams of at most so many bytes, a multiple of four. */
export function receiveMemory(count: number, room: number): ReceiveMemory {
  const iovecs = count * MMSGHDR_BYTES;
  const data = iovecs + count * IOVEC_BYTES;
  const peers = data + count * room;
  const size = peers + count * SOCKADDR_NL_BYTES;
  const { at, address: base, bytes: all, free } = nativeMemory(size);
  const point = (field: number, to: number) => all.writeBigUInt64LE(BigInt(base + to), field);
  for (let i = 0; i < count; i++) {
    const header = i * MMSGHDR_BYTES;
    point(header + MSG_NAME, peers + i * SOCKADDR_NL_BYTES);
    all.writeUInt32LE(SOCKADDR_NL_BYTES, header + MSG_NAMELEN);
    point(header + MSG_IOV, iovecs + i * IOVEC_BYTES);
    all.writeBigUInt64LE(1n, header + MSG_IOVLEN);
    point(iovecs + i * IOVEC_BYTES, data + i * room);
    all.writeBigUInt64LE(BigInt(room), iovecs + i * IOVEC_BYTES + 8);
  }
  const wordsAt = (i: number) => new Uint32Array(all.buffer, all.byteOffset + data + i * room, room / 4);
  return {
    at,
    room,
    headers: all.subarray(0, iovecs),
    peers: all.subarray(peers),
    datagrams: Array.from({ length: count }, (_, i) => wordsAt(i)),
    nothing: nullPointer(),
    free,
  };
}

/**
 * Receives datagrams, as many as there is room for.
 * @param how `MSG_WAITFORONE`, or `MSG_DONTWAIT`
 * @returns how many, `'overrun'` where some were lost, `'nothing'` where none came in the socket's time
 */
export function receive(fd: number, memory: ReceiveMemory, how: number): number | 'overrun' | 'nothing' {
  const { at, datagrams, nothing } = memory;
  for (;;) {
    const { value, errnoCode } = recvmmsg(fd, at, datagrams.length, MSG_TRUNC | how, nothing);
    if (value >= 0) return value;
    if (errnoCode === ENOBUFS) return 'overrun';
    if (errnoCode === EAGAIN) return 'nothing';
    if (errnoCode !== EINTR) throw kernelError('cannot receive from conntrack', errnoCode);
  }
}

/** The length of a received datagram in bytes; 0 where it is not the kernel's, `'overrun'` where it was cut off. */
export function lengthOf({ peers, headers, room }: ReceiveMemory, i: number): number | 'overrun' {
  // Any process with CAP_NET_ADMIN may write to this socket; port id 0 is the kernel.
  if (peers.readUInt32LE(i * SOCKADDR_NL_BYTES + 4) !== 0) return 0;
  const length = headers.readUInt32LE(i * MMSGHDR_BYTES + MSG_LEN);
  return length <= room ? length : 'overrun';
}

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
    throw kernelError(`cannot enter the network namespace ${path} (${needs})`, entered.errnoCode);
  }
}

function leaveNamespace(own: number): void {
  // A thread in the wrong namespace would read somebody else's numbers: better none.
  if (setns(own, CLONE_NEWNET).value !== 0) throw new Bug('cannot go back to the own network namespace');
}

/** The error that an errno of the kernel stands for: what was tried, what the kernel said, and what to do. */
export function kernelError(what: string, errno: number): SourceError {
  const code = errorCode(errno);
  const hints: Partial<Record<SourceErrorCode, string>> = {
    permission: ': run as root, or with the capability NET_ADMIN',
    unsupported: ': the kernel has no conntrack over netlink; load the modules nf_conntrack and nf_conntrack_netlink',
  };
  return new SourceError(code, `${what}: ${errnoName(errno)}${hints[code] ?? ''}`);
}

function errorCode(errno: number): SourceErrorCode {
  if (errno === EPERM || errno === EACCES) return 'permission';
  const missing = [EPROTONOSUPPORT, EAFNOSUPPORT, EOPNOTSUPP, EINVAL, ENOENT];
  return missing.includes(errno) ? 'unsupported' : 'system';
}
