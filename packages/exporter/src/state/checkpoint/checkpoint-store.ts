import { type Log, LogLimiter } from '@egressd/daemon/log';
import { sleep } from '@egressd/daemon/sleep';
import { Bug } from '@egressd/flow/bug';
import type { Registry } from 'prom-client';
import type { Position, Series, Snapshot } from '../../aggregate/snapshot.ts';
import type { SinkStateImage } from '../../sinks/delivery/sink-state-image.ts';
import { StateFile } from '../file.ts';
import { UNUSABLE_TEXT, type UnusableReason } from '../file-outcome.ts';
import { type Checkpoint, type CountedImage, decodeCheckpoint, encodeCheckpoint, encodeCounted } from './format.ts';
import { type CheckpointMetrics, createCheckpointMetrics } from './metrics.ts';

/** A longer file is neither written nor read. `npm run bench` says how many bytes a series takes: this is room for millions. */
const MAX_CHECKPOINT_BYTES = 1024 * 1024 * 1024;
/** The disk may fail for so long before the state is degraded: until then nothing is sent or committed. */
const GRACE_MS = 60_000;
/** Between two attempts to write, while it fails. */
const RETRY_MS = 2000;

/** A snapshot that is in a checkpoint on the disk. */
export interface SavedSnapshot {
  readonly timeMs: number;
  readonly position: Position;
}

/** What the checkpoint needs of a sink: its state now, which has absorbed the last snapshot. */
interface ImagedSink {
  image(series: readonly Series[]): SinkStateImage;
}

/** Options of `CheckpointStore`. */
export interface CheckpointStoreOptions {
  /** The state directory; created where it is missing. */
  readonly folder: string;
  /** It is lost with the pod: what only it has is not committed. */
  readonly ephemeral: boolean;
  /** `saved` or `degraded` have changed. */
  readonly onChange: () => void;
  readonly registry: Registry;
  readonly log: Log;
  /** On the disk, except in tests. */
  readonly file?: Pick<StateFile, 'path' | 'read' | 'write' | 'remove' | 'putAside'>;
  readonly graceMs?: number;
  readonly retryMs?: number;
}

/** A caller of `durable`, who waits for request number `request`. */
interface Waiter {
  readonly request: number;
  readonly end: (durable: boolean) => void;
}

/**
 * Saves the exporter's state in one file, so that a kill at any moment costs nothing.
 *
 *   requests  1   2   3   4   5         each asks that the state of its moment is on the disk
 *             completed   |   requested one capture completes all requests until then; one is written at a time
 *                      captured
 *
 * A checkpoint is captured in one turn of the event loop: the totals of the last snapshot, the offsets of the batches in them, and the
 * state of every sink, which has absorbed just that snapshot. Why nothing is lost or counted twice:
 *
 * - A batch is committed once a checkpoint on the disk has it in its totals. What comes after that checkpoint comes again from the
 *   collectors, and no sink has seen it.
 * - A frame is sent once a checkpoint on the disk has it (see `SinkDelivery`). So whatever a sink has ever seen, a restart knows.
 * - There is no log of batches: the collectors keep them until the checkpoint that has them. They are the log.
 *
 * A disk that fails stops both, and nothing else. After a grace period the state is degraded: the files are removed, so that no later
 * start takes old totals for new ones, and the exporter continues as one without a directory. While that removal fails it waits on. Each
 * further request tries to write again, and waits for the outcome; the first success ends the degradation.
 */
export class CheckpointStore {
  readonly ephemeral: boolean;
  readonly #options: CheckpointStoreOptions;
  readonly #file: NonNullable<CheckpointStoreOptions['file']>;
  readonly #metrics: CheckpointMetrics;
  readonly #logLimiter = new LogLimiter();
  readonly #closing = new AbortController();
  readonly #waiters = new Set<Waiter>();
  #snapshot: (SavedSnapshot & { readonly series: readonly Series[]; readonly counted: Buffer }) | undefined;
  #sinks: ReadonlyMap<string, ImagedSink> = new Map();
  #started = false;
  #requested = 0;
  #completed = 0;
  #working: Promise<void> | undefined;
  #failingSince: number | undefined;
  #saved: SavedSnapshot | undefined;
  #degraded = false;

