/** Receiving netlink datagrams: recvmmsg(2) into memory that never moves. A call costs some microseconds: one for many datagrams. */
import { constants } from 'node:os';
import { DataType, type JsExternal } from 'ffi-rs';
import { LIBC, native, nativeMemory, nullPointer } from './library.ts';
import { netlinkError } from './netlink-error.ts';

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
/** linux/socket.h */
const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_WAITFORONE = 0x1_0000;

const { ENOBUFS, EINTR, EAGAIN } = constants.errno;
const { External, I32 } = DataType;
const recvmmsg = native<number>(LIBC, 'recvmmsg', I32, [I32, External, I32, I32, External]);

/**
 * Memory that the kernel writes to, in one piece that never moves:
 *
 *   headers    | mmsghdr 0 | mmsghdr 1 | ...      each points to its peer and its iovec, and gets the datagram's length
 *   iovecs     | iovec 0   | iovec 1   | ...      each points to its datagram
 *   datagrams  | bytes     | bytes     | ...
 *   peers      | sockaddr_nl 0 | ...              who sent it
 */
interface ReceiveMemory {
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
    if (errnoCode !== EINTR) throw netlinkError('cannot receive from conntrack', errnoCode);
  }
}

/** The length of a received datagram in bytes; 0 where it is not the kernel's, `'overrun'` where it was cut off. */
export function lengthOf({ peers, headers, room }: ReceiveMemory, i: number): number | 'overrun' {
  // Any process with CAP_NET_ADMIN may write to this socket; port id 0 is the kernel.
  if (peers.readUInt32LE(i * SOCKADDR_NL_BYTES + 4) !== 0) return 0;
  const length = headers.readUInt32LE(i * MMSGHDR_BYTES + MSG_LEN);
  return length <= room ? length : 'overrun';
}
