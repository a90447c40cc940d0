import type { Log } from '@egressd/daemon/log';
import { sleep } from '@egressd/daemon/sleep';
import { Bug } from '@egressd/flow/bug';
import type { Registry } from 'prom-client';
import type { Series, Snapshot } from '../../aggregate/snapshot.ts';
import type { SinkStateImage } from '../../sinks/delivery/sink-state-image.ts';
import { StateFile } from '../file.ts';
import { type CapturedCheckpoint, CheckpointFile, type SavedSnapshot } from './checkpoint-file.ts';
import { type Checkpoint, type CountedImage, encodeCheckpoint, encodeCounted } from './format.ts';
import { createCheckpointMetrics } from './metrics.ts';

/** Its file in the state directory. */
export const CHECKPOINT_NAME = 'checkpoint';
/** A longer file is neither written nor read. `npm run bench` measures how many bytes a series takes: this is room for millions. */
const MAX_CHECKPOINT_BYTES = 1024 * 1024 * 1024;
/** The disk may fail for so long before the state is degraded: until then nothing is sent or committed. */
const GRACE_MS = 60_000;
/** Between two attempts to write, while it fails. */
const RETRY_MS = 2000;

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
 *             completed   |   requested one capture completes all requests up to it; one is written at a time
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
  readonly #file: CheckpointFile;
  readonly #closing = new AbortController();
  readonly #waiters = new Set<Waiter>();
  #snapshot: (SavedSnapshot & { readonly series: readonly Series[]; readonly counted: Buffer }) | undefined;
  #sinks: ReadonlyMap<string, ImagedSink> = new Map();
  #started = false;
  #requested = 0;
  #completed = 0;
  #working: Promise<void> | undefined;

  constructor(options: CheckpointStoreOptions) {
    this.#options = options;
    this.ephemeral = options.ephemeral;
    const { folder, log, registry, graceMs = GRACE_MS } = options;
    const file = options.file ?? new StateFile(folder, CHECKPOINT_NAME, MAX_CHECKPOINT_BYTES);
    this.#file = new CheckpointFile({ file, metrics: createCheckpointMetrics(registry), log, graceMs });
  }

  /** The newest snapshot on the disk; undefined: none of this process. */
  get saved(): SavedSnapshot | undefined {
    return this.#file.saved;
  }

  /** The disk fails for longer than the grace period: nothing of this process is on it. */
  get degraded(): boolean {
    return this.#file.degraded;
  }

  /** Reads the checkpoint of the process before; undefined: there is none that can be used. */
  load(): Promise<Checkpoint | undefined> {
    return this.#file.load();
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
    return (await last) && !this.degraded;
  }

  #work(): void {
    if (this.#started && this.#completed < this.#requested) this.#working ??= this.#writeRequested();
  }

  async #writeRequested(): Promise<void> {
    while (this.#completed < this.#requested) {
      // After the turn of the event loop in which all sinks absorb the snapshot and request.
      await Promise.resolve();
      const request = this.#requested;
      if (await this.#file.save(() => this.#capture())) {
        this.#complete(request, true);
        this.#options.onChange();
      } else if (this.#closing.signal.aborted) this.#complete(request, false);
      else await sleep(this.#options.retryMs ?? RETRY_MS, this.#closing.signal);
    }
    this.#working = undefined;
  }

  #capture(): CapturedCheckpoint {
    if (this.#snapshot === undefined) throw new Bug('a checkpoint before the first snapshot');
    const { timeMs, position, series, counted } = this.#snapshot;
    const sinks = new Map(Array.from(this.#sinks, ([name, sink]) => [name, sink.image(series)]));
    return { timeMs, position, pieces: encodeCheckpoint(counted, sinks) };
  }

  #complete(request: number, durable: boolean): void {
    this.#completed = request;
    for (const waiter of this.#waiters) if (waiter.request <= request) waiter.end(durable);
  }
}