  constructor(options: CheckpointStoreOptions) {
    this.#options = options;
    this.ephemeral = options.ephemeral;
    this.#file = options.file ?? new StateFile(options.folder, 'checkpoint', MAX_CHECKPOINT_BYTES);
    this.#metrics = createCheckpointMetrics(options.registry);
    this.#metrics.setDegraded(false);
  }

  /** The newest snapshot on the disk; undefined: none of this process. */
  get saved(): SavedSnapshot | undefined {
    return this.#saved;
  }

  /** The disk fails for longer than the grace period: nothing of this process is on it. */
  get degraded(): boolean {
    return this.#degraded;
  }

  /** Reads the checkpoint of the process before; undefined: there is none that can be used. */
  async load(): Promise<Checkpoint | undefined> {
    const { log } = this.#options;
    const { path } = this.#file;
    try {
      const bytes = await this.#file.read();
      if (bytes === undefined) return this.#loaded('none');
      const decoded = decodeCheckpoint(bytes);
      if (decoded.ok) return this.#loaded('restored', decoded.checkpoint);
      await this.#putAside(decoded.reason);
    } catch (error) {
      this.#metrics.countRead('unreadable');
      const advice = 'see the permissions of -state-dir; what was committed and not delivered is lost';
      const fields = { reason: 'unreadable', path, error: describe(error), advice };
      log.error('checkpoint cannot be read, totals start at zero', fields);
    }
    return undefined;
  }

  /**
   * Everything that a checkpoint captures is in place: from now on requests are carried out.
   * @param sinks by name: each has absorbed the last snapshot taken, whenever a checkpoint is captured
   */
  start(
    restored: Checkpoint | undefined,
    series: readonly Series[],
    sinks: ReadonlyMap<string, ImagedSink> = new Map(),
  ): void {
    this.#sinks = sinks;
    if (restored !== undefined) this.#snapshot = { timeMs: 0, position: new Map(), series, counted: restored.counted };
    this.#started = true;
    this.#work();
  }

  /** Takes a snapshot, which every sink absorbs within this turn of the event loop, and requests to have it on the disk. */
  take({ timeMs, position, series }: Snapshot, counted: CountedImage): void {
    this.#snapshot = { timeMs, position, series, counted: encodeCounted(counted) };
    this.#requested++;
    this.#work();
  }

