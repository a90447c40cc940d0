import { KEY_WORDS } from '../conntrack/record.ts';

/**
 * The record of a connection in the flow table, in 32-bit words:
 *
 *   | key: words 0..11 of record.ts | packets, bytes, packets, bytes: low, high each | pair |
 *     0                               12 = COUNTERS                                    20 = PAIR
 */

/** Words 17 to 24 of a source's record are kept as they are. */
export const COUNTER_WORDS = 8;
export const COUNTERS = KEY_WORDS;
export const PAIR = COUNTERS + COUNTER_WORDS;
export const VALUE_WORDS = COUNTER_WORDS + 1;
export const RECORD_WORDS = KEY_WORDS + VALUE_WORDS;
/** Of a connection in an image: its key and its counters. */
export const IMAGE_WORDS = KEY_WORDS + COUNTER_WORDS;
/** Marks the pair of a connection that has ended: numbers of pairs are far below. */
export const ENDED = 0x8000_0000;
