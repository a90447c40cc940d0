import { createHash } from 'node:crypto';
import type { Frame } from './frame.ts';

/**
 * The `Idempotency-Key` of a part of a frame, written as a UUID. It follows from what is in the part, so that an exporter that
 * resumes a frame after a crash repeats the keys too.
 */
export function requestKey({ origin, timeMs, kinds }: Frame, from: number, end: number): string {
  const hash = createHash('sha256').update(`${origin} ${timeMs} ${from} ${end} `).update(kinds.subarray(from, end));
  const hex = hash.digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}
