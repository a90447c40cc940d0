import { chmod, type FileHandle, mkdir, open } from 'node:fs/promises';
import type { Log } from '@egressd/daemon/log';
import { sleep } from '@egressd/daemon/sleep';
import type { Registry } from 'prom-client';
import { lockFile } from '../native/flock.ts';
import { StateDirectory } from './directory.ts';
import { FolderDisk } from './disk.ts';
import { Epoch } from './epoch.ts';
import { type CollectorStateMetrics, createCollectorStateMetrics } from './metrics.ts';
import { type CurrentIdentity, type Restored, restore } from './restore.ts';

/** The collector before may still be on its way out: it has ten seconds. */
const LOCK_WAIT_MS = 20_000;
const LOCK_RETRY_MS = 100;

/** Where the state is, and what it has to belong to. */
export interface OpenStateOptions {
  /** -state-dir; made where it is missing. undefined: nothing is saved. */
  readonly folder: string | undefined;
  readonly identity: Omit<CurrentIdentity, 'source'>;
  /** Which table is read, now: it may change while the collector runs. */
  readonly source: () => string;
  readonly log: Log;
  readonly registry: Registry;
  /** Aborted when the process is to end. */
  readonly stopping: AbortSignal;
  readonly lockWaitMs?: number;
}

/** What a collector starts with. */
interface OpenedState {
  /** undefined: nothing is saved. */
  readonly state: StateDirectory | undefined;
  readonly restored: Restored | undefined;
  readonly epoch: Epoch;
  close(): Promise<void>;
}

/** Opens the state directory. Where it cannot be used that is logged and counted, and the collector does without. */
export async function openState(options: OpenStateOptions): Promise<OpenedState> {
  const { folder, log, registry, stopping } = options;
  const metrics = createCollectorStateMetrics(registry);
  if (folder === undefined) return withoutState();
  try {
    const lock = await lockFolder(folder, options);
    if (lock === undefined) {
      metrics.countRead('locked');
      const advice = 'end the other collector, then restart';
      log.error('state directory is in use by another collector, going on without', {
        folder,
        outcome: 'locked',
        advice,
      });
      return withoutState();
    }
    try {
      return await openLocked(folder, lock, metrics, options);
    } catch (error) {
      await lock.close();
      throw error;
    }
  } catch (error) {
    if (stopping.aborted) throw error;
    metrics.countRead('unreadable');
    log.error('state directory cannot be used, going on without', {
      folder,
      outcome: 'unreadable',
      error: error instanceof Error ? error.message : String(error),
      advice: 'see its permissions and its disk, then restart',
    });
    return withoutState();
  }
}

function withoutState(): OpenedState {
  return { state: undefined, restored: undefined, epoch: new Epoch(), close: async () => {} };
}

async function openLocked(
  folder: string,
  lock: FileHandle,
  metrics: CollectorStateMetrics,
  { identity, source, log }: OpenStateOptions,
): Promise<OpenedState> {
  const disk = new FolderDisk(folder);
  const restored = await restore(disk, { ...identity, source: source() });
  reportRestored(restored, folder, metrics, log);
  const epoch = new Epoch(restored.epoch);
  const state = new StateDirectory({
    disk,
    identity: { ...identity, epoch: epoch.name },
    source,
    batches: restored.batches,
    restored: restored.connections !== undefined,
    metrics,
    log,
  });
  const close = async () => {
    await state.close();
    await lock.close();
  };
  return { state, restored, epoch, close };
}

/** Makes and locks the folder; waits a while for another collector that has the lock. @returns undefined where it keeps it */
async function lockFolder(folder: string, options: OpenStateOptions): Promise<FileHandle | undefined> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // One that belongs to another user stays as it is.
  await chmod(folder, 0o700).catch(() => {});
  const lock = await open(folder, 'r');
  try {
    if (await waitForLock(lock.fd, folder, options)) return lock;
  } catch (error) {
    await lock.close();
    throw error;
  }
  await lock.close();
  return undefined;
}

async function waitForLock(
  fd: number,
  folder: string,
  { lockWaitMs = LOCK_WAIT_MS, stopping, log }: OpenStateOptions,
): Promise<boolean> {
  const deadline = performance.now() + lockWaitMs;
  for (let logged = false; !lockFile(fd); logged = true) {
    if (performance.now() > deadline) return false;
    if (!logged) log.info('state directory is in use by another collector, waiting for its end', { folder });
    await sleep(LOCK_RETRY_MS, stopping);
    stopping.throwIfAborted();
  }
  return true;
}

function reportRestored(restored: Restored, folder: string, metrics: CollectorStateMetrics, log: Log): void {
  const { outcome, batches, epoch, connections, dropped, notOwn } = restored;
  metrics.countRead(outcome);
  for (const error of notOwn)
    log.error('not a file of the collector in its state directory, put aside', { folder, error });
  for (const [reason, count] of dropped) metrics.countDropped(reason, count);
  const reasons = [...dropped].map(([reason, count]) => `${count} ${reason}`).join(', ');
  if (reasons !== '') log.error('dropped batches of the state directory', { folder, dropped: reasons });
  const fields = { folder, outcome, batches: batches.length, last_batch: epoch?.last };
  if (connections !== undefined) {
    log.info('state restored, connections continue where they were', { ...fields, torn: connections.torn });
  } else if (UNEXPECTED.has(outcome)) {
    log.error('saved connections cannot be used, starting from a baseline; their file is put aside', {
      ...fields,
      file: 'connections.bad',
    });
  } else log.info('no previous state, starting from a baseline', fields);
}

const UNEXPECTED: ReadonlySet<string> = new Set(['foreign', 'version', 'damaged', 'other_node']);
