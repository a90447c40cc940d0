import { type Log, LogLimiter } from '@egressd/daemon/log';
import { sleep } from '@egressd/daemon/sleep';
import { Bug } from '@egressd/flow/bug';
import { encodeBatchFile } from './batch-file.ts';
import { type ConnectionsImage, encodeConnections, encodeFrame, type Identity } from './connections-file.ts';
import type { Disk } from './disk.ts';
import type { FrozenBatch } from './frozen-batch.ts';
import type { CollectorStateMetrics } from './metrics.ts';
import { batchName, CONNECTIONS } from './restore.ts';

/** Milliseconds. */
interface StateTiming {
  /** How long a hand-over waits for a disk that fails. */
  readonly graceMs: number;
  /** Between two attempts meanwhile. */
  readonly retryMs: number;
  /** A hand-over that takes longer is logged. */
  readonly slowMs: number;
  /** Between two attempts while degraded: everything has to be written then. */
  readonly retryWholeMs: number;
}

const STATE_TIMING: StateTiming = { graceMs: 30_000, retryMs: 1_000, slowMs: 15_000, retryWholeMs: 15_000 };
/** Changes may take as much room as the whole image that they follow, and a small one this much. */
const MIN_FRAMES_BYTES = 1024 * 1024;

interface StateDirectoryOptions {
  readonly disk: Disk;
  readonly identity: Omit<Identity, 'source'>;
  /** Which table is read, now: it may change while the collector runs. */
  readonly source: () => string;
  /** Batches that are in the directory. */
  readonly batches: readonly FrozenBatch[];
  /** The connections were restored: their file is there. */
  readonly restored: boolean;
  readonly metrics: CollectorStateMetrics;
  readonly log: Log;
  readonly timing?: Partial<StateTiming>;
  /** Monotonic milliseconds; `performance.now` outside tests. */
  readonly now?: () => number;
}

/**
 * The state directory (`-state-dir`) of a collector at work:
 *
 *   connections   | head | whole image | changes | changes | ...      replaced by a new whole one before the changes outgrow it
 *   batches/41    frozen, and not committed as far as is known here
 *   batches/42
 *
 * What is written in which order, and why that is exact: see `restore`. A disk that fails holds up batches for `graceMs`; then the
 * state is degraded: the connections' file is removed, so that a restart does not take it for the present, and batches go out all the
 * same. The first whole image that can be written again ends that.
 */
export class StateDirectory {
  readonly #disk: Disk;
  readonly #metrics: CollectorStateMetrics;
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
  readonly #saved = new Map<number, number>();
  /** Batches that are not, and that the exporter has not committed. In order. */
  #unsaved: FrozenBatch[] = [];
  #writing = false;
  readonly #shutdown = new AbortController();
  /** While degraded: when to try again. */
  #retryAt: number | undefined;
  #removing: Promise<void> = Promise.resolve();

  constructor(options: StateDirectoryOptions) {
    this.#disk = options.disk;
    this.#metrics = options.metrics;
    this.#log = options.log;
    this.#source = options.source;
    this.#identity = { ...options.identity, source: options.source() };
    this.#timing = { ...STATE_TIMING, ...options.timing };
    this.#now = options.now ?? (() => performance.now());
    this.#valid = options.restored;
    for (const { number, bytes } of options.batches) this.#saved.set(number, bytes);
    this.#metrics.setDegraded(false);
  }

