import { netlinkError } from '../../native/netlink-error.ts';
import type { ConntrackSocket } from '../../native/netlink-socket.ts';
import { STRIDE } from '../record.ts';
import type { ReadReport } from '../source.ts';
import { createShapes } from './attributes.ts';
import type { Blocks } from './buffer-pool.ts';
import { type Dump, decodeDatagram, startDump } from './decode.ts';

/** Shapes of entries met so far: one kernel sends the same ones in every dump. */
const SHAPES = createShapes();

/** Dumps of one read, before it is reported as incomplete. */
export const MAX_ATTEMPTS = 3;

/** Asks for a dump of nothing, so that a refusal of the kernel is known before the first read. */
export function probeDump(socket: ConntrackSocket): void {
  const nothing = new Uint32Array(STRIDE);
  const dump = startDump();
  socket.requestDump('none');
  while (!dump.done && dump.errno === 0) {
    for (const [words, length] of received(dump, socket, socket.receive())) {
      dump.count = 0;
      decodeDatagram(dump, words, length, nothing);
    }
  }
  throwDumpError(dump);
}

/** The datagrams that were received, and their lengths; lost ones are recorded in `dump.overrun`. */
function* received(
  dump: Dump,
  socket: ConntrackSocket,
  count: number | 'overrun',
): Iterable<[words: Uint32Array, length: number]> {
  if (count === 'overrun') dump.overrun = true;
  else
    for (let i = 0; i < count; i++) {
      const length = socket.lengthOf(i);
      dump.at = 0;
      if (length === 'overrun') dump.overrun = true;
      else yield [socket.datagrams[i]!, length];
    }
}

/**
 * Dumps the table until a dump is neither interrupted nor overrun, a few times at most.
 * @param drain delivers the DESTROY events that are there: called between receiving and decoding, so that an event goes before what
 *   the kernel wrote after it
 */
export async function readAll(
  socket: ConntrackSocket,
  blocks: Blocks,
  readBuckets: () => number | undefined,
  drain?: () => Promise<void>,
): Promise<ReadReport> {
  const startedMs = Date.now();
  const started = performance.now();
  let interrupted = 0;
  let overrun = 0;
  for (let attempt = 1; ; attempt++) {
    const before = readBuckets();
    const { dump, entries } = await readOnce(socket, blocks, drain);
    // A dump continues at a bucket's number: where the table was resized meanwhile that is another place, without NLM_F_DUMP_INTR.
    if (readBuckets() !== before) dump.interrupted = true;
    if (dump.overrun) overrun++;
    else if (dump.interrupted) interrupted++;
    const complete = !dump.overrun && !dump.interrupted;
    if (!complete && attempt < MAX_ATTEMPTS) continue;
    return {
      complete,
      startedNs: BigInt(startedMs) * 1_000_000n,
      entries,
      skipped: dump.skipped,
      interrupted,
      overrun,
      durationMs: performance.now() - started,
    };
  }
}

/** One dump, always received to its end: only then may the socket be asked for the next. */
async function readOnce(
  socket: ConntrackSocket,
  blocks: Blocks,
  drain: (() => Promise<void>) | undefined,
): Promise<{ dump: Dump; entries: number }> {
  const dump = startDump(SHAPES);
  let entries = 0;
  let block = await blocks.take();
  socket.requestDump('all');
  while (!dump.done && dump.errno === 0) {
    const count = socket.receive();
    await drain?.();
    for (const [words, length] of received(dump, socket, count)) {
      for (;;) {
        decodeDatagram(dump, words, length, blocks.all[block]!);
        if (dump.at >= length) break;
        entries += dump.count;
        blocks.give(block, dump.count);
        dump.count = 0;
        block = await blocks.take();
      }
    }
  }
  blocks.give(block, dump.count);
  throwDumpError(dump);
  return { dump, entries: entries + dump.count };
}

function throwDumpError(dump: Dump): void {
  if (dump.errno !== 0) throw netlinkError('the kernel refused a conntrack dump', dump.errno);
}
