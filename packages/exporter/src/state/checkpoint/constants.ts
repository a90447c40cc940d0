/** The four counters of a series, in the order of their columns. */
export const COUNTERS = ['txBytes', 'txPackets', 'rxBytes', 'rxPackets'] as const;
/** What collectors ask sinks to send, as its number in the file; 0: nothing was asked. */
export const MODES = [undefined, 'counter', 'delta'] as const;
/** Unix milliseconds of the year 10000. */
export const MAX_TIME_MS = 253_402_300_800_000;
