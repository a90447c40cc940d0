import { chmod, type FileHandle, mkdir, open } from 'node:fs/promises';
import type { Log } from '@egressd/daemon/log';
import { sleep } from '@egressd/daemon/sleep';
import type { Registry } from 'prom-client';
import { lockFile } from '../native/flock.ts';
import { FolderDisk } from './disk.ts';
import { Epoch } from './epoch.ts';
import { createStateMetrics, type StateMetrics } from './metrics.ts';
import { type Here, type Restored, restore } from './restore.ts';
import { State } from './state.ts';

/** The collector before may still be on its way out: it has ten seconds. */
const LOCK_WAIT_MS = 20_000;
const LOCK_RETRY_MS = 100;

export interface OpenStateOptions {
  /** -state-dir; made where it is missing. undefined: nothing is kept. */
  readonly folder: string | undefined;
  readonly here: Omit<Here, 'source'>;
  /** Which table is read, now: it may change while the collector runs. */
  readonly source: () => string;
  readonly log: Log;
  readonly registry: Registry;
  /** Aborted when the process is to end. */
  readonly stopping: AbortSignal;
  readonly lockWaitMs?: number;
}

/** What a collector starts with. */
export interface OpenedState {
  /** undefined: nothing is kept. */
  readonly state: State | undefined;
  readonly restored: Restored | undefined;
  readonly epoch: Epoch;
  close(): Promise<void>;
}

/** Opens the state directory. Where it cannot be used that is said and counted, and the collector does without. */
export async function openState(options: OpenStateOptions): Promise<OpenedState> {
  const { folder, here, source, log, registry } = options;
  const metrics = createStateMetrics(registry);
  const nothing = { state: undefined, restored: undefined, epoch: new Epoch(), close: async () => {} };
  if (folder === undefined) return nothing;
  let lock: FileHandle | undefined;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // Where it is somebody else's it may stay as it is.
    await chmod(folder, 0o700).catch(() => {});
    lock = await open(folder, 'r');
    if (!(await locked(lock.fd, options))) {
      metrics.read('locked');
      log.error('another collector uses the state directory: going on without; end the other one, then restart', {
        folder,
      });
      await lock.close();
      return nothing;
    }
    const disk = new FolderDisk(folder);
    const restored = await restore(disk, { ...here, source: source() });
    report(restored, folder, metrics, log);
    const epoch = new Epoch(restored.epoch);
    const identity = { ...here, epoch: epoch.name };
    const state = new State({
      disk,
      identity,
      source,
      batches: restored.batches,
      restored: restored.connections !== undefined,
      metrics,
      log,
    });
    const close = async () => {
      await state.close();
      await lock?.close();
    };
    return { state, restored, epoch, close };
  } catch (error) {
    await lock?.close();
    if (options.stopping.aborted) throw error;
    metrics.read('unreadable');
    log.error('the state directory cannot be used: going on without; see its permissions and its disk, then restart', {
      folder,
      error: error instanceof Error ? error.message : String(error),
    });
    return nothing;
  }
}

/** Takes the lock, or waits a while for whoever has it. */
async function locked(
  fd: number,
  { lockWaitMs = LOCK_WAIT_MS, stopping, log, folder }: OpenStateOptions,
): Promise<boolean> {
  const deadline = performance.now() + lockWaitMs;
  for (let said = false; !lockFile(fd); said = true) {
    if (performance.now() > deadline) return false;
    if (!said) log.info('another collector still uses the state directory: waiting for its end', { folder });
    await sleep(LOCK_RETRY_MS, stopping);
    stopping.throwIfAborted();
  }
  return true;
}

function report(restored: Restored, folder: string, metrics: StateMetrics, log: Log): void {
  const { outcome, batches, epoch, connections, dropped } = restored;
  metrics.read(outcome);
  for (const [reason, count] of dropped) metrics.dropped(reason, count);
  const fields = { folder, outcome, batches: batches.length, last_batch: epoch?.last };
  const lost = [...dropped].map(([reason, count]) => `${count} ${reason}`).join(', ');
  if (lost !== '') log.error('batches in the state directory cannot be sent', { folder, dropped: lost });
  if (connections !== undefined) {
    log.info('what was counted is restored: connections go on where they were', {
      ...fields,
      torn: connections.torn,
    });
  } else if (WORTH_A_WARNING.has(outcome)) {
    log.error(
      'what was counted cannot be used: connections begin afresh; its file is put aside (connections.bad)',
      fields,
    );
  } else log.info('connections begin afresh', fields);
}

const WORTH_A_WARNING: ReadonlySet<string> = new Set(['foreign', 'version', 'damaged', 'other_node']);
