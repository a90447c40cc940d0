import type { Log } from '@egressd/daemon/log';
import type { FlowTable } from './flow-table/flow-table.ts';
import type { Epoch } from './state/epoch.ts';
import { type FrozenBatch, renumbered } from './state/frozen-batch.ts';
import type { State } from './state/state.ts';
import type { Stream } from './stream/stream.ts';

export interface HandOverOptions {
  readonly stream: Pick<Stream, 'send' | 'begin'>;
  readonly epoch: Epoch;
  /** Keeps what was counted, so that another process can go on; undefined: nothing is kept. */
  readonly state?: Pick<State, 'handOver' | 'begin' | 'writing' | 'wantsWhole' | 'hurry'> | undefined;
  readonly log: Log;
}

/**
 * The last step of a turn: a batch is kept, with what was counted of the connections until it was frozen, and then sent.
 *
 *   batch ─┬─> state ──kept──> stream
 *   table ─┘
 */
export class HandOver {
  readonly #options: HandOverOptions;
  #done: Promise<void> = Promise.resolve();
  #reepoch = false;
  /** What a process before had counted is the base of what this one counts. */
  #restored = false;

  constructor(options: HandOverOptions) {
    this.#options = options;
  }

  /** The one before is still being written: what moves meanwhile has to wait. */
  get busy(): boolean {
    return this.#options.state?.writing ?? false;
  }

  /** The state wants an image of all connections, even if no batch goes with it. */
  get wantsImage(): boolean {
    const { state } = this.#options;
    return state?.writing === false && state.wantsWhole;
  }

  /** Resolves when the last one is kept and sent. */
  get done(): Promise<void> {
    return this.#done;
  }

  /** The connections were restored: they go on from what the exporter may have had. */
  restored(): void {
    this.#restored = true;
  }

  /** The process is about to end: a disk that fails is waited for no longer. */
  hurry(): void {
    this.#options.state?.hurry();
  }

  /**
   * Sends a batch once it is kept. It has just been frozen: what it holds, and what the table says was counted, are of one instant.
   * Reading goes on while they are written.
   * @param batch undefined: nothing moved, only the image is wanted
   * @param sinceMs where the span of the next batch begins
   */
  give(batch: FrozenBatch | undefined, table: FlowTable, sinceMs: number): void {
    const { stream, state, epoch } = this.#options;
    if (state === undefined) {
      if (batch !== undefined) stream.send(batch);
      return;
    }
    const whole = state.wantsWhole;
    const words = table.image(whole);
    const { firstReadNs, baseline, backwards } = table;
    const image = { whole, number: epoch.last, sinceMs, firstReadNs, baseline, backwards, words };
    this.#done = state.handOver(batch, image).then((mayBeSent) => {
      // Given back at once: left to the garbage collector, several would be in memory together.
      words.buffer.transfer(0);
      if (batch !== undefined && mayBeSent) stream.send(batch);
    });
  }

  /**
   * Begins another epoch: the exporter has batches of the present one that were not sent from here, so what was restored is older
   * than what it has. If connections went on from there, what moved since is in part what it has had, and is dropped. If they began
   * afresh, what moved is new and goes out under new numbers.
   * @param dropPending drops what is in no batch yet
   */
  async renumber(dropPending: () => void): Promise<void> {
    if (this.#reepoch) return;
    this.#reepoch = true;
    await this.#done;
    const { stream, epoch, state, log } = this.#options;
    const dropped = { batches: 0, flow_bytes: 0 };
    const batches = stream.begin((batch, number) => {
      if (!this.#restored) return renumbered(batch, number);
      dropped.batches++;
      dropped.flow_bytes += batch.flowBytes;
      return undefined;
    });
    if (this.#restored) dropPending();
    this.#restored = false;
    epoch.begin(batches.length);
    log.error('the exporter has batches that the state directory does not know of: a new epoch begins', dropped);
    if (state !== undefined) this.#done = state.begin(epoch.name, batches, dropped.batches);
    await this.#done;
    this.#reepoch = false;
  }
}
