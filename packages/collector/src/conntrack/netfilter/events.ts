import type { EventSocket } from '../../native/event-socket.ts';
import type { EndsReport } from '../source.ts';
import { createShapes } from './attributes.ts';
import { decodeEvents, startEnds } from './decode-events.ts';
import type { Blocks } from './dump.ts';

/**
 * Receive calls of one drain: some thousand events. Where more are coming all the time, a dump goes on between two drains; the
 * socket's buffer holds the rest.
 */
const MAX_RECEIVES = 256;

/**
 * Reads the ends of connections from the event socket into blocks, between two dumps and between two datagrams of one.
 *
 *   event socket ──> datagrams ──decode──> block ──> main thread
 *   64 MiB in the kernel: what waits while all blocks are on their way
 *
 * What the kernel told before it wrote a dump's datagram is delivered before the records of that datagram: so whoever drains after
 * it received, and before it decodes.
 */
export class EndReader {
  readonly #socket: EventSocket;
  readonly #blocks: Blocks;
  #ends = startEnds(createShapes());
  readonly #lostInAll: () => number | undefined;
  readonly #mayLose: () => boolean;
  #draining: Promise<void> | undefined;
  #overruns = 0;
  #lost = 0;

  /**
   * @param lostInAll events that the kernel dropped since the socket was opened; undefined where it does not say
   * @param mayLose the kernel does not keep what it could not tell
   */
  constructor(
    socket: EventSocket,
    blocks: Blocks,
    lostInAll: () => number | undefined,
    mayLose: () => boolean = () => true,
  ) {
    this.#socket = socket;
    this.#blocks = blocks;
    this.#lostInAll = lostInAll;
    this.#mayLose = mayLose;
  }

  /** Delivers what is there. Where a drain is under way, it is that one. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined;
    });
    return this.#draining;
  }

  /** Resolves when no drain is under way. */
  async drained(): Promise<void> {
    await this.#draining;
  }

  /** What there is to say since the last report, or undefined. To be asked between two drains. */
  report(): EndsReport | undefined {
    const { deleted, skipped, shapes } = this.#ends;
    const overruns = this.#overruns;
    if (deleted + overruns + Object.values(skipped).reduce((sum, count) => sum + count) === 0) return undefined;
    this.#ends = startEnds(shapes);
    this.#overruns = 0;
    return { deleted, overruns, lost: overruns === 0 ? 0 : this.#newlyLost(), gaps: 0, skipped };
  }

  #newlyLost(): number {
    const before = this.#lost;
    this.#lost = this.#lostInAll() ?? before;
    return this.#lost - before;
  }

  async #drain(): Promise<void> {
    let block = -1;
    for (let receives = 0; receives < MAX_RECEIVES; receives++) {
      const received = this.#socket.receive();
      if (received === 0) break;
      if (received === 'overrun') this.#overruns += this.#mayLose() ? 1 : 0;
      else {
        if (block < 0) block = await this.#blocks.take();
        block = await this.#decode(received, block);
      }
    }
    if (block >= 0) this.#give(block);
  }

  /** @returns the block that is being filled now */
  async #decode(received: number, first: number): Promise<number> {
    const ends = this.#ends;
    let block = first;
    for (let i = 0; i < received; i++) {
      const length = this.#socket.lengthOf(i);
      ends.at = 0;
      if (length === 'overrun') ends.skipped.undecodable++;
      else
        for (;;) {
          decodeEvents(ends, this.#socket.datagrams[i]!, length, this.#blocks.all[block]!);
          if (ends.at >= length) break;
          this.#give(block);
          block = await this.#blocks.take();
        }
    }
    return block;
  }

  #give(block: number): void {
    this.#blocks.give(block, this.#ends.count);
    this.#ends.count = 0;
  }
}
