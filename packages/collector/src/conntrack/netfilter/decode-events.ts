import { STRIDE } from '../record.ts';
import type { SkipReason } from '../source.ts';
import type { Shapes } from './attributes.ts';
import { decodeEntry } from './entry.ts';

/** struct nlmsghdr of linux/netlink.h, as in `decode.ts`. */
const MESSAGE_HEADER = 16;
/** `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE`: the DESTROY event of `conntrack -E`, nfnetlink_conntrack.h. */
const CT_DELETE = 0x0102;

/** Where decoding of DESTROY events stands. Counters only grow; `at` and `count` are of the present datagram and block. */
interface DestroyEvents {
  /** Next byte of the datagram. */
  at: number;
  /** Records in the block. */
  count: number;
  /** Connections deleted by a process: `conntrack -D`, `-F`. */
  deleted: number;
  readonly skipped: Record<SkipReason, number>;
  readonly shapes: Shapes;
}

/** None decoded yet. @param shapes of events: not those of dumps, whose entries have other attributes in the same length */
export function newDestroyEvents(shapes: Shapes): DestroyEvents {
  return { at: 0, count: 0, deleted: 0, skipped: { no_counters: 0, undecodable: 0, loopback: 0 }, shapes };
}

/**
 * Decodes a datagram of DESTROY events from `events.at` on, until its end (`events.at` is `length` then) or until the block is full.
 * An event is an entry as a dump has it, with its final counters; its port id is that of the process that deleted it, 0 where it
 * closed or expired.
 */
export function decodeDestroyEvents(
  events: DestroyEvents,
  datagram: Uint32Array,
  length: number,
  block: Uint32Array,
): void {
  const capacity = Math.floor(block.length / STRIDE);
  while (events.at < length && events.count < capacity) {
    const at = events.at;
    const size = at + MESSAGE_HEADER <= length ? datagram[at >> 2]! : 0;
    if (size < MESSAGE_HEADER || size > length - at) {
      events.skipped.undecodable++;
      events.at = length;
      return;
    }
    events.at = Math.min(at + ((size + 3) & ~3), length);
    decodeEvent(events, datagram, at >> 2, size, block);
  }
}

function decodeEvent(
  events: DestroyEvents,
  datagram: Uint32Array,
  first: number,
  bytes: number,
  block: Uint32Array,
): void {
  if ((datagram[first + 1]! & 0xffff) !== CT_DELETE) return;
  const skipped = decodeEntry(events.shapes, datagram, first, bytes, block, events.count * STRIDE);
  if (skipped === undefined) events.count++;
  else events.skipped[skipped]++;
  if (datagram[first + 3] !== 0) events.deleted++;
}
