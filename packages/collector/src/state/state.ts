import { type Log, LogLimiter } from '@egressd/daemon/log';
import { Bug } from '@egressd/flow/bug';
import { encodeBatchFile } from './batch-file.ts';
import { type ConnectionsImage, encodeConnections, encodeFrame, type Identity } from './connections-file.ts';
import type { Disk } from './disk.ts';
import type { FrozenBatch } from './frozen-batch.ts';
import type { StateMetrics } from './metrics.ts';
import { batchName, CONNECTIONS } from './restore.ts';

/** How long batches wait for a disk that fails, and how long until it is tried again: milliseconds. */
export interface StateTiming {
  readonly graceMs: number;
  readonly retryMs: number;
  /** A hand-over that takes longer is said. */
  readonly slowMs: number;
  /** The same once nothing is kept any more: all has to be written then. */
  readonly retryWholeMs: number;
}

export const STATE_TIMING: StateTiming = { graceMs: 30_000, retryMs: 1_000, slowMs: 15_000, retryWholeMs: 15_000 };
/** Changes may take as much room as the whole image that they follow, and a small one this much. */
const MIN_FRAMES_BYTES = 1024 * 1024;

export interface StateOptions {
  readonly disk: Disk;
  readonly identity: Omit<Identity, 'source'>;
  /** Which table is read, now: it may change while the collector runs. */
  readonly source: () => string;
  /** Batches that are in the directory. */
  readonly batches: readonly FrozenBatch[];
  /** The connections were restored: their file is there. */
  readonly restored: boolean;
  readonly metrics: StateMetrics;
  readonly log: Log;
  readonly timing?: Partial<StateTiming>;
  /** Monotonic milliseconds; `performance.now` outside tests. */
  readonly now?: () => number;
}

/**
 * The state directory of a collector at work:
 *
 *   connections   | head | whole image | changes | changes | ...      replaced by a new whole one before the changes outgrow it
 *   batches/41    frozen, and not committed as far as is known here
 *   batches/42
 *
 * What is written in which order, and why that is exact: see `restore`. A disk that fails holds up batches for `graceMs`; then the
 * connections' file is removed, so that a restart does not take it for the present, and batches go out all the same. Tried now and
 * then, the first whole image that can be written makes the state good again.
 */
export class State {
  readonly #disk: Disk;
  readonly #metrics: StateMetrics;
  readonly #log: Log;
  readonly #timing: StateTiming;
  readonly #now: () => number;
  readonly #logLimiter = new LogLimiter();
  readonly #source: () => string;
  #identity: Identity;
  /** Length of `connections`, and of its whole image; 0: there is none of this process. */
  #length = 0;
  #wholeLength = 0;
  /** There is one, of this process or the one before, that says what was counted in all batches that were sent. */
  #valid: boolean;
  /** Batches in the directory, with the lengths of their messages. */
  readonly #kept = new Map<number, number>();
  /** Batches that are not, and that the exporter has not committed. In order. */
  #unkept: FrozenBatch[] = [];
  #writing = false;
  #ending = false;
  /** Since nothing is kept: when to try again. */
  #retryAt: number | undefined;
  #removing: Promise<void> = Promise.resolve();
  #wake: (() => void) | undefined;

  constructor(options: StateOptions) {
    this.#disk = options.disk;
    this.#metrics = options.metrics;
    this.#log = options.log;
    this.#source = options.source;
    this.#identity = { ...options.identity, source: options.source() };
    this.#timing = { ...STATE_TIMING, ...options.timing };
    this.#now = options.now ?? (() => performance.now());
    this.#valid = options.restored;
    for (const { number, bytes } of options.batches) this.#kept.set(number, bytes);
    this.#metrics.givenUp(false);
  }

  /** The hand-over before is still on its way to the disk: the next has to wait. */
  get writing(): boolean {
    return this.#writing;
  }

