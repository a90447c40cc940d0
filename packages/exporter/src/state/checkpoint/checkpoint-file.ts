import { type Log, LogLimiter } from '@egressd/daemon/log';
import { NotOwnFileError } from '@egressd/daemon/own-file';
import { Bug } from '@egressd/flow/bug';
import type { Position } from '../../aggregate/snapshot.ts';
import type { StateFile } from '../file.ts';
import { UNUSABLE_TEXT, type UnusableReason } from '../file-outcome.ts';
import { type Checkpoint, decodeCheckpoint } from './format.ts';
import type { CheckpointMetrics } from './metrics.ts';

/** A snapshot that is in a checkpoint on the disk. */
export interface SavedSnapshot {
  readonly timeMs: number;
  readonly position: Position;
}

/** A checkpoint to write, and the snapshot in it. */
export interface CapturedCheckpoint extends SavedSnapshot {
  readonly pieces: readonly Buffer[];
}

interface CheckpointFileOptions {
  readonly file: Pick<StateFile, 'path' | 'read' | 'write' | 'remove' | 'putAside'>;
  readonly metrics: CheckpointMetrics;
  readonly log: Log;
  /** The disk may fail for so long before the state is degraded. */
  readonly graceMs: number;
}

/**
 * The checkpoint on the disk, and what a failing disk means:
 *
 *   works ──write fails──> failing ──grace period over, file removed──> degraded
 *     ^                      │ ^                                         │ │
 *     │                      │ └───write fails, file cannot be removed───┘ │
 *     └────write succeeds────┴─────────────────────────────────────────────┘
 *
 * Degraded, the exporter continues as one without a state directory: the file is removed, so that no later start takes old totals for new
 * ones.
 */
export class CheckpointFile {
  readonly #options: CheckpointFileOptions;
  readonly #logLimiter = new LogLimiter();
  #failingSince: number | undefined;
  #saved: SavedSnapshot | undefined;
  #degraded = false;

  constructor(options: CheckpointFileOptions) {
    this.#options = options;
    options.metrics.setDegraded(false);
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
    const { file, metrics, log } = this.#options;
    try {
      const bytes = await file.read();
      if (bytes === undefined) {
        metrics.countRead('none');
        return undefined;
      }
      const decoded = decodeCheckpoint(bytes);
      if (decoded.ok) return this.#restored(decoded.checkpoint);
      await this.#putAside(decoded.reason);
    } catch (error) {
      if (error instanceof NotOwnFileError) {
        await this.#putAside('foreign', error.message);
        return undefined;
      }
      metrics.countRead('unreadable');
      const advice = 'see the permissions of -state-dir; what was committed and not delivered is lost';
      const fields = { reason: 'unreadable', path: file.path, error: describe(error), advice };
      log.error('checkpoint cannot be read, totals start at zero', fields);
    }
    return undefined;
  }

  /** Writes a checkpoint. @returns false where the write is to be repeated; true: it is on the disk, or the state is degraded */
  async save(capture: () => CapturedCheckpoint): Promise<boolean> {
    const started = performance.now();
    const { file, metrics } = this.#options;
    try {
      const { timeMs, position, pieces } = capture();
      await file.write(...pieces);
      const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
      metrics.countWritten(Date.now(), bytes, (performance.now() - started) / 1000);
      this.#saved = { timeMs, position };
      this.#recovered();
      return true;
    } catch (error) {
      metrics.countFailed();
      this.#logFailed(error);
      return await this.#degrade();
    }
  }

  #recovered(): void {
    if (this.#failingSince === undefined) return;
    this.#failingSince = undefined;
    this.#setDegraded(false);
    const { log, file } = this.#options;
    log.info('checkpoint writes recovered', { reason: 'recovered', path: file.path });
  }

  /** After a failed write. @returns whether the state is degraded: after the grace period, once the file is removed */
  async #degrade(): Promise<boolean> {
    this.#failingSince ??= performance.now();
    if (performance.now() - this.#failingSince < this.#options.graceMs) return false;
    try {
      await this.#options.file.remove();
    } catch (error) {
      this.#setDegraded(false);
      this.#logBlocked(error);
      return false;
    }
    this.#setDegraded(true);
    return true;
  }

  #setDegraded(degraded: boolean): void {
    const { log, file, metrics } = this.#options;
    metrics.setDegraded(degraded);
    if (degraded && !this.#degraded)
      log.error('state directory degraded, continuing without it', {
        reason: 'degraded',
        path: file.path,
        advice: 'a restart now starts at zero; every checkpoint tries to write again',
      });
    this.#degraded = degraded;
  }

  #logBlocked(error: unknown): void {
    const { log, file } = this.#options;
    this.#logLimiter.limit('blocked', (suppressed) =>
      log.error('checkpoint can be neither written nor removed, nothing is sent or committed', {
        reason: 'blocked',
        path: file.path,
        error: describe(error),
        advice:
          'repair the disk; or stop the exporter, remove the file where that is possible, and start it without -state-dir',
        suppressed,
      }),
    );
  }

  #logFailed(error: unknown): void {
    const { log, file } = this.#options;
    this.#logLimiter.limit('write_failed', (suppressed) =>
      log.error('checkpoint write failed', {
        reason: 'write_failed',
        path: file.path,
        error: describe(error),
        advice: 'see whether the disk is full, and the permissions of -state-dir',
        suppressed,
      }),
    );
  }

  #restored(checkpoint: Checkpoint): Checkpoint {
    const { log, file, metrics } = this.#options;
    const { totals, nodes, sinks } = checkpoint;
    metrics.countRead('restored');
    metrics.setRestored(totals.ids.length);
    log.info('checkpoint restored', {
      path: file.path,
      series: totals.ids.length,
      nodes: nodes.length,
      sinks: sinks.size,
      written: new Date(totals.timeMs).toISOString(),
    });
    return checkpoint;
  }

  async #putAside(reason: UnusableReason, error: string = UNUSABLE_TEXT[reason]): Promise<void> {
    const { log, file, metrics } = this.#options;
    metrics.countRead(reason);
    const aside = await file.putAside();
    log.error('checkpoint is unusable and put aside, totals start at zero', {
      reason,
      path: file.path,
      error,
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
