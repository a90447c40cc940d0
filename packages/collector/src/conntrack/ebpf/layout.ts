/** The bytes of an entry of the map `pairs`, as `count.bpf.c` has them. */

/** `struct pair_key`: low address, high address, protocol, zero; in 32-bit words. */
export const KEY_BYTES = 40;
export const KEY = { low: 0, high: 4, protocol: 8 } as const;

/** `struct pair`: two ends of four counters, and two times; each of 64 bits. In 32-bit words, the low one first. */
export const VALUE_BYTES = 80;
export const VALUE = { low: 0, high: 8, born: 16, last: 18 } as const;
/** `struct end`. */
export const END = { sentBytes: 0, sentPackets: 2, receivedBytes: 4, receivedPackets: 6 } as const;

/** `EVENT_*`. */
export const EVENTS = ['fullPackets', 'fullBytes', 'malformed'] as const;
/** What the programs could not count, since they were loaded. */
export type Uncounted = Readonly<Record<(typeof EVENTS)[number], number>>;

/** Changes with the layout of the maps: programs of another format count into maps of their own. */
export const FORMAT = 'pairs-1';