  /**
   * Resolves with true once the state of now is on the disk, or is not to be waited for (`degraded`); with false where the signal comes
   * first.
   */
  durable(signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const stop = () => waiter.end(false);
    const waiter: Waiter = {
      request: ++this.#requested,
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

  /** Writes a last checkpoint, for at most `deadlineMs`. Nothing may change any more. @returns whether it is on the disk */
  async close(deadlineMs: number): Promise<boolean> {
    const last = this.durable(AbortSignal.timeout(deadlineMs));
    this.#closing.abort();
    return (await last) && !this.#degraded;
  }

  #work(): void {
    if (this.#started && this.#completed < this.#requested) this.#working ??= this.#writeRequested();
  }

  async #writeRequested(): Promise<void> {
    while (this.#completed < this.#requested) {
      // After the turn of the event loop in which all sinks absorb the snapshot and request.
      await Promise.resolve();
      const request = this.#requested;
      const done = await this.#attempt(request);
      if (!done && this.#closing.signal.aborted) this.#complete(request, false);
      else if (!done) await sleep(this.#options.retryMs ?? RETRY_MS, this.#closing.signal);
    }
    this.#working = undefined;
  }

  /** @returns whether the request is completed: written, or degraded */
  async #attempt(request: number): Promise<boolean> {
    const started = performance.now();
    try {
      const { timeMs, position, pieces } = this.#capture();
      await this.#file.write(...pieces);
      const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
      this.#metrics.countWritten(Date.now(), bytes, (performance.now() - started) / 1000);
      this.#saved = { timeMs, position };
      this.#recovered();
    } catch (error) {
      this.#metrics.countFailed();
      this.#logFailed(error);
      if (!(await this.#degrade())) return false;
    }
    this.#complete(request, true);
    this.#options.onChange();
    return true;
  }

  #capture(): SavedSnapshot & { readonly pieces: readonly Buffer[] } {
    if (this.#snapshot === undefined) throw new Bug('a checkpoint before the first snapshot');
    const { timeMs, position, series, counted } = this.#snapshot;
    const sinks = new Map(Array.from(this.#sinks, ([name, sink]) => [name, sink.image(series)]));
    return { timeMs, position, pieces: encodeCheckpoint(counted, sinks) };
  }

  #complete(request: number, durable: boolean): void {
    this.#completed = request;
    for (const waiter of this.#waiters) if (waiter.request <= request) waiter.end(durable);
  }

  #recovered(): void {
    if (this.#failingSince === undefined) return;
    this.#failingSince = undefined;
    this.#setDegraded(false);
    this.#options.log.info('checkpoint writes recovered', { reason: 'recovered', path: this.#file.path });
  }

  /** After a failed write. @returns whether the exporter continues without the disk: after the grace period, once the file is gone */
  async #degrade(): Promise<boolean> {
    this.#failingSince ??= performance.now();
    if (performance.now() - this.#failingSince < (this.#options.graceMs ?? GRACE_MS)) return false;
    try {
      await this.#file.remove();
    } catch (error) {
      this.#setDegraded(false);
      this.#logBlocked(error);
      return false;
    }
    this.#setDegraded(true);
    return true;
  }

  #setDegraded(degraded: boolean): void {
    this.#metrics.setDegraded(degraded);
    if (degraded && !this.#degraded)
      this.#options.log.error('state directory degraded, continuing without it', {
        reason: 'degraded',
        path: this.#file.path,
        advice: 'a restart now starts at zero; every checkpoint tries to write again',
      });
    this.#degraded = degraded;
  }

  #logBlocked(error: unknown): void {
    this.#logLimiter.limit('blocked', (suppressed) =>
      this.#options.log.error('checkpoint can be neither written nor removed, nothing is sent or committed', {
        reason: 'blocked',
        path: this.#file.path,
        error: describe(error),
        advice:
          'repair the disk; or stop the exporter, remove the file where that is possible, and start it without -state-dir',
        suppressed,
      }),
    );
  }

  #logFailed(error: unknown): void {
    this.#logLimiter.limit('write_failed', (suppressed) =>
      this.#options.log.error('checkpoint write failed', {
        reason: 'write_failed',
        path: this.#file.path,
        error: describe(error),
        advice: 'see whether the disk is full, and the permissions of -state-dir',
        suppressed,
      }),
    );
  }

  #loaded(outcome: 'none' | 'restored', checkpoint?: Checkpoint): Checkpoint | undefined {
    this.#metrics.countRead(outcome);
    if (checkpoint === undefined) return undefined;
    const { totals, nodes, sinks } = checkpoint;
    this.#metrics.setRestored(totals.ids.length);
    this.#options.log.info('checkpoint restored', {
      path: this.#file.path,
      series: totals.ids.length,
      nodes: nodes.length,
      sinks: sinks.size,
      written: new Date(totals.timeMs).toISOString(),
    });
    return checkpoint;
  }

  async #putAside(reason: UnusableReason): Promise<void> {
    this.#metrics.countRead(reason);
    const aside = await this.#file.putAside();
    this.#options.log.error('checkpoint is unusable and put aside, totals start at zero', {
      reason,
      path: this.#file.path,
      error: UNUSABLE_TEXT[reason],
      aside,
      advice: 'what was committed and not delivered is lost; collectors send the rest again',
    });
  }
}

/** The message of an error; with a stack where the program itself is wrong. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error instanceof Bug || error instanceof TypeError ? (error.stack ?? error.message) : error.message;
}
