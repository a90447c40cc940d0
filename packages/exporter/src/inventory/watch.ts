import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { Registry } from 'prom-client';
import { MAX_SHOWN } from '../config/issues.ts';
import type { OwnerSource, OwnersState } from '../owners/owner-source.ts';
import { InventoryError, loadInventory } from './load.ts';
import { createInventoryMetrics, type InventoryMetrics } from './metrics.ts';

/** Between a notice of a change and reading the file: a writer that writes it in pieces may be done then. */
const DEBOUNCE_MS = 100;
/** The file is checked so often without a notice: network file systems give none. */
const POLL_MS = 10_000;

interface InventoryOptions {
  readonly path: string;
  /** Where nodes and pods go. */
  readonly owners: OwnerSource;
  readonly registry: Registry;
  readonly log: Log;
  /** Unix milliseconds; `Date.now` outside tests. */
  readonly now?: () => number;
  readonly pollMs?: number;
}

/** An inventory that is watched. */
export interface WatchedInventory {
  close(): Promise<void>;
}

/**
 * Reads the inventory into `owners`, and again whenever it changes: written in place, replaced by a rename, or behind links that
 * are changed as the kubelet changes those of a mounted ConfigMap. A version that cannot be used leaves the previous one in use, and is
 * logged and counted.
 * @throws InventoryError where the first version cannot be used
 */
export async function watchInventory(options: InventoryOptions): Promise<WatchedInventory> {
  const watcher = new InventoryWatcher(options);
  await watcher.start();
  return watcher;
}

class InventoryWatcher implements WatchedInventory {
  readonly #options: InventoryOptions;
  readonly #metrics: InventoryMetrics;
  readonly #logLimiter = new LogLimiter();
  readonly #now: () => number;
  #watcher: FSWatcher | undefined;
  #pollTimer: NodeJS.Timeout | undefined;
  #debounceTimer: NodeJS.Timeout | undefined;
  #fingerprint = '';
  /** Checks run one after the other. */
  #checking: Promise<void> = Promise.resolve();

  constructor(options: InventoryOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#metrics = createInventoryMetrics(options.registry);
  }

  async start(): Promise<void> {
    const { path, pollMs = POLL_MS } = this.#options;
    this.#fingerprint = await fingerprintOf(path);
    this.#apply(await loadInventory(path));
    this.#watchFolder(dirname(path));
    this.#pollTimer = setInterval(() => this.#check(), pollMs);
  }

  async close(): Promise<void> {
    this.#watcher?.close();
    clearInterval(this.#pollTimer);
    clearTimeout(this.#debounceTimer);
    await this.#checking;
  }

  /** The folder, not the file: a file that replaces it by a rename has another inode. */
  #watchFolder(folder: string): void {
    const failed = (error: unknown): void => {
      this.#watcher?.close();
      const fields = { folder, poll_s: POLL_MS / 1000, error: String(error) };
      this.#options.log.warn('cannot watch the folder of the inventory, polling the file', fields);
    };
    try {
      this.#watcher = watch(folder, () => {
        clearTimeout(this.#debounceTimer);
        this.#debounceTimer = setTimeout(() => this.#check(), DEBOUNCE_MS);
      });
      this.#watcher.on('error', failed);
    } catch (error) {
      failed(error);
    }
  }

  #check(): void {
    this.#checking = this.#checking.then(() => this.#reload());
  }

  async #reload(): Promise<void> {
    const { path } = this.#options;
    const fingerprint = await fingerprintOf(path);
    if (fingerprint === this.#fingerprint) return;
    this.#fingerprint = fingerprint;
    try {
      this.#apply(await loadInventory(path));
    } catch (error) {
      if (!(error instanceof InventoryError)) throw error;
      this.#failed(error);
    }
  }

  #apply(state: OwnersState): void {
    const { path, owners, log } = this.#options;
    owners.replace(state, this.#now());
    this.#metrics.countApplied(this.#now());
    log.info('inventory applied', { path, nodes: state.nodes.length, pods: state.pods.length });
  }

  #failed({ mistakes }: InventoryError): void {
    const { path, log } = this.#options;
    this.#metrics.countFailed();
    this.#logLimiter.limit('failed', (suppressed) => {
      const fields = { path, mistakes: mistakes.length, suppressed };
      log.error('inventory reload failed, the previous version stays in use', fields);
      for (const error of mistakes.slice(0, MAX_SHOWN)) log.error('inventory mistake', { error });
    });
  }
}

/** Changes whenever the file does; empty where there is none. */
async function fingerprintOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch {
    return '';
  }
}
