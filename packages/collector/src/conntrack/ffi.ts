/**
 * Every call into a shared library of this package: libnetfilter_conntrack owns the socket and the request, libc receives into
 * our own buffer and switches the thread's network namespace. A call costs some microseconds: one a datagram, none an entry.
 */
import { closeSync, openSync } from 'node:fs';
import { constants, endianness } from 'node:os';
import { createExternalBuffer, DataType, isNullPointer, type JsExternal, load, open } from 'ffi-rs';
import { SourceError, type SourceErrorCode } from './source.ts';

/** Debian's name for the library, and of the package that holds it. */
export const LIBRARY_FILE = 'libnetfilter_conntrack.so.3';
const LIBRARY_PACKAGE = 'libnetfilter-conntrack3';
const LIBRARY = 'libnetfilter_conntrack';
const LIBC = 'libc';

/** The kernel fills at most 32 KiB a datagram of a dump (netlink_dump of net/netlink/af_netlink.c). */
export const DATAGRAM_BYTES = 32 * 1024;
/** The kernel makes each datagram of a dump while it is asked for it: silence of this length is an error. */
export const SILENCE_SECONDS = 10;

/** `CONNTRACK` of libnfnetlink, `NFCT_Q_DUMP` of libnetfilter_conntrack. Its neighbour, 6, would set all counters to zero. */
const CONNTRACK = 1;
const NFCT_Q_DUMP = 5;
/** `struct sockaddr_nl` of linux/netlink.h: family, padding, port id, groups. */
const SOCKADDR_NL_BYTES = 12;
/** asm-generic/socket.h, linux/socket.h, linux/sched.h. */
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const MSG_TRUNC = 0x20;
const CLONE_NEWNET = 0x4000_0000;
/** linux/socket.h. Every family; and one that no connection is of. */
const AF_UNSPEC = 0;
const AF_UNIX = 1;
const OWN_NAMESPACE = '/proc/thread-self/ns/net';

const { ENOBUFS, EINTR, EAGAIN, EPERM, EACCES, EPROTONOSUPPORT, EAFNOSUPPORT, EOPNOTSUPP, EINVAL, ENOENT } =
  constants.errno;

/** A netlink socket that conntrack dumps are read from, and the buffer that datagrams land in. */
export interface ConntrackSocket {
  /** The datagram of the last `receive`. */
  readonly datagram: Uint8Array;
  /**
   * Asks for a dump of all connections, IPv4 and IPv6, or of `none`, which only tells whether the kernel would answer. The dump
   * before must have been received to its end.
   */
  requestDump(which: 'all' | 'none'): void;
  /**
   * Receives the next datagram that the kernel sent.
   * @returns its length, or `'overrun'` where datagrams were lost or cut off
   * @throws SourceError where the kernel refuses, or is silent for `SILENCE_SECONDS`
   */
  receive(): number | 'overrun';
  close(): void;
}

/** What `ffi-rs` gives for a call with `errno: true`. */
interface Result<T> {
  readonly value: T;
  readonly errnoCode: number;
}

/** A function of a shared library, as one that takes its arguments and gives its result and errno. */
function native<T>(library: string, funcName: string, retType: DataType, paramsType: DataType[]) {
  const call = { library, funcName, retType, paramsType, paramsValue: [] as unknown[], errno: true as const };
  return (...args: unknown[]): Result<T> => {
    call.paramsValue = args;
    return load(call) as unknown as Result<T>;
  };
}

const { External, I32, U8, U8Array, I64, Void } = DataType;
const nfctOpen = native<JsExternal>(LIBRARY, 'nfct_open', External, [U8, I32]);
const nfctFd = native<number>(LIBRARY, 'nfct_fd', I32, [External]);
const nfctSend = native<number>(LIBRARY, 'nfct_send', I32, [External, I32, U8Array]);
const nfctClose = native<number>(LIBRARY, 'nfct_close', I32, [External]);
const setsockopt = native<number>(LIBC, 'setsockopt', I32, [I32, I32, I32, U8Array, I32]);
const recvfrom = native<number>(LIBC, 'recvfrom', I32, [I32, External, I32, I32, External, External]);
const malloc = native<JsExternal>(LIBC, 'malloc', External, [I64]);
const free = native<undefined>(LIBC, 'free', Void, [External]);
const setns = native<number>(LIBC, 'setns', I32, [I32, I32]);