  /** The next image should be whole, also where no batch goes with it. */
  get wantsWhole(): boolean {
    if (this.#source() !== this.#identity.source) return true;
    if (this.#length === 0) return this.#retryAt === undefined || this.#now() >= this.#retryAt;
    return this.#length - this.#wholeLength > Math.max(this.#wholeLength, MIN_FRAMES_BYTES);
  }

  /**
   * Writes a batch, and the connections as they were when it was frozen. Resolves when the disk has it, or was given up.
   * @param batch undefined: nothing moved, only the image is wanted
   * @returns whether the batch may be sent. Not where the process ends while the disk fails: what is kept is of before, and so the next
   *   process counts again what is in the batch
   */
  async handOver(batch: FrozenBatch | undefined, image: ConnectionsImage): Promise<boolean> {
    if (this.#writing) throw new Bug('a hand-over began before the one before it was written');
    this.#writing = true;
    this.#metrics.begun();
    const slow = setTimeout(() => this.#saySlow(), this.#timing.slowMs).unref();
    if (batch !== undefined) this.#unkept.push(batch);
    if (image.whole) this.#identity = { ...this.#identity, source: this.#source() };
    try {
      // While nothing is kept only a whole image can mend that.
      return this.#length > 0 || image.whole ? await this.#writeOrGiveUp(image) : true;
    } finally {
      clearTimeout(slow);
      this.#metrics.ended();
      this.#writing = false;
    }
  }

  /** Batches that nobody will ask for again. */
  forget(numbers: readonly number[]): void {
    const gone = new Set(numbers);
    this.#unkept = this.#unkept.filter(({ number }) => !gone.has(number));
    for (const number of gone) this.#kept.delete(number);
    // Also those that could not be written: a part of them may be there.
    this.#removing = this.#removing.then(() => this.#removeBatches(numbers));
  }

  /**
   * Begins another epoch: nothing that was kept is of use any more. Not while a hand-over is being written.
   * @param batches of that epoch
   * @param dropped how many were not taken over
   */
  async begin(epoch: string, batches: readonly FrozenBatch[], dropped: number): Promise<void> {
    if (this.#writing) throw new Bug('an epoch began while a hand-over was being written');
    this.#writing = true;
    this.#metrics.dropped('ahead', dropped);
    this.#identity = { ...this.#identity, epoch };
    this.#length = 0;
    this.#valid = false;
    this.#unkept = [...batches];
    const kept = [...this.#kept.keys()];
    this.#kept.clear();
    await this.#attempt(() => this.#disk.remove(CONNECTIONS));
    await this.#removing;
    await this.#removeBatches(kept);
    this.#writing = false;
  }

  /** The process is about to end: waits for a disk that fails no longer. */
  hurry(): void {
    this.#ending = true;
    this.#wake?.();
  }

  /** Waits until what was committed is removed. */
  async close(): Promise<void> {
    await this.#removing;
  }

  /** @returns whether the batch may be sent */
  async #writeOrGiveUp(image: ConnectionsImage): Promise<boolean> {
    const began = this.#now();
    for (;;) {
      const error = await this.#attempt(() => this.#write(image));
      if (error === undefined) return true;
      if (this.#ending && this.#valid) return this.#leave();
      const over = this.#ending || this.#now() - began >= this.#timing.graceMs;
      if (over || this.#retryAt !== undefined) {
        await this.#giveUp(error);
        return true;
      }
      await this.#pause(this.#timing.retryMs);
    }
  }

  /** Leaves what is kept as it is. Another image would have to be whole: the changes of this one are in no file. */
  #leave(): boolean {
    this.#length = 0;
    this.#log.warn(
      'the disk fails while the collector ends: the last batch is not sent, the next collector counts it again',
    );
    return false;
  }

  /** @returns what went wrong */
  async #attempt(work: () => Promise<void>): Promise<string | undefined> {
    try {
      await work();
      return undefined;
    } catch (error) {
      const { message = String(error) } = error as Partial<Error>;
      if (error instanceof Bug) throw error;
      this.#metrics.failed();
      this.#logLimiter.limit('failed', (leftOut) =>
        this.#log.error('the state directory cannot be written; is its disk full, or is it not ours to write?', {
          error: message,
          left_out: leftOut,
        }),
      );
      return message;
    }
  }

  #saySlow(): void {
    this.#logLimiter.limit('slow', (leftOut) =>
      this.#log.warn('the disk of the state directory is slow: batches wait for it, reading goes on', {
        left_out: leftOut,
      }),
    );
  }

  /** First the batches, then the image that says that they were counted. */
  async #write(image: ConnectionsImage): Promise<void> {
    let bytes = await this.#writeBatches();
    if (image.whole) {
      const parts = encodeConnections(this.#identity, image);
      await this.#disk.replace(CONNECTIONS, parts);
      this.#length = this.#wholeLength = lengthOf(parts);
      bytes += this.#length;
    } else {
      const parts = encodeFrame(image);
      await this.#disk.append(CONNECTIONS, this.#length, parts);
      this.#length += lengthOf(parts);
      bytes += lengthOf(parts);
    }
    this.#valid = true;
    this.#metrics.written(bytes);
    this.#tellSize();
    if (this.#retryAt === undefined) return;
    this.#retryAt = undefined;
    this.#metrics.givenUp(false);
    this.#log.info('the state directory can be written again: what was counted is kept');
  }

  async #writeBatches(): Promise<number> {
    const { node, epoch } = this.#identity;
    let bytes = 0;
    for (;;) {
      const batch = this.#unkept[0];
      if (batch === undefined) return bytes;
      await this.#disk.writeThrough(batchName(batch.number), encodeBatchFile({ batch, node, epoch }));
      this.#kept.set(batch.number, batch.bytes);
      bytes += batch.bytes;
      if (this.#unkept[0] === batch) this.#unkept.shift();
      // Committed while it was written: it had gone out before.
      else this.forget([batch.number]);
    }
  }

  async #giveUp(error: string): Promise<void> {
    if (this.#retryAt === undefined) {
      this.#metrics.givenUp(true);
      this.#log.error(
        'nothing is kept in the state directory until its disk works again; batches go out all the same',
        {
          error,
        },
      );
    }
    this.#length = 0;
    this.#valid = false;
    this.#retryAt = this.#now() + this.#timing.retryWholeMs;
    await this.#attempt(() => this.#disk.remove(CONNECTIONS));
    this.#tellSize();
  }

  async #removeBatches(numbers: readonly number[]): Promise<void> {
    for (const number of numbers) await this.#attempt(() => this.#disk.remove(batchName(number)));
    this.#tellSize();
  }

  #tellSize(): void {
    let bytes = this.#length;
    for (const length of this.#kept.values()) bytes += length;
    this.#metrics.size(bytes);
  }

  async #pause(ms: number): Promise<void> {
    if (this.#ending) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
