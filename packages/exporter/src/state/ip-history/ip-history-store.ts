import { type Log, LogLimiter } from '@egressd/daemon/log';
import { Bug } from '@egressd/flow/bug';
import type { Registry } from 'prom-client';
import type { AddressHistory } from '../../owners/history-image.ts';
import { StateFile } from '../file.ts';
import { type Refusal, readHistory, writeHistory } from './format.ts';
import { createHistoryMetrics, type HistoryMetrics } from './metrics.ts';

/** A longer file is neither written nor read: 20,000 pods with a busy hour behind them take some 10 MiB. */
const MAX_HISTORY_BYTES = 64 * 1024 * 1024;
/** It is written so often: after a crash, changes since then are not known. */
export const WRITE_INTERVAL_MS = 60_000;

/** What it needs of the owners. */
export interface Remembering {
  /** Before that there is nothing new to keep. */
  readonly synced: boolean;
  history(nowMs: number): AddressHistory;
  restore(history: AddressHistory): void;
}

export interface KeepOptions {
  /** The state directory; made where it is missing. */
  readonly folder: string;
  /** Before any source has told. */
  readonly owners: Remembering;
  readonly registry: Registry;
  readonly log: Log;
  /** Unix milliseconds; `Date.now` outside tests. */
  readonly now?: () => number;
}

/**
 * Keeps the owners' history in a file: restored at the start, written now and then and at the end. Whatever is wrong with the file or
 * its disk is said and counted, and costs no more than what the history would have told.
 */
export class KeptHistory {
  readonly #options: KeepOptions;
  readonly #now: () => number;
  readonly #file: StateFile;
  readonly #metrics: HistoryMetrics;
  readonly #logLimiter: LogLimiter;
  #timer: NodeJS.Timeout | undefined;
  /** Writes run one after the other. */
  #writing: Promise<void> = Promise.resolve();

  constructor(options: KeepOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#file = new StateFile(options.folder, 'address-history', MAX_HISTORY_BYTES);
    this.#metrics = createHistoryMetrics(options.registry);
    this.#logLimiter = new LogLimiter(this.#now);
  }

  /** Restores what is there, and begins to keep. */
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

  /** Writes it now, unless the owners are not known yet. */
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
      if (bytes === undefined) return this.#metrics.read('none');
      const read = readHistory(bytes);
      if (!read.ok) return await this.#refuse(read.reason);
      owners.restore(read.history);
      this.#metrics.read('restored');
      const { nodes, pods, savedMs } = read.history;
      const age = Math.round((this.#now() - savedMs) / 1000);
      log.info('address history restored', { path, nodes: nodes.length, pods: pods.length, age_s: age });
    } catch (error) {
      this.#metrics.read('unreadable');
      log.error('the address history cannot be read, going on without it; see the permissions of -state-dir', {
        path,
        error: describe(error),
      });
    }
  }

  async #refuse(reason: Refusal): Promise<void> {
    this.#metrics.read(reason);
    const { log } = this.#options;
    const fields = { path: this.#file.path, why: WHY[reason] };
    try {
      const aside = await this.#file.putAside();
      log.error('the address history cannot be used: it is put aside, and a new one begins', { ...fields, aside });
    } catch (error) {
      log.error('the address history cannot be used, and not be put aside either: it will be overwritten', {
        ...fields,
        error: describe(error),
      });
    }
  }

  async #write(): Promise<void> {
    const { owners, log } = this.#options;
    if (!owners.synced) return;
    const now = this.#now();
    try {
      const history = owners.history(now);
      await this.#file.write(writeHistory(history));
      this.#metrics.written(now, history.leftOut);
    } catch (error) {
      this.#metrics.failed();
      this.#logLimiter.limit('failed', (suppressed) =>
        log.error('the address history cannot be written; is the disk full, or is -state-dir not ours to write?', {
          path: this.#file.path,
          error: describe(error),
          suppressed,
        }),
      );
    }
  }
}

const WHY: Readonly<Record<Refusal, string>> = {
  foreign: 'egressd did not write it',
  version: 'another version of egressd wrote it',
  damaged: 'it is cut off or was changed',
};

/** What a failure says, with the file system's code. */
function describe(error: unknown): string {
  const { message = String(error) } = error as Partial<Error>;
  if (error instanceof Bug) throw error;
  return message;
}
