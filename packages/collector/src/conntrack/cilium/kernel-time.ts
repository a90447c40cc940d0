import { readFileSync } from 'node:fs';
import { type KernelTime, tickRate } from './clock.ts';

/** What the kernel says of its timers, its ticks among it: for root only. */
const TIMER_LIST = '/proc/timer_list';

/**
 * A clock that tells both of the kernel's times. The ticks are read once, and from then on told from the time that went by: the
 * file is long on a large machine.
 */
export function openKernelTime(): () => KernelTime {
  const start = { seconds: monotonicSeconds(), jiffies: readJiffies() };
  const rate = tickRate(start);
  return () => {
    const seconds = monotonicSeconds();
    if (start.jiffies === undefined || rate === undefined) return { seconds, jiffies: undefined };
    return { seconds, jiffies: start.jiffies + (seconds - start.seconds) * rate };
  };
}

function monotonicSeconds(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}

function readJiffies(): number | undefined {
  try {
    const [, jiffies] = /^jiffies: (\d+)$/m.exec(readFileSync(TIMER_LIST, 'latin1')) ?? [];
    return jiffies === undefined ? undefined : Number(jiffies);
  } catch {
    return undefined;
  }
}
