import { KEY_WORDS, WORD } from '../conntrack/record.ts';

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

/** What a table of connections lends. Read anew at each call: its arrays are exchanged as it grows. */
export interface FlowRecords {
  readonly records: Uint32Array;
  readonly count: number;
  /** By record: the read that saw it last. */
  readonly seen: Uint32Array;
  /** By record: `replyHashOf`; 0: not known yet. */
  readonly replyHash: Uint32Array;
}

/** The conntrack zone of a record. */
export function zoneOf(records: Uint32Array, index: number): number {
  return records[index * RECORD_WORDS + WORD.zoneProtocol]! & 0xffff;
}

/** A tombstone. */
export function isEnded(records: Uint32Array, index: number): boolean {
  return records[index * RECORD_WORDS + PAIR]! >= ENDED;
}

/** Whether one began before the other: then it is no half that was made anew. */
export function isOlder(records: Uint32Array, one: number, other: number): boolean {
  const [a, b] = [one * RECORD_WORDS + WORD.identity, other * RECORD_WORDS + WORD.identity];
  return records[a + 1] === records[b + 1] ? records[a]! < records[b]! : records[a + 1]! < records[b + 1]!;
}

/** Between two starts. Without start times (high word 0) nothing says that they are not the same. */
export function millisecondsApart(records: Uint32Array, one: number, other: number): number {
  const [a, b] = [one * RECORD_WORDS + WORD.identity, other * RECORD_WORDS + WORD.identity];
  if (records[a + 1] === 0 || records[b + 1] === 0) return 0;
  return Math.abs((records[a + 1]! - records[b + 1]!) * 2 ** 32 + (records[a]! - records[b]!)) / 1e6;
}

/** Written out: it is the one thing that is done for every connection of every read. The words that differ most often come first. */
export function isSameKey(records: Uint32Array, base: number, words: Uint32Array, at: number): boolean {
  return (
    records[base + 10] === words[at + 10] &&
    records[base + 9] === words[at + 9] &&
    records[base + 8] === words[at + 8] &&
    records[base + 4] === words[at + 4] &&
    records[base + 11] === words[at + 11] &&
    records[base] === words[at] &&
    records[base + 1] === words[at + 1] &&
    records[base + 2] === words[at + 2] &&
    records[base + 3] === words[at + 3] &&
    records[base + 5] === words[at + 5] &&
    records[base + 6] === words[at + 6] &&
    records[base + 7] === words[at + 7]
  );
}

/** Whether the four counters are as they were: low words first, they move. */
export function isSameCount(records: Uint32Array, last: number, words: Uint32Array, now: number): boolean {
  return (
    records[last] === words[now] &&
    records[last + 4] === words[now + 4] &&
    records[last + 2] === words[now + 2] &&
    records[last + 6] === words[now + 6] &&
    records[last + 1] === words[now + 1] &&
    records[last + 5] === words[now + 5] &&
    records[last + 3] === words[now + 3] &&
    records[last + 7] === words[now + 7]
  );
}

/** Whether a record says which of the connections with its ports it is: by start time or id. */
export function hasIdentity(words: Uint32Array, at: number): boolean {
  return words[at + WORD.identity] !== 0 || words[at + WORD.identity + 1] !== 0;
}

/** The four counters, in the order of the record. */
export function totalsAt(words: Uint32Array, now: number): number[] {
  return [total(words, now), total(words, now + 2), total(words, now + 4), total(words, now + 6)];
}

/** The counter at `words[at]` (low) and `words[at + 1]` (high). */
export function total(words: Uint32Array, at: number): number {
  return words[at + 1]! * 0x1_0000_0000 + words[at]!;
}

/** The difference of two counters: exact, since it is below 2^53 even where they are not. */
export function increase(before: Uint32Array, b: number, after: Uint32Array, a: number): number {
  return (after[a + 1]! - before[b + 1]!) * 0x1_0000_0000 + (after[a]! - before[b]!);
}
