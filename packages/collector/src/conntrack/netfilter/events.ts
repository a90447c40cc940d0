import type { EventSocket } from '../../native/event-socket.ts';
import type { EventLossReport } from '../source.ts';
import { createShapes } from './attributes.ts';
import type { Blocks } from './buffer-pool.ts';
import { decodeDestroyEvents, newDestroyEvents } from './decode-events.ts';

/**
 * Receive calls of one drain: some thousand events. Where more are coming all the time, a dump goes on between two drains; the
 * socket's buffer holds the rest.
 */
const MAX_RECEIVES = 256;

/**
 * Reads DESTROY events from their socket into blocks, between two dumps and between two datagrams of one.
 *
 *   event socket ──> datagrams ──decode──> block ──> main thread
 *   64 MiB in the kernel: what is queued while all blocks are on their way
 *
 * An event that the kernel sent before it wrote a dump's datagram is delivered before the records of that datagram: so the caller
 * drains after it received, and before it decodes.
 */
export class EventReader {
  readonly #socket: EventSocket;
  readonly #blocks: Blocks;
  #events = newDestroyEvents(createShapes());
  readonly #drops: () => number | undefined;
  readonly #mayLose: () => boolean;
  #draining: Promise<void> | undefined;
  #overruns = 0;
  #lost = 0;

  /**
   * @param drops events that the kernel dropped since the socket was opened; undefined where it does not say
   * @param mayLose false: an event that found no room is kept by the kernel and sent again (lossless)
   */
  constructor(
    socket: EventSocket,
    blocks: Blocks,
    drops: () => number | undefined,
    mayLose: () => boolean = () => true,
  ) {
    this.#socket = socket;
    this.#blocks = blocks;
    this.#drops = drops;
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

  /** What went wrong since the last report, or undefined. To be called between two drains. */
  report(): EventLossReport | undefined {
    const { deleted, skipped, shapes } = this.#events;
    const overruns = this.#overruns;
    if (deleted + overruns + Object.values(skipped).reduce((sum, count) => sum + count) === 0) return undefined;
    this.#events = newDestroyEvents(shapes);
    this.#overruns = 0;
    return { deleted, overruns, lost: overruns === 0 ? 0 : this.#newlyLost(), gaps: 0, skipped };
  }

  #newlyLost(): number {
    const before = this.#lost;
    this.#lost = this.#drops() ?? before;
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
    const events = this.#events;
    let block = first;
    for (let i = 0; i < received; i++) {
      const length = this.#socket.lengthOf(i);
      events.at = 0;
      if (length === 'overrun') events.skipped.undecodable++;
      else
        for (;;) {
          decodeDestroyEvents(events, this.#socket.datagrams[i]!, length, this.#blocks.all[block]!);
          if (events.at >= length) break;
          this.#give(block);
          block = await this.#blocks.take();
        }
    }
    return block;
  }

  #give(block: number): void {
    this.#blocks.give(block, this.#events.count);
    this.#events.count = 0;
  }
}
