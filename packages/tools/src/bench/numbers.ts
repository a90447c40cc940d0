/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Nanoseconds that each of `items` takes: median of several rounds after some that warm up. */
export function nsPerItem(items: number, work: () => void): number {
  const rounds: number[] = [];
  for (let round = 0; round < 15; round++) {
    const began = process.hrtime.bigint();
    work();
    if (round >= 5) rounds.push(Number(process.hrtime.bigint() - began));
  }
  return median(rounds) / items;
}