  /** A hand-over is still on its way to the disk: the next has to wait. */
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
   * Writes a hand-over: a batch, and the connections as they were when it was frozen. Resolves when the disk has it, or the state is
   * degraded.
   * @param batch undefined: nothing moved, only the image is wanted
   * @returns whether the batch may be sent. Not where the process ends while the disk fails: what is saved is of before, and so the
   *   next process counts again what is in the batch
   */
  async save(batch: FrozenBatch | undefined, image: ConnectionsImage): Promise<boolean> {
    if (this.#writing) throw new Bug('a hand-over began before the one before it was written');
    this.#writing = true;
    this.#metrics.startWrite();
    const slow = setTimeout(() => this.#logSlow(), this.#timing.slowMs).unref();
    if (batch !== undefined) this.#unsaved.push(batch);
    if (image.whole) this.#identity = { ...this.#identity, source: this.#source() };
    try {
      // While degraded only a whole image can end that.
      return this.#length > 0 || image.whole ? await this.#writeOrDegrade(image) : true;
    } finally {
      clearTimeout(slow);
      this.#metrics.endWrite();
      this.#writing = false;
    }
  }

  /** Removes batches that were committed or rejected. */
  discard(numbers: readonly number[]): void {
    const gone = new Set(numbers);
    this.#unsaved = this.#unsaved.filter(({ number }) => !gone.has(number));
    for (const number of gone) this.#saved.delete(number);
    // Also those that could not be written: a part of them may be there.
    this.#removing = this.#removing.then(() => this.#removeBatches(numbers));
  }

  /**
   * Begins another epoch: nothing that was saved is of use any more. Not while a hand-over is being written.
   * @param batches of that epoch
   * @param dropped how many were not taken over
   */
  async beginEpoch(epoch: string, batches: readonly FrozenBatch[], dropped: number): Promise<void> {
    if (this.#writing) throw new Bug('an epoch began while a hand-over was being written');
    this.#writing = true;
    this.#metrics.countDropped('ahead', dropped);
    this.#identity = { ...this.#identity, epoch };
    this.#length = 0;
    this.#valid = false;
    this.#unsaved = [...batches];
    const saved = [...this.#saved.keys()];
    this.#saved.clear();
    await this.#attempt(() => this.#disk.remove(CONNECTIONS));
    await this.#removing;
    await this.#removeBatches(saved);
    this.#writing = false;
  }

  /** The process is about to end: a disk that fails is no longer waited for. */
  beginShutdown(): void {
    this.#shutdown.abort();
  }

  /** Waits until what was discarded is removed. */
  async close(): Promise<void> {
    await this.#removing;
  }

  /** @returns whether the batch may be sent */
  async #writeOrDegrade(image: ConnectionsImage): Promise<boolean> {
    const began = this.#now();
    for (;;) {
      const error = await this.#attempt(() => this.#write(image));
      if (error === undefined) return true;
      if (this.#shutdown.signal.aborted && this.#valid) return this.#holdBack();
      const over = this.#shutdown.signal.aborted || this.#now() - began >= this.#timing.graceMs;
      if (over || this.#retryAt !== undefined) {
        await this.#degrade(error);
        return true;
      }
      await sleep(this.#timing.retryMs, this.#shutdown.signal);
    }
  }

  /** Leaves what is saved as it is. Another image would have to be whole: the changes of this one are in no file. */
  #holdBack(): boolean {
    this.#length = 0;
    this.#log.warn(
      'state directory write failed at shutdown, last batch not sent: the next collector counts it again',
      {
        reason: 'held_back',
      },
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
      this.#metrics.countFailed();
      this.#logLimiter.limit('write_failed', (suppressed) =>
        this.#log.error('state directory write failed', {
          reason: 'write_failed',
          error: message,
          advice: 'see whether its disk is full, and the permissions of -state-dir',
          suppressed,
        }),
      );
      return message;
    }
  }

  #logSlow(): void {
    this.#logLimiter.limit('slow', (suppressed) =>
      this.#log.warn('state directory is slow, batches wait for it; reading goes on', {
        reason: 'slow',
        suppressed,
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
    this.#metrics.countWritten(bytes);
    this.#reportSize();
    if (this.#retryAt === undefined) return;
    this.#retryAt = undefined;
    this.#metrics.setDegraded(false);
    this.#log.info('state directory recovered', { reason: 'recovered' });
  }

  async #writeBatches(): Promise<number> {
    const { node, epoch } = this.#identity;
    let bytes = 0;
    for (;;) {
      const batch = this.#unsaved[0];
      if (batch === undefined) return bytes;
      await this.#disk.writeThrough(batchName(batch.number), encodeBatchFile({ batch, node, epoch }));
      this.#saved.set(batch.number, batch.bytes);
      bytes += batch.bytes;
      if (this.#unsaved[0] === batch) this.#unsaved.shift();
      // Committed while it was written: it had gone out before.
      else this.discard([batch.number]);
    }
  }

  async #degrade(error: string): Promise<void> {
    if (this.#retryAt === undefined) {
      this.#metrics.setDegraded(true);
      this.#log.error('state directory degraded: nothing is saved until its disk works again, batches are still sent', {
        reason: 'degraded',
        error,
      });
    }
    this.#length = 0;
    this.#valid = false;
    this.#retryAt = this.#now() + this.#timing.retryWholeMs;
    await this.#attempt(() => this.#disk.remove(CONNECTIONS));
    this.#reportSize();
  }

  async #removeBatches(numbers: readonly number[]): Promise<void> {
    for (const number of numbers) await this.#attempt(() => this.#disk.remove(batchName(number)));
    this.#reportSize();
  }

  #reportSize(): void {
    let bytes = this.#length;
    for (const length of this.#saved.values()) bytes += length;
    this.#metrics.setSize(bytes);
  }
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
