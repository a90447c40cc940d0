import { FLAG, KEY_WORDS, STRIDE, WORD } from '../record.ts';
import type { Amounts } from './nat-connections.ts';
import { countersOf, swapped } from './record-words.ts';

const COUNTER_WORDS = 8;
/** The high word of 10^18 ns: a time since the epoch is later (2001), one since boot is not. */
const EPOCH_HIGH = Math.floor(1e18 / 2 ** 32);

/** A record of what the node forwards: its identity is a connection's start. The others' is when an entry was made, since boot. */
export function isForwardedRecord(words: Uint32Array, at: number): boolean {
  return words[at + WORD.identity + 1]! >= EPOCH_HIGH;
}

/** A record of a part: entries have no ports. */
export function isPartRecord(words: Uint32Array, at: number): boolean {
  return words[at + WORD.originalPorts] !== 0;
}

/** A record of an image: it gives no flow, since it does not move. @param at its key, which its counters follow */
export function recordAt(image: Uint32Array, at: number): Uint32Array {
  const record = new Uint32Array(STRIDE);
  record.set(image.subarray(at, at + KEY_WORDS));
  record.set(image.subarray(at + KEY_WORDS, at + KEY_WORDS + COUNTER_WORDS), WORD.originalPackets);
  record.copyWithin(WORD.replySource, WORD.originalDestination, WORD.originalDestination + 4);
  record[WORD.flags] = FLAG.counters | FLAG.countedElsewhere;
  return record;
}

/** Those that are of the entry of a record. */
export function pastOf(past: readonly Uint32Array[], record: Uint32Array): Uint32Array[] {
  const { identity } = WORD;
  return past.filter((words) => words[identity] === record[identity] && words[identity + 1] === record[identity + 1]);
}

/** What was handed over of an entry in all, and what of it was the alias's own; from the local end. @param isSource it is the records' source */
export function restOfPast(past: readonly Uint32Array[], isSource: boolean): { sum: Amounts; rest: Amounts } {
  const sum: [number, number, number, number] = [0, 0, 0, 0];
  let rest: Amounts = [0, 0, 0, 0];
  for (const words of past) {
    const counters = isPartRecord(words, 0) || isSource ? countersOf(words) : swapped(countersOf(words));
    if (!isPartRecord(words, 0)) rest = counters;
    for (let i = 0; i < 4; i++) sum[i]! += counters[i]!;
  }
  return { sum, rest };
}
