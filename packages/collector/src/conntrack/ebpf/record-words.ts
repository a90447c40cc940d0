import { type ConnectionBlock, WORD } from '../record.ts';
import type { Amounts } from './nat-connections.ts';

/** Gets records; may not keep them. */
export type Deliver = (block: ConnectionBlock) => void;

const COUNTERS = WORD.originalPackets;
const TWO_32 = 2 ** 32;

/** The four counters of a record: packets and bytes of the original direction, then of the reply direction. */
export function countersOf(words: Uint32Array, at: number = COUNTERS): Amounts {
  const total = (i: number) => words[at + i + 1]! * TWO_32 + words[at + i]!;
  return [total(0), total(2), total(4), total(6)];
}

/** Writes them into a record. */
export function writeCounters(words: Uint32Array, totals: Amounts): void {
  for (const [i, total] of totals.entries()) {
    words[COUNTERS + 2 * i] = total;
    words[COUNTERS + 2 * i + 1] = total / TWO_32;
  }
}

/** The same from the other end. */
export function swapped([packets, bytes, otherPackets, otherBytes]: Amounts): Amounts {
  return [otherPackets, otherBytes, packets, bytes];
}

/** Whether two addresses, of four words each, are the same. */
export function isSameAddress(one: Uint32Array, o: number, other: Uint32Array, p: number): boolean {
  for (let i = 0; i < 4; i++) if (one[o + i] !== other[p + i]) return false;
  return true;
}
