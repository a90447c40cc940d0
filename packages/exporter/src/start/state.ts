import type { Lifecycle } from '@egressd/daemon/lifecycle';
import type { Log } from '@egressd/daemon/log';
import type { Registry } from 'prom-client';
import type { ExporterFlags } from '../flags.ts';
import type { OwnerRegistry } from '../owners/registry.ts';
import { CheckpointStore } from '../state/checkpoint/checkpoint-store.ts';
import { IpHistoryStore } from '../state/ip-history/ip-history-store.ts';
import { Locked, lockFolder } from '../state/lock.ts';

/** Totals, the states of sinks and batch offsets outlive the process where there is a directory. @param onChange what is saved has changed */
export function checkpointStore(
  { stateDir, stateEphemeral }: ExporterFlags,
  registry: Registry,
  log: Log,
  onChange: () => void,
): CheckpointStore | undefined {
  if (stateDir === undefined) return undefined;
  return new CheckpointStore({ folder: stateDir, ephemeral: stateEphemeral, onChange, registry, log });
}

/** The lock of `-state-dir`. Two exporters with one directory would each take the other's totals for their own. */
interface StateDirectoryLock {
  /** Before anything is read there; an exporter that ends is waited for. @throws Locked where it does not end in time */
  acquire(lifecycle: Lifecycle): Promise<void>;
  /** Why the exporter cannot be ready; undefined: the directory is its own, or there is none. */
  notReady(): string | undefined;
}

export function stateDirectoryLock({ stateDir }: ExporterFlags, log: Log): StateDirectoryLock {
  let reason =
    stateDir === undefined ? undefined : 'it waits for the exporter before it to release the state directory';
  return {
    notReady: () => reason,
    acquire: async (lifecycle) => {
      if (stateDir !== undefined) await lockOrWarn(stateDir, log, lifecycle);
      reason = undefined;
    },
  };
}

async function lockOrWarn(folder: string, log: Log, lifecycle: Lifecycle): Promise<void> {
  try {
    const lock = await lockFolder(folder);
    lifecycle.onStop('lock of the state directory', () => lock.release());
  } catch (error) {
    if (error instanceof Locked) throw error;
    const advice = 'make sure that no other exporter uses it';
    log.warn('cannot lock the state directory', { folder, error: String(error), advice });
  }
}

/** Before any source of owners delivers. */
export async function restoreIpHistory(
  { stateDir }: ExporterFlags,
  owners: OwnerRegistry,
  log: Log,
  registry: Registry,
  lifecycle: Lifecycle,
  now: () => number,
): Promise<void> {
  if (stateDir === undefined) return;
  const store = new IpHistoryStore({ folder: stateDir, owners, registry, log, now });
  await store.start();
  lifecycle.onStop('IP history', () => store.close());
}
