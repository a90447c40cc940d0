import type { Log } from '@egressd/daemon/log';
import type { FlowTable } from './flow-table/flow-table.ts';
import type { StateDirectory } from './state/directory.ts';
import type { Epoch } from './state/epoch.ts';
import { type FrozenBatch, renumbered } from './state/frozen-batch.ts';
import type { Stream } from './stream/stream.ts';

/** What a hand-over works with. */
export interface HandOverOptions {
  readonly stream: Pick<Stream, 'send' | 'beginEpoch'>;
  readonly epoch: Epoch;
  /** Saves what was counted, so that another process can go on; undefined: nothing is saved. */
  readonly state?: Pick<StateDirectory, 'save' | 'beginEpoch' | 'writing' | 'wantsWhole' | 'beginShutdown'> | undefined;
  readonly log: Log;
}

/**
 * The last step of a turn: a batch is saved, with what was counted of the connections until it was frozen, and then sent.
 *
 *   batch ─┬─> state ──saved──> stream
 *   table ─┘
 */
export class HandOver {
  readonly #options: HandOverOptions;
  #done: Promise<void> = Promise.resolve();
  #beginningEpoch = false;
  /** What the process before had counted is the base of what this one counts. */
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

  /** Resolves when the last one is saved and sent. */
  get done(): Promise<void> {
    return this.#done;
  }

  /** The connections were restored: they continue from what the exporter may have had. */
  markRestored(): void {
    this.#restored = true;
  }

  /** The process is about to end: a disk that fails is no longer waited for. */
  beginShutdown(): void {
    this.#options.state?.beginShutdown();
  }

  /**
   * Sends a batch once it is saved. It has just been frozen: what it holds, and what the table says was counted, are of one instant.
   * Reading goes on while they are written.
   * @param batch undefined: nothing moved, only the image is wanted
   * @param sinceMs where the span of the next batch begins
   */
  submit(batch: FrozenBatch | undefined, table: FlowTable, sinceMs: number): void {
    const { stream, state, epoch } = this.#options;
    if (state === undefined) {
      if (batch !== undefined) stream.send(batch);
      return;
    }
    const whole = state.wantsWhole;
    const words = table.image(whole);
    const { baseline, counterDecreases } = table;
    const { firstReadNs, isOpen } = baseline;
    const image = { whole, number: epoch.last, sinceMs, firstReadNs, baseline: isOpen, counterDecreases, words };
    this.#done = state.save(batch, image).then((maySend) => {
      // Given back at once: left to the garbage collector, several would be in memory together.
      words.buffer.transfer(0);
      if (batch !== undefined && maySend) stream.send(batch);
    });
  }

  /**
   * Begins another epoch: the exporter has batches of the present one that were not sent from here, so what was restored is older
   * than what it has. If connections continued from there, what moved since is in part what it has had, and is dropped. If they began
   * with a baseline, what moved is new and goes out under new numbers.
   * @param dropPending drops what is in no batch yet
   */
  async beginEpoch(dropPending: () => void): Promise<void> {
    if (this.#beginningEpoch) return;
    this.#beginningEpoch = true;
    await this.#done;
    const { stream, epoch, state, log } = this.#options;
    const dropped = { batches: 0, flow_bytes: 0 };
    const batches = stream.beginEpoch((batch, number) => {
      if (!this.#restored) return renumbered(batch, number);
      dropped.batches++;
      dropped.flow_bytes += batch.flowBytes;
      return undefined;
    });
    if (this.#restored) dropPending();
    this.#restored = false;
    epoch.begin(batches.length);
    log.error('state directory is behind the exporter, new epoch begun', {
      reason: 'ahead',
      epoch: epoch.name,
      ...dropped,
    });
    if (state !== undefined) this.#done = state.beginEpoch(epoch.name, batches, dropped.batches);
    await this.#done;
    this.#beginningEpoch = false;
  }
}
