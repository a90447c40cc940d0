import { type Log, LogLimiter } from '@egressd/daemon/log';
import { sleep } from '@egressd/daemon/sleep';
import { Bug } from '@egressd/flow/bug';
import type { Registry } from 'prom-client';
import type { Position, Series, Snapshot } from '../../aggregate/snapshot.ts';
import type { SinkStateImage } from '../../sinks/delivery/sink-state-image.ts';
import { StateFile } from '../file.ts';
import {
  type Checkpoint,
  type CountedImage,
  encodeCheckpoint,
  encodeCounted,
  type Refusal,
  readCheckpoint,
} from './format.ts';
import { type CheckpointMetrics, createCheckpointMetrics } from './metrics.ts';

/** A longer file is neither written nor read. `npm run bench` says how many bytes a series takes: this is room for millions. */
const MAX_CHECKPOINT_BYTES = 1024 * 1024 * 1024;
/** A disk may fail for so long before the exporter goes on without it: until then nothing is sent nor committed. */
export const GRACE_MS = 60_000;
/** Pause between two attempts to write, while it fails. */
const RETRY_MS = 2000;

/** A snapshot that a checkpoint holds. */
export interface Kept {
  readonly timeMs: number;
  readonly position: Position;
}

/** What it asks of a sink. */
interface Books {
  image(series: readonly Series[]): SinkStateImage;
}

export interface KeepOptions {
  /** The state directory; made where it is missing. */
  readonly folder: string;
  /** It goes with the pod: what it alone has is not to be committed. */
  readonly ephemeral: boolean;
  /** By name. Their books are those of the last snapshot taken, or later. */
  readonly sinks: ReadonlyMap<string, Books>;
  /** `kept` or `givenUp` have changed. */
  readonly onChange: () => void;
  readonly registry: Registry;
  readonly log: Log;
  /** On the disk, except in tests. */
  readonly file?: Pick<StateFile, 'path' | 'read' | 'write' | 'remove' | 'putAside'>;
  readonly graceMs?: number;
  readonly retryMs?: number;
}

/** Somebody who waits until what was there when they asked is on the disk. */
interface Waiter {
  readonly wish: number;
  readonly end: (durable: boolean) => void;
}

/**
 * Keeps the exporter's state in one file, so that a kill at any moment costs nothing.
 *
 *   wishes   1   2   3   4   5          each is an instant: "what is there now is to be on the disk"
 *            kept    |   newest         one capture fulfils all wishes until then; one is written at a time
 *                  captured
 *
 * A checkpoint is captured in one turn of the event loop: the totals of the last snapshot, which batches are in them, and the books of
 * every sink, which have absorbed just that snapshot. The reasoning:
 *
 * - A batch is committed once a checkpoint on the disk has it in its totals. What comes after that checkpoint comes again from the
 *   collectors, and nobody has seen it.
 * - A frame is sent once a checkpoint on the disk has it (see `Delivery`). So whatever a sink has ever seen, a restart knows.
 * - There is no log of batches: the collectors keep them until the checkpoint that holds them. They are the log.
 *
 * A disk that fails stops both, and nothing else. After a grace the state is given up: the files are removed, so that no later start can
 * take old totals for new ones, and the exporter goes on as one without a directory. While that removal fails it waits on. Each further
 * wish tries to write again, and waits for how it ends; the first that succeeds makes all as before.
 */
export class KeptCheckpoint {
  readonly ephemeral: boolean;
  readonly #options: KeepOptions;
  readonly #file: NonNullable<KeepOptions['file']>;
  readonly #metrics: CheckpointMetrics;
  readonly #logLimiter = new LogLimiter();
  readonly #closing = new AbortController();
  readonly #waiters = new Set<Waiter>();
  #snapshot: (Kept & { readonly series: readonly Series[]; readonly counted: Buffer }) | undefined;
  #begun = false;
  #newest = 0;
  #fulfilled = 0;
  #working: Promise<void> | undefined;
  #failingSince: number | undefined;
  #kept: Kept | undefined;
  #givenUp = false;

