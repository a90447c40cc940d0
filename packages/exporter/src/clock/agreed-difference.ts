/** Clocks that differ by no more agree. */
export const AGREE_MS = 30_000;
/** Nodes that must agree. */
const LEAST_WITNESSES = 2;

/**
 * The difference to our clock that most of the nodes share, milliseconds; 0: they share none, so that ours is believed; undefined: too few.
 * @param ahead how far each node's clock is ahead of ours
 */
export function agreedDifference(ahead: readonly number[]): number | undefined {
  if (ahead.length < LEAST_WITNESSES) return undefined;
  const sorted = Float64Array.from(ahead).sort();
  const median = sorted[Math.floor((sorted.length - 1) / 2)]!;
  const agreeing = sorted.filter((it) => Math.abs(it - median) <= AGREE_MS).length;
  return agreeing >= LEAST_WITNESSES && agreeing * 2 > sorted.length ? median : 0;
}