/** Opens a socket in the network namespace of the calling thread. `file` is for tests. */
export function openConntrackSocket(file: string = LIBRARY_FILE): ConntrackSocket {
  openLibraries(file);
  const handle = nfctOpen(CONNTRACK, 0);
  if (isNullPointer(handle.value)) throw kernelError('cannot open a conntrack socket', handle.errnoCode);
  const fd = nfctFd(handle.value).value;
  const timeval = Buffer.alloc(16);
  timeval.writeBigInt64LE(BigInt(SILENCE_SECONDS));
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeval, timeval.length);

  const memory = receiveMemory();
  const families = { all: Buffer.of(AF_UNSPEC, 0, 0, 0), none: Buffer.of(AF_UNIX, 0, 0, 0) };
  return {
    datagram: memory.datagram,
    requestDump(which) {
      const sent = nfctSend(handle.value, NFCT_Q_DUMP, families[which]);
      if (sent.value < 0) throw kernelError('cannot ask for a conntrack dump', sent.errnoCode);
    },
    receive: () => receive(fd, memory),
    close() {
      nfctClose(handle.value);
      for (const pointer of [memory.datagramAt, memory.peerAt, memory.peerLengthAt]) free(pointer);
    },
  };
}

/** Memory that the kernel writes to: a pointer is handed over in half the time that a Buffer takes. */
interface ReceiveMemory {
  readonly datagramAt: JsExternal;
  readonly datagram: Uint8Array;
  readonly peerAt: JsExternal;
  readonly peer: Buffer;
  readonly peerLengthAt: JsExternal;
}

function receiveMemory(): ReceiveMemory {
  const datagramAt = malloc(DATAGRAM_BYTES).value;
  const peerAt = malloc(SOCKADDR_NL_BYTES).value;
  const peerLengthAt = malloc(4).value;
  createExternalBuffer(peerLengthAt, 4).writeUInt32LE(SOCKADDR_NL_BYTES);
  const datagram = createExternalBuffer(datagramAt, DATAGRAM_BYTES);
  return { datagramAt, datagram, peerAt, peer: createExternalBuffer(peerAt, SOCKADDR_NL_BYTES), peerLengthAt };
}

function receive(fd: number, memory: ReceiveMemory): number | 'overrun' {
  for (;;) {
    const received = recvfrom(fd, memory.datagramAt, DATAGRAM_BYTES, MSG_TRUNC, memory.peerAt, memory.peerLengthAt);
    const length = received.value;
    if (length >= 0) {
      // Any process with CAP_NET_ADMIN may write to this socket; port id 0 is the kernel.
      if (memory.peer.readUInt32LE(4) !== 0) continue;
      return length <= DATAGRAM_BYTES ? length : 'overrun';
    }
    if (received.errnoCode === ENOBUFS) return 'overrun';
    if (received.errnoCode === EAGAIN) {
      throw new SourceError('system', `the kernel sent nothing of a conntrack dump for ${SILENCE_SECONDS} s`);
    }
    if (received.errnoCode !== EINTR) throw kernelError('cannot receive a conntrack dump', received.errnoCode);
  }
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
  if (setns(own, CLONE_NEWNET).value !== 0) throw new Error('BUG: cannot go back to the own network namespace');
}

const opened = new Set<string>();

function openLibc(): void {
  if (opened.has(LIBC)) return;
  open({ library: LIBC, path: 'libc.so.6' });
  opened.add(LIBC);
}

function openLibraries(file: string): void {
  if (endianness() !== 'LE') throw new SourceError('unsupported', 'conntrack is read on little-endian machines only');
  openLibc();
  if (opened.has(file)) return;
  try {
    open({ library: LIBRARY, path: file });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SourceError('library', `cannot load ${file}: install the package ${LIBRARY_PACKAGE} (${why})`);
  }
  opened.add(file);
}

/** The error that an errno of the kernel stands for: what was tried, what the kernel said, and what to do. */
export function kernelError(what: string, errno: number): SourceError {
  const [name = `errno ${errno}`] = Object.entries(constants.errno).find(([, value]) => value === errno) ?? [];
  const code = errorCode(errno);
  const hints: Partial<Record<SourceErrorCode, string>> = {
    permission: ': run as root, or with the capability NET_ADMIN',
    unsupported: ': the kernel has no conntrack over netlink; load the modules nf_conntrack and nf_conntrack_netlink',
  };
  return new SourceError(code, `${what}: ${name}${hints[code] ?? ''}`);
}

function errorCode(errno: number): SourceErrorCode {
  if (errno === EPERM || errno === EACCES) return 'permission';
  const missing = [EPROTONOSUPPORT, EAFNOSUPPORT, EOPNOTSUPP, EINVAL, ENOENT];
  return missing.includes(errno) ? 'unsupported' : 'system';
}