  constructor(options: KeepOptions) {
    this.#options = options;
    this.ephemeral = options.ephemeral;
    this.#file = options.file ?? new StateFile(options.folder, 'checkpoint', MAX_CHECKPOINT_BYTES);
    this.#metrics = createCheckpointMetrics(options.registry);
    this.#metrics.givenUp(false);
  }

  /** The newest snapshot that is on the disk; undefined: none of this life's. */
  get kept(): Kept | undefined {
    return this.#kept;
  }

  /** The disk is not to be relied on now: nothing of this life is on it. */
  get givenUp(): boolean {
    return this.#givenUp;
  }

  /** The state of the life before; undefined: there is none that can be used. */
  async load(): Promise<Checkpoint | undefined> {
    const { log } = this.#options;
    const { path } = this.#file;
    try {
      const bytes = await this.#file.read();
      if (bytes === undefined) return this.#loaded('none');
      const read = readCheckpoint(bytes);
      if (read.ok) return this.#loaded('restored', read.checkpoint);
      await this.#refuse(read.reason);
    } catch (error) {
      this.#metrics.read('unreadable');
      const advice =
        'totals begin at zero, and what was committed and not delivered is lost; see the permissions of -state-dir';
      log.error('the checkpoint cannot be read', { path, error: describe(error), advice });
    }
    return undefined;
  }

  /** Everything is there that a checkpoint captures: from now on wishes are fulfilled. */
  begin(restored: Checkpoint | undefined, series: readonly Series[]): void {
    if (restored !== undefined) this.#snapshot = { timeMs: 0, position: new Map(), series, counted: restored.counted };
    this.#begun = true;
    this.#work();
  }

  /** A snapshot was taken: every sink absorbs it within this turn of the event loop. Wishes to have it on the disk. */
  take({ timeMs, position, series }: Snapshot, counted: CountedImage): void {
    this.#snapshot = { timeMs, position, series, counted: encodeCounted(counted) };
    this.#newest++;
    this.#work();
  }

  /**
   * Resolves with true once what is there now is on the disk, or is not to be waited for (`givenUp`); with false where the signal comes
   * first.
   */
  durable(signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const stop = () => waiter.end(false);
    const waiter: Waiter = {
      wish: ++this.#newest,
      end: (durable) => {
        signal.removeEventListener('abort', stop);
        this.#waiters.delete(waiter);
        resolve(durable);
      },
    };
    this.#waiters.add(waiter);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    this.#work();
    return promise;
  }

  /** Writes a last one, for at most `deadlineMs`. Nothing may change any more. @returns whether it is on the disk */
  async close(deadlineMs: number): Promise<boolean> {
    const last = this.durable(AbortSignal.timeout(deadlineMs));
    this.#closing.abort();
    return (await last) && !this.#givenUp;
  }

  #work(): void {
    if (this.#begun && this.#fulfilled < this.#newest) this.#working ??= this.#fulfil();
  }

