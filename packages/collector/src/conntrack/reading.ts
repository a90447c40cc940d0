import { type Dump, decodeDatagram, startDump } from './decode.ts';
import { type ConntrackSocket, kernelError } from './ffi.ts';
import { STRIDE } from './record.ts';
import type { ReadReport } from './source.ts';

/** Dumps of one read, before it is reported as incomplete. */
export const MAX_ATTEMPTS = 3;

/** Where decoded blocks go, and where empty ones come from, by number: waits while all are on their way. */
export interface Blocks {
  readonly all: readonly Uint32Array[];
  take(): number | Promise<number>;
  give(block: number, count: number): void;
}

/** Asks for a dump of nothing, so that a refusal is known before the first read. */
export function probe(socket: ConntrackSocket): void {
  const words = wordsOf(socket);
  const nothing = new Uint32Array(STRIDE);
  const dump = startDump();
  socket.requestDump('none');
  while (!dump.done && dump.errno === 0) {
    const length = socket.receive();
    dump.at = 0;
    dump.count = 0;
    if (length !== 'overrun') decodeDatagram(dump, words, length, nothing);
  }
  throwRefusal(dump);
}

/** Dumps the table until a dump is neither interrupted nor overrun, a few times at most. */
export async function readAll(
  socket: ConntrackSocket,
  blocks: Blocks,
  readBuckets: () => number | undefined,
): Promise<ReadReport> {
  const startedMs = Date.now();
  const started = performance.now();
  let interrupted = 0;
  let overrun = 0;
  for (let attempt = 1; ; attempt++) {
    const before = readBuckets();
    const { dump, entries } = await readOnce(socket, blocks);
    // A dump goes on at a bucket's number: where the table was resized meanwhile that is another place, and nothing says so.
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
async function readOnce(socket: ConntrackSocket, blocks: Blocks): Promise<{ dump: Dump; entries: number }> {
  const words = wordsOf(socket);
  const dump = startDump();
  let entries = 0;
  let block = await blocks.take();
  socket.requestDump('all');
  while (!dump.done && dump.errno === 0) {
    const length = socket.receive();
    if (length === 'overrun') {
      dump.overrun = true;
      continue;
    }
    dump.at = 0;
    for (;;) {
      decodeDatagram(dump, words, length, blocks.all[block]!);
      if (dump.at >= length) break;
      entries += dump.count;
      blocks.give(block, dump.count);
      dump.count = 0;
      block = await blocks.take();
    }
  }
  blocks.give(block, dump.count);
  throwRefusal(dump);
  return { dump, entries: entries + dump.count };
}

function throwRefusal(dump: Dump): void {
  if (dump.errno !== 0) throw kernelError('the kernel refused a conntrack dump', dump.errno);
}

function wordsOf({ datagram }: ConntrackSocket): Uint32Array {
  return new Uint32Array(datagram.buffer, datagram.byteOffset, datagram.length >> 2);
}
