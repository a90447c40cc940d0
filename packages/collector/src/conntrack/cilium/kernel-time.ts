import { tickNanoseconds } from '../../native/library.ts';
import type { KernelTime } from './clock.ts';

/** Reads the kernel's monotonic clock and the length of a jiffy. libc must be open. */
export function readKernelTime(): KernelTime {
  return { seconds: Number(process.hrtime.bigint()) / 1e9, tickRate: Math.round(1e9 / tickNanoseconds()) };
}
