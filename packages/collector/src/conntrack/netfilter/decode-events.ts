import { STRIDE } from '../record.ts';
import type { SkipReason } from '../source.ts';
import type { Shapes } from './attributes.ts';
import { decodeEntry } from './entry.ts';

/** struct nlmsghdr of linux/netlink.h, as in `decode.ts`. */
const MESSAGE_HEADER = 16;
/** `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE` */
const ENDED = 0x0102;

/** Where reading end events stands. Counters only grow; `at` and `count` are of the present datagram and block. */
export interface Ends {
  /** Next byte of the datagram. */
  at: number;
  /** Records in the block. */
  count: number;
  /** Ends that somebody brought about: `conntrack -D`, `-F`. */
  deleted: number;
  readonly skipped: Record<SkipReason, number>;
  readonly shapes: Shapes;
}

/** None read yet. @param shapes of events: not those of dumps, whose entries have other attributes in the same length */
export function startEnds(shapes: Shapes): Ends {
  return { at: 0, count: 0, deleted: 0, skipped: { no_counters: 0, undecodable: 0, loopback: 0 }, shapes };
}

/**
 * Decodes a datagram of end events from `ends.at` on, until its end (`ends.at` is `length` then) or until the block is full. An
 * event is an entry as a dump has it, with its final counters; its port id is that of who deleted it, 0 where it ended by itself.
 */
export function decodeEvents(ends: Ends, datagram: Uint32Array, length: number, block: Uint32Array): void {
  const capacity = Math.floor(block.length / STRIDE);
  while (ends.at < length && ends.count < capacity) {
    const at = ends.at;
    const size = at + MESSAGE_HEADER <= length ? datagram[at >> 2]! : 0;
    if (size < MESSAGE_HEADER || size > length - at) {
      ends.skipped.undecodable++;
      ends.at = length;
      return;
    }
    ends.at = Math.min(at + ((size + 3) & ~3), length);
    decodeEvent(ends, datagram, at >> 2, size, block);
  }
}

function decodeEvent(ends: Ends, datagram: Uint32Array, first: number, bytes: number, block: Uint32Array): void {
  if ((datagram[first + 1]! & 0xffff) !== ENDED) return;
  const skipped = decodeEntry(ends.shapes, datagram, first, bytes, block, ends.count * STRIDE);
  if (skipped === undefined) ends.count++;
  else ends.skipped[skipped]++;
  if (datagram[first + 3] !== 0) ends.deleted++;
}
