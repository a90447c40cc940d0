/** One look at a process: seconds since the beginning, and what was measured then. */
export interface Sample {
  readonly seconds: number;
  readonly value: number;
}

/** How a measure goes over time. */
export interface Trend {
  /** Middle of all samples. */
  readonly median: number;
  /** Rise a hour by the middle of all slopes, and where it lies for sure, as far as the samples are independent. */
  readonly perHour: number;
  readonly leastPerHour: number;
  readonly mostPerHour: number;
}

/** Slopes between more samples cost more and hardly change the result. */
const MAX_SAMPLES = 400;
/** Of the normal distribution: 95 % lie within. */
const Z_95 = 1.96;
const SECONDS_AN_HOUR = 3600;

/**
 * The trend of samples: the middle of the slopes between every two of them (Theil and Sen), which a few large ones, as a garbage
 * collection makes them, do not move. Its interval is Sen's, by ranks (P. K. Sen, 1968, doi:10.1080/01621459.1968.10480934).
 * @param samples three or more, at different times
 */
export function trendOf(samples: readonly Sample[]): Trend {
  const some = thinned(samples);
  const slopes: number[] = [];
  for (const [i, a] of some.entries())
    for (const b of some.slice(i + 1)) slopes.push((b.value - a.value) / (b.seconds - a.seconds));
  slopes.sort((a, b) => a - b);
  const n = some.length;
  const width = Z_95 * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  const at = (rank: number) => slopes[Math.max(0, Math.min(slopes.length - 1, Math.round(rank)))]! * SECONDS_AN_HOUR;
  return {
    median: middle(some.map(({ value }) => value).sort((a, b) => a - b)),
    perHour: middle(slopes) * SECONDS_AN_HOUR,
    leastPerHour: at((slopes.length - width) / 2),
    mostPerHour: at((slopes.length + width) / 2),
  };
}

/** At most `MAX_SAMPLES`, evenly spaced. */
function thinned(samples: readonly Sample[]): Sample[] {
  const step = Math.ceil(samples.length / MAX_SAMPLES);
  return samples.filter((_, i) => i % step === 0);
}

function middle(sorted: readonly number[]): number {
  const half = sorted.length / 2;
  return (sorted[Math.floor(half)]! + sorted[Math.ceil(half) - 1]!) / 2;
}
