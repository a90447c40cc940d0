import { STRIDE } from '../record.ts';
import type { SkipReason } from '../source.ts';
import { createShapes, type Shapes } from './attributes.ts';
import { decodeEntry } from './entry.ts';

/**
 * A dump as netlink sends it: datagrams of messages, messages of attributes, attributes of attributes. Everything begins at a
 * multiple of four bytes, so it is read as 32-bit words.
 *
 *   datagram   message | message | ...                                              linux/netlink.h
 *   message    length:32 | type:16 flags:16 | sequence:32 | port id:32 | body       struct nlmsghdr
 *   body       family:8 version:8 resource:16 | attribute | attribute | ...         struct nfgenmsg, nfnetlink.h
 *   attribute  length:16 type:16 | payload, padded to four bytes                    struct nlattr
 *
 * Lengths include the header. Headers are in the machine's byte order (little-endian), payloads in network order.
 */
const MESSAGE_HEADER = 16;

/** linux/netlink.h */
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSG_OVERRUN = 4;
const NLM_F_DUMP_INTR = 0x10;
/** `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW`: an entry of a dump. */
const CT_NEW = 0x0100;

/** Where decoding of a dump stands. Counters are of the whole dump; `at` and `count` of its present datagram and block. */
export interface Dump {
  /** Next byte of the datagram. */
  at: number;
  /** Records in the block. */
  count: number;
  /** Sequence number of the dump's messages; undefined before the first. */
  sequence: number | undefined;
  /** The kernel said that this was all. */
  done: boolean;
  /** The table changed under the dump. */
  interrupted: boolean;
  /** Messages were lost or cut off. */
  overrun: boolean;
  /** What the kernel refused the dump with, or 0. */
  errno: number;
  readonly skipped: Record<SkipReason, number>;
  /** Of the entries met so far. */
  readonly shapes: Shapes;
}

/** A dump of which nothing was read yet. @param shapes of the dumps before */
export function startDump(shapes: Shapes = createShapes()): Dump {
  return {
    at: 0,
    count: 0,
    sequence: undefined,
    done: false,
    interrupted: false,
    overrun: false,
    errno: 0,
    skipped: { no_counters: 0, undecodable: 0, loopback: 0 },
    shapes,
  };
}

/**
 * Decodes a datagram from `dump.at` on, until its end (`dump.at` is `length` then) or until the block is full.
 * @param datagram words of the datagram
 * @param length bytes of the datagram
 * @param block where records are appended, from `dump.count` on
 */
export function decodeDatagram(dump: Dump, datagram: Uint32Array, length: number, block: Uint32Array): void {
  const capacity = Math.floor(block.length / STRIDE);
  while (dump.at < length && dump.count < capacity) {
    const at = dump.at;
    const size = at + MESSAGE_HEADER <= length ? datagram[at >> 2]! : 0;
    if (size < MESSAGE_HEADER || size > length - at) {
      // What follows cannot be found any more.
      dump.skipped.undecodable++;
      dump.overrun = true;
      dump.at = length;
      return;
    }
    dump.at = Math.min(at + ((size + 3) & ~3), length);
    decodeMessage(dump, datagram, at, at + size, block);
  }
}

function decodeMessage(dump: Dump, datagram: Uint32Array, at: number, end: number, block: Uint32Array): void {
  const word = at >> 2;
  const typeFlags = datagram[word + 1]!;
  const sequence = datagram[word + 2]!;
  dump.sequence ??= sequence;
  if (sequence !== dump.sequence) return;
  if (((typeFlags >>> 16) & NLM_F_DUMP_INTR) !== 0) dump.interrupted = true;
  const type = typeFlags & 0xffff;
  if (type !== CT_NEW) {
    decodeControl(dump, type, end - at >= 20 ? -(datagram[word + 4]! | 0) : 0);
    return;
  }
  const skipped = decodeEntry(dump.shapes, datagram, word, end - at, block, dump.count * STRIDE);
  if (skipped === undefined) dump.count++;
  else dump.skipped[skipped]++;
}

/** `NLMSG_DONE` and `NLMSG_ERROR` carry an error number, zero where all is well. */
function decodeControl(dump: Dump, type: number, errno: number): void {
  if (type === NLMSG_OVERRUN) dump.overrun = true;
  if (type === NLMSG_DONE) dump.done = true;
  if ((type === NLMSG_DONE || type === NLMSG_ERROR) && errno > 0) dump.errno = errno;
}
