/** The netlink socket of DESTROY events: opened by libnetfilter_conntrack too, received from without waiting. */
import { fstatSync } from 'node:fs';
import { openLibc } from './library.ts';
import { netlinkError } from './netlink-error.ts';
import { getsockopt, openNetlink, SOL_SOCKET, setsockopt } from './netlink-socket.ts';
import { lengthOf, MSG_DONTWAIT, receive, receiveMemory } from './recvmmsg.ts';

/**
 * Bytes of events that the kernel may queue for us; it doubles them for its own bookkeeping. 1,280 bytes of that for an event of 244: some
 * hundred thousand of them.
 */
export const EVENT_BUFFER_BYTES = 64 * 1024 * 1024;

/** `NF_NETLINK_CONNTRACK_DESTROY` of linux/netfilter/nfnetlink_compat.h, as a bit. */
const DESTROY = 4;
/** Received by one call at most. The kernel sends one event a datagram, of some three hundred bytes. */
const DATAGRAMS = 64;
const DATAGRAM_BYTES = 2048;
/** asm-generic/socket.h */
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
/** linux/socket.h, linux/netlink.h */
const SOL_NETLINK = 270;
const NETLINK_BROADCAST_ERROR = 4;

/** A socket that the kernel sends a DESTROY event to for every connection that leaves its table. */
export interface EventSocket {
  readonly fd: number;
  /** Its inode, by which `/proc/net/netlink` lists it. */
  readonly inode: number;
  /** The datagrams of the last `receive`, as words. */
  readonly datagrams: readonly Uint32Array[];
  /** Receives what is there, without waiting. @returns how many datagrams, or `'overrun'` where some were lost */
  receive(): number | 'overrun';
  /** The length of a received datagram in bytes; 0 where it is not the kernel's, `'overrun'` where it was cut off. */
  lengthOf(datagram: number): number | 'overrun';
  close(): void;
}

/**
 * Opens one in the network namespace of the calling thread. `NETLINK_LISTEN_ALL_NSID` stays off: it would bring the events
 * of pods' own tables too.
 * @param bufferBytes of events that the kernel may queue
 */
export function openEventSocket(bufferBytes: number): EventSocket {
  const { fd, close } = openNetlink(DESTROY);
  // Beyond the system's limit where the kernel allows it, else up to it: then overruns come sooner, and are counted.
  if (!setNumber(fd, SOL_SOCKET, SO_RCVBUFFORCE, bufferBytes)) setNumber(fd, SOL_SOCKET, SO_RCVBUF, bufferBytes);
  const memory = receiveMemory(DATAGRAMS, DATAGRAM_BYTES);
  return {
    fd,
    inode: fstatSync(fd).ino,
    datagrams: memory.datagrams,
    receive() {
      const received = receive(fd, memory, MSG_DONTWAIT);
      return received === 'nothing' ? 0 : received;
    },
    lengthOf: (i) => lengthOf(memory, i),
    close() {
      close();
      memory.free();
    },
  };
}

/**
 * With `on` the kernel keeps an entry until its DESTROY event has been queued on this socket: nothing is lost, and without a reader
 * the node's table fills with dead entries.
 * @param fd of an event socket; may be one that was inherited
 */
export function setLossless(fd: number, on: boolean): void {
  openLibc();
  const value = Buffer.alloc(4);
  value.writeInt32LE(on ? 1 : 0);
  const { value: result, errnoCode } = setsockopt(fd, SOL_NETLINK, NETLINK_BROADCAST_ERROR, value, value.length);
  if (result !== 0) throw netlinkError('cannot set NETLINK_BROADCAST_ERROR on the socket of DESTROY events', errnoCode);
}

/** Whether `setLossless` is on: a watchdog in another process may have turned it off. */
export function isLossless(fd: number): boolean {
  const value = Buffer.alloc(4);
  const length = Buffer.alloc(4);
  length.writeInt32LE(value.length);
  const { value: result } = getsockopt(fd, SOL_NETLINK, NETLINK_BROADCAST_ERROR, value, length);
  return result === 0 && value.readInt32LE() !== 0;
}

function setNumber(fd: number, level: number, option: number, number: number): boolean {
  const value = Buffer.alloc(4);
  value.writeInt32LE(number);
  return setsockopt(fd, level, option, value, value.length).value === 0;
}