  async #fulfil(): Promise<void> {
    while (this.#fulfilled < this.#newest) {
      // Behind the turn of the event loop in which everybody absorbs and asks.
      await Promise.resolve();
      const wish = this.#newest;
      const done = await this.#attempt(wish);
      if (!done && this.#closing.signal.aborted) this.#end(wish, false);
      else if (!done) await sleep(this.#options.retryMs ?? RETRY_MS, this.#closing.signal);
    }
    this.#working = undefined;
  }

  /** @returns whether whoever waits for the wish may go on */
  async #attempt(wish: number): Promise<boolean> {
    const started = performance.now();
    try {
      const { timeMs, position, pieces } = this.#capture();
      await this.#file.write(...pieces);
      const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
      this.#metrics.written(Date.now(), bytes, (performance.now() - started) / 1000);
      this.#kept = { timeMs, position };
      this.#well();
    } catch (error) {
      this.#metrics.failed();
      this.#tellFailed(error);
      if (!(await this.#mayGoOn())) return false;
    }
    this.#end(wish, true);
    this.#options.onChange();
    return true;
  }

  #capture(): Kept & { readonly pieces: readonly Buffer[] } {
    if (this.#snapshot === undefined) throw new Bug('a checkpoint before the first snapshot');
    const { timeMs, position, series, counted } = this.#snapshot;
    const sinks = new Map(Array.from(this.#options.sinks, ([name, books]) => [name, books.image(series)]));
    return { timeMs, position, pieces: encodeCheckpoint(counted, sinks) };
  }

  #end(wish: number, durable: boolean): void {
    this.#fulfilled = wish;
    for (const waiter of this.#waiters) if (waiter.wish <= wish) waiter.end(durable);
  }

  #well(): void {
    if (this.#failingSince === undefined) return;
    this.#failingSince = undefined;
    this.#setGivenUp(false);
    this.#options.log.info('checkpoints can be written again: a restart goes on from here', { path: this.#file.path });
  }

  /** After a failure. @returns whether to go on without the disk */
  async #mayGoOn(): Promise<boolean> {
    this.#failingSince ??= performance.now();
    if (performance.now() - this.#failingSince < (this.#options.graceMs ?? GRACE_MS)) return false;
    try {
      await this.#file.remove();
    } catch (error) {
      this.#setGivenUp(false);
      this.#logLimiter.limit('stuck', () =>
        this.#options.log.error('nothing is sent nor committed: the checkpoint can neither be written nor removed', {
          path: this.#file.path,
          error: describe(error),
          advice:
            'repair the disk; or stop the exporter, remove the file where that is possible, and start it without -state-dir',
        }),
      );
      return false;
    }
    this.#setGivenUp(true);
    return true;
  }

  #setGivenUp(givenUp: boolean): void {
    this.#metrics.givenUp(givenUp);
    if (givenUp && !this.#givenUp)
      this.#options.log.error('the state directory is given up: the exporter goes on as without one', {
        path: this.#file.path,
        advice: 'a restart now begins at zero; it is tried again with every checkpoint',
      });
    this.#givenUp = givenUp;
  }

  #tellFailed(error: unknown): void {
    this.#logLimiter.limit('failed', (suppressed) =>
      this.#options.log.error(
        'the checkpoint cannot be written; is the disk full, or is -state-dir not ours to write?',
        {
          path: this.#file.path,
          error: describe(error),
          suppressed,
        },
      ),
    );
  }

  #loaded(outcome: 'none' | 'restored', checkpoint?: Checkpoint): Checkpoint | undefined {
    this.#metrics.read(outcome);
    if (checkpoint === undefined) return undefined;
    const { totals, nodes, sinks } = checkpoint;
    this.#metrics.restored(totals.ids.length);
    this.#options.log.info('totals go on from the checkpoint', {
      path: this.#file.path,
      series: totals.ids.length,
      nodes: nodes.length,
      sinks: sinks.size,
      written: new Date(totals.timeMs).toISOString(),
    });
    return checkpoint;
  }

  async #refuse(reason: Refusal): Promise<void> {
    this.#metrics.read(reason);
    const aside = await this.#file.putAside();
    this.#options.log.error('the checkpoint cannot be used: it is put aside, and totals begin at zero', {
      path: this.#file.path,
      why: WHY[reason],
      aside,
      advice: 'what was committed and not delivered is lost; collectors send the rest again',
    });
  }
}

const WHY: Readonly<Record<Refusal, string>> = {
  foreign: 'egressd did not write it',
  version: 'another version of egressd wrote it',
  damaged: 'it is cut off or was changed',
};

/** What a failure says; where the program itself is wrong, where. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error instanceof Bug || error instanceof TypeError ? (error.stack ?? error.message) : error.message;
}
