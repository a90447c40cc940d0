import { type FSWatcher, watch } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { Registry } from 'prom-client';
import type { OwnerSource, OwnersState } from '../owners/registry.ts';
import { type InventoryMetrics, inventoryMetrics } from './metrics.ts';
import { readInventory } from './read.ts';

/** A longer file is not read. */
export const MAX_INVENTORY_BYTES = 32 * 1024 * 1024;
/** Mistakes that are said of one version; the rest is only counted. */
const MAX_SAID = 20;
/** After a change the file is left alone for this long: who writes it in pieces may be done then. */
const SETTLE_MS = 100;
/** Without any notice of a change (network file systems give none) the file is looked at this often. */
const POLL_MS = 10_000;

export interface InventoryOptions {
  readonly path: string;
  /** Where what is read goes. */
  readonly owners: OwnerSource;
  readonly registry: Registry;
  readonly log: Log;
  /** Unix milliseconds; `Date.now` outside tests. */
  readonly now?: () => number;
  readonly pollMs?: number;
}

/** The inventory cannot be used: every mistake in it, a line each. */
export class InventoryError extends Error {
  override readonly name = 'InventoryError';
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(mistakes.join('\n'));
    this.mistakes = mistakes;
  }
}

/**
 * Reads an inventory once.
 * @throws InventoryError naming file, line, path and what was expected
 */
export async function loadInventory(path: string): Promise<OwnersState> {
  const read = readInventory(await readText(path));
  if (!read.ok) throw new InventoryError(read.mistakes.map((mistake) => `${path}: ${mistake}`));
  return read.state;
}

/** Everything that is wrong with an inventory, a line each; nothing where there is none. */
export async function inventoryMistakes(path: string | undefined): Promise<readonly string[]> {
  if (path === undefined) return [];
  try {
    await loadInventory(path);
    return [];
  } catch (error) {
    if (error instanceof InventoryError) return error.mistakes;
    throw error;
  }
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_INVENTORY_BYTES)
      throw new InventoryError([`${path}: is ${size} bytes long, at most ${MAX_INVENTORY_BYTES} are read`]);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof InventoryError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new InventoryError([`${path}: cannot read the inventory: ${READ_ERRORS[code] ?? code}`]);
  }
}

const READ_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
};

/** An inventory that is watched. */
export interface WatchedInventory {
  close(): Promise<void>;
}

/**
 * Reads the inventory into `owners` and again whenever it changes: written in place, replaced by a rename, or behind links that
 * are changed as Kubernetes changes those of a mounted ConfigMap. A version that cannot be used leaves the last one in place, and
 * is told and counted.
 * @throws InventoryError where the first version cannot be used
 */
export async function watchInventory(options: InventoryOptions): Promise<WatchedInventory> {
  const watched = new Watched(options);
  await watched.start();
  return watched;
}

class Watched implements WatchedInventory {
  readonly #options: InventoryOptions;
  readonly #metrics: InventoryMetrics;
  readonly #logLimiter = new LogLimiter();
  readonly #now: () => number;
  #watcher: FSWatcher | undefined;
  #poll: NodeJS.Timeout | undefined;
  #settle: NodeJS.Timeout | undefined;
  #seen = '';
  /** Looks run one after the other. */
  #looking: Promise<void> = Promise.resolve();

  constructor(options: InventoryOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#metrics = inventoryMetrics(options.registry);
  }

  async start(): Promise<void> {
    const { path, pollMs = POLL_MS } = this.#options;
    this.#seen = await fingerprint(path);
    this.#apply(await loadInventory(path));
    this.#watchFolder(dirname(path));
    this.#poll = setInterval(() => this.#look(), pollMs);
  }

  async close(): Promise<void> {
    this.#watcher?.close();
    clearInterval(this.#poll);
    clearTimeout(this.#settle);
    await this.#looking;
  }

  /** The folder, not the file: a file that takes its place by a rename is another one. */
  #watchFolder(folder: string): void {
    const givenUp = (error: unknown): void => {
      this.#watcher?.close();
      const fields = { folder, every: `${POLL_MS / 1000}s`, error: String(error) };
      this.#options.log.warn('cannot watch the folder of the inventory, looking at the file now and then', fields);
    };
    try {
      this.#watcher = watch(folder, () => {
        clearTimeout(this.#settle);
        this.#settle = setTimeout(() => this.#look(), SETTLE_MS);
      });
      this.#watcher.on('error', givenUp);
    } catch (error) {
      givenUp(error);
    }
  }

  #look(): void {
    this.#looking = this.#looking.then(() => this.#lookNow());
  }

  async #lookNow(): Promise<void> {
    const { path } = this.#options;
    const found = await fingerprint(path);
    if (found === this.#seen) return;
    this.#seen = found;
    try {
      this.#apply(await loadInventory(path));
    } catch (error) {
      if (!(error instanceof InventoryError)) throw error;
      this.#keepOld(error);
    }
  }

  #apply(state: OwnersState): void {
    const { path, owners, log } = this.#options;
    owners.replace(state, this.#now());
    this.#metrics.applied(this.#now());
    log.info('inventory read', { path, nodes: state.nodes.length, pods: state.pods.length });
  }

  #keepOld({ mistakes }: InventoryError): void {
    this.#metrics.refused();
    this.#logLimiter.limit('refused', (suppressed) => {
      const fields = { mistakes: mistakes.length, suppressed };
      this.#options.log.error('the new inventory cannot be used, the last one stays in use; correct the file', fields);
      for (const mistake of mistakes.slice(0, MAX_SAID)) this.#options.log.error(mistake);
    });
  }
}

/** Changes whenever the file does; empty where there is none. */
async function fingerprint(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch {
    return '';
  }
}
