import { randomInt } from 'node:crypto';
import type { ConntrackSource } from '../source.ts';
import { ThreadSource } from '../thread-source.ts';
// See thread-source.ts: held here too, so that it is not unmapped when a worker ends.
import '../ffi-bpf.ts';
import type { ClockSource } from './clock.ts';
import type { BatchOptions } from './map-reader.ts';
import { MAPS_FOLDER } from './maps.ts';
import type { CiliumWorkerOptions } from './worker.ts';

/** Where and how Cilium's maps are read. */
export interface CiliumOptions extends BatchOptions {
  /** Folder of the pinned maps. */
  readonly folder?: string;
  /** The node's addresses are those of process 1's network namespace instead of the own one. */
  readonly hostPid?: boolean;
  /** The unit of lifetimes: `ktime` in any case; `jiffies`, unless the entries show that it is the other. */
  readonly clockSource?: ClockSource;
  /** Read maps that do not show that Cilium is at work, or not yet what they count. */
  readonly forced?: boolean;
}

/**
 * Opens Cilium's maps. A thread does the reading.
 * @throws SourceError that says why they cannot be read
 */
export async function openCiliumSource(options: CiliumOptions = {}): Promise<ConntrackSource> {
  const { hostPid = false, folder = MAPS_FOLDER, ...rest } = options;
  const namespace = hostPid ? '/proc/1/ns/net' : undefined;
  const source = new CiliumSource({ ...rest, folder, namespace, seed: randomInt(2 ** 32) });
  await source.start();
  return source;
}

class CiliumSource extends ThreadSource {
  readonly name = 'cilium';
  protected readonly file = './cilium/worker';

  constructor(options: CiliumWorkerOptions) {
    super(options);
  }
}
