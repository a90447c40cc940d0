import { stat } from 'node:fs/promises';
import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { Registry } from 'prom-client';
import { loadNetworks, NetworkFileError, type NetworkSettings, networkPaths } from './load.ts';
import { createNetworkMetrics } from './metrics.ts';
import type { Network, Networks } from './network.ts';

/** How often the files are looked at. Networks change seldom, and a mounted ConfigMap takes a minute to change. */
const POLL_MS = 10_000;

interface WatchOptions {
  readonly settings: NetworkSettings;
  readonly registry: Registry;
  readonly log: Log;
  readonly pollMs?: number;
}

/** Networks that are read again when one of their files has changed. */
export interface WatchedNetworks extends Networks {
  close(): Promise<void>;
}

/**
 * Reads the networks, and again whenever a file of them has changed. A version that cannot be used leaves the previous one in use, and is
 * logged and counted.
 * @throws NetworkFileError where the first version cannot be used
 */
export async function watchNetworks(options: WatchOptions): Promise<WatchedNetworks> {
  const { settings, registry, log, pollMs = POLL_MS } = options;
  const paths = networkPaths(settings);
  let fingerprint = await fingerprintOf(paths);
  let current = await loadNetworks(settings);
  const count = createNetworkMetrics(registry, () => current);
  const logLimiter = new LogLimiter();
  const reload = async () => {
    const now = await fingerprintOf(paths);
    if (now === fingerprint) return;
    fingerprint = now;
    try {
      current = await loadNetworks(settings);
      count('applied');
      log.info('networks applied', { ranges: current.ranges });
    } catch (error) {
      if (!(error instanceof NetworkFileError)) throw error;
      count('failed');
      logLimiter.limit('failed', (suppressed) =>
        log.error('reload of networks failed, the previous version stays in use', { error: error.message, suppressed }),
      );
    }
  };
  count('applied');
  if (current.ranges > 0) log.info('networks applied', { ranges: current.ranges });
  let checking: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    checking = checking.then(reload);
  }, pollMs);
  if (paths.length === 0) clearInterval(timer);
  return {
    find: (bytes: Uint8Array, at: number): Network | undefined => current.find(bytes, at),
    async close() {
      clearInterval(timer);
      await checking;
    },
  };
}

/** Changes whenever one of the files does. */
async function fingerprintOf(paths: readonly string[]): Promise<string> {
  const all = paths.map(async (path) => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    } catch {
      return '';
    }
  });
  return (await Promise.all(all)).join('\n');
}
