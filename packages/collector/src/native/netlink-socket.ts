/** The netlink socket of conntrack dumps: libnetfilter_conntrack owns the socket and the request, libc receives (`recvmmsg.ts`). */
import { DataType, isNullPointer, type JsExternal } from 'ffi-rs';
import { SourceError } from '../conntrack/source-error.ts';
import { LIBC, native, openPackaged } from './library.ts';
import { netlinkError } from './netlink-error.ts';
import { lengthOf, MSG_WAITFORONE, receive, receiveMemory } from './recvmmsg.ts';

/** Of Debian: the package that holds the library. */
const LIBRARY_PACKAGE = 'libnetfilter-conntrack3';
const LIBRARY = 'libnetfilter_conntrack';

/** The kernel fills at most 32 KiB a datagram of a dump (netlink_dump of net/netlink/af_netlink.c). */
export const DATAGRAM_BYTES = 32 * 1024;
/** The kernel writes each datagram of a dump when it is received: none for so long is an error. */
const RECEIVE_TIMEOUT_SECONDS = 10;

/** `CONNTRACK` of libnfnetlink, `NFCT_Q_DUMP` of libnetfilter_conntrack. Its neighbour, 6, would set all counters to zero. */
const CONNTRACK = 1;
const NFCT_Q_DUMP = 5;
/** Datagrams received by one call at most: a call costs some microseconds, and a dump of a full table has thousands. */
const DATAGRAMS = 16;
/** asm-generic/socket.h */
export const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
/** linux/socket.h. Every family; and one that no connection is of. */
const AF_UNSPEC = 0;
const AF_UNIX = 1;

/** A netlink socket that conntrack dumps are read from, and the buffers that datagrams land in. */
export interface ConntrackSocket {
  /** The datagrams of the last `receive`, as words. */
  readonly datagrams: readonly Uint32Array[];
  /**
   * Asks for a dump of all connections, IPv4 and IPv6, or of `none`, which only shows whether the kernel would answer. The dump
   * before must have been received to its end.
   */
  requestDump(which: 'all' | 'none'): void;
  /**
   * Receives the next datagrams that the kernel sent: waits for one, and takes those that are there.
   * @returns how many, or `'overrun'` where datagrams were lost
   * @throws SourceError where the kernel refuses, or sends nothing for `RECEIVE_TIMEOUT_SECONDS`
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

/** Opens a socket in the network namespace of the calling thread. */
export function openConntrackSocket(): ConntrackSocket {
  const { handle, fd, close } = openNetlink(0);
  const timeval = Buffer.alloc(16);
  timeval.writeBigInt64LE(BigInt(RECEIVE_TIMEOUT_SECONDS));
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeval, timeval.length);

  const memory = receiveMemory(DATAGRAMS, DATAGRAM_BYTES);
  const families = { all: Buffer.of(AF_UNSPEC, 0, 0, 0), none: Buffer.of(AF_UNIX, 0, 0, 0) };
  return {
    datagrams: memory.datagrams,
    requestDump(which) {
      const sent = nfctSend(handle, NFCT_Q_DUMP, families[which]);
      if (sent.value < 0) throw netlinkError('cannot ask for a conntrack dump', sent.errnoCode);
    },
    receive() {
      const received = receive(fd, memory, MSG_WAITFORONE);
      if (received !== 'nothing') return received;
      throw new SourceError('system', `the kernel sent nothing of a conntrack dump for ${RECEIVE_TIMEOUT_SECONDS} s`);
    },
    lengthOf: (i) => lengthOf(memory, i),
    close() {
      close();
      memory.free();
    },
  };
}

/** A netlink socket of libnetfilter_conntrack in the network namespace of the calling thread. */
interface NetlinkHandle {
  readonly handle: JsExternal;
  readonly fd: number;
  close(): void;
}

/**
 * Opens one.
 * @param groups what it listens for: `NF_NETLINK_CONNTRACK_*` of linux/netfilter/nfnetlink_compat.h
 */
export function openNetlink(groups: number): NetlinkHandle {
  openPackaged(LIBRARY, LIBRARY_PACKAGE);
  const { value: handle, errnoCode } = nfctOpen(CONNTRACK, groups);
  if (isNullPointer(handle)) throw netlinkError('cannot open a conntrack socket', errnoCode);
  return { handle, fd: nfctFd(handle).value, close: () => void nfctClose(handle) };
}
