import { sleep } from '@egressd/daemon/sleep';

/** Time as a delivery sees it; replaced in tests. */
export interface Timers {
  /** Milliseconds that never go back. */
  now(): number;
  /** Resolves after `ms`, or as soon as the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The machine's own time. */
export const REAL_TIMERS: Timers = { now: () => performance.now(), sleep };
