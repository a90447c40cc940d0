import { type Log, LogLimiter } from '@egressd/daemon/log';
import { NotOwnFileError } from '@egressd/daemon/own-file';
import { Bug } from '@egressd/flow/bug';
import type { Registry } from 'prom-client';
import type { IpHistoryImage } from '../../owners/ip-history-image.ts';
import { StateFile } from '../file.ts';
import { UNUSABLE_TEXT, type UnusableReason } from '../file-outcome.ts';
import { decodeIpHistory, encodeIpHistory } from './format.ts';
import { createIpHistoryMetrics, type IpHistoryMetrics } from './metrics.ts';

/** A longer file is neither written nor read: 20,000 pods after a busy hour take some 10 MiB. */
const MAX_HISTORY_BYTES = 64 * 1024 * 1024;
/** Between two writes: after a crash, changes since the last one are not known. */
const WRITE_INTERVAL_MS = 60_000;

/** What the store needs of the owners. */
interface HistoryOwner {
  /** Whether all sources have delivered a first state: before that there is nothing new to save. */
  readonly synced: boolean;
  history(nowMs: number): IpHistoryImage;
  restore(history: IpHistoryImage): void;
}

/** Options of `IpHistoryStore`. */
interface IpHistoryStoreOptions {
  /** The state directory; created where it is missing. */
  readonly folder: string;
  /** Before any source has delivered its first state. */
  readonly owners: HistoryOwner;
  readonly registry: Registry;
  readonly log: Log;
  /** Unix milliseconds; `Date.now` outside tests. */
  readonly now?: () => number;
}

/**
 * Saves the owners' IP history in a file: restored at the start, written every minute and at the end. A failure of the file or its disk
 * is logged and counted, and costs no more than the history itself.
 */
export class IpHistoryStore {
  readonly #options: IpHistoryStoreOptions;
  readonly #now: () => number;
  readonly #file: StateFile;
  readonly #metrics: IpHistoryMetrics;
  readonly #logLimiter: LogLimiter;
  #timer: NodeJS.Timeout | undefined;
  /** Writes run one after the other. */
  #writing: Promise<void> = Promise.resolve();

  constructor(options: IpHistoryStoreOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#file = new StateFile(options.folder, 'ip-history', MAX_HISTORY_BYTES);
    this.#metrics = createIpHistoryMetrics(options.registry);
    this.#logLimiter = new LogLimiter(this.#now);
  }

  /** Restores what is there, and starts to write. */
  async start(): Promise<void> {
    await this.#restore();
    let busy = false;
    this.#timer = setInterval(async () => {
      if (busy) return;
      busy = true;
      await this.write();
      busy = false;
    }, WRITE_INTERVAL_MS);
  }

  /** Writes it now, unless the owners are not synced. */
  write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** Writes it a last time. */
  close(): Promise<void> {
    clearInterval(this.#timer);
    return this.write();
  }

  async #restore(): Promise<void> {
    const { owners, log } = this.#options;
    const { path } = this.#file;
    try {
      const bytes = await this.#file.read();
      if (bytes === undefined) return this.#metrics.countRead('none');
      const decoded = decodeIpHistory(bytes);
      if (!decoded.ok) return await this.#putAside(decoded.reason);
      owners.restore(decoded.history);
      this.#metrics.countRead('restored');
      const { nodes, pods, savedMs } = decoded.history;
      const age = Math.round((this.#now() - savedMs) / 1000);
      log.info('IP history restored', { path, nodes: nodes.length, pods: pods.length, age_s: age });
    } catch (error) {
      if (error instanceof NotOwnFileError) return await this.#putAside('foreign', error.message);
      this.#metrics.countRead('unreadable');
      const advice = 'see the permissions of -state-dir';
      const fields = { reason: 'unreadable', path, error: describe(error), advice };
      log.error('IP history cannot be read, starting without it', fields);
    }
  }

  async #putAside(reason: UnusableReason, error: string = UNUSABLE_TEXT[reason]): Promise<void> {
    this.#metrics.countRead(reason);
    const aside = await this.#file.putAside();
    const fields = { reason, path: this.#file.path, error, aside };
    this.#options.log.error('IP history is unusable and put aside, starting without it', fields);
  }

  async #write(): Promise<void> {
    const { owners } = this.#options;
    if (!owners.synced) return;
    const now = this.#now();
    try {
      const history = owners.history(now);
      await this.#file.write(encodeIpHistory(history));
      this.#metrics.countWritten(now, history.leftOut);
    } catch (error) {
      this.#metrics.countFailed();
      this.#logFailed(error);
    }
  }

  #logFailed(error: unknown): void {
    this.#logLimiter.limit('write_failed', (suppressed) =>
      this.#options.log.error('IP history write failed', {
        reason: 'write_failed',
        path: this.#file.path,
        error: describe(error),
        advice: 'see whether the disk is full, and the permissions of -state-dir',
        suppressed,
      }),
    );
  }
}

/** The message of an error. @throws Bug as it is */
function describe(error: unknown): string {
  const { message = String(error) } = error as Partial<Error>;
  if (error instanceof Bug) throw error;
  return message;
}
