import type { EndOwner } from '../enrich/endpoint.ts';

/** Whose share was used up when a series was folded; `all`: the cardinality limit was reached, whoever it was. */
export const FOLD_REASONS = ['pod', 'namespace', 'node', 'all'] as const;
export type FoldReason = (typeof FOLD_REASONS)[number];

/** Live series whose source is of one pod, namespace or node. */
interface Count {
  readonly reason: Exclude<FoldReason, 'all'>;
  /** It may have so many times as many series as are free. */
  readonly times: number;
  series: number;
}

/** The counts that a series of a source belongs to. */
export type SourceCounts = readonly Count[];

/**
 * How many series each source has, so that none takes all: a pod may have as many as are free, a namespace and a node twice as many
 * (dynamic thresholds, Choudhury and Hahne 1998).
 *
 *   limit 300   web 40 | db 10 | scan 125 |    free 125: scan folds, every other pod may have up to 125
 *
 * One that wants all so gets a half, two get a third each, and what is left stays free for those that come later.
 */
export class SeriesShares {
  readonly limit: number;
  readonly #counts = new Map<string, Count>();
  #used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** The counts of a source: of its pod, or of its node where it is no pod. Valid until `sweep`. */
  of({ namespace, pod, node }: EndOwner): SourceCounts {
    const ofNode = this.#count(`node ${node}`, 'node', 2);
    if (pod === '') return [ofNode];
    return [
      this.#count(`pod ${namespace}/${pod}`, 'pod', 1),
      this.#count(`namespace ${namespace}`, 'namespace', 2),
      ofNode,
    ];
  }

  /**
   * Why a source may not have one series more; undefined: it may.
   * @param times as many as else: what is folded of a source needs a series too
   */
  refusal(counts: SourceCounts, times = 1): FoldReason | undefined {
    const free = this.limit - this.#used;
    if (free <= 0) return 'all';
    for (const count of counts) if (count.series >= free * count.times * times) return count.reason;
    return undefined;
  }

  /** One series more. */
  add(counts: SourceCounts): void {
    this.#used++;
    for (const count of counts) count.series++;
  }

  /** One series less. */
  remove(counts: SourceCounts): void {
    this.#used--;
    for (const count of counts) count.series--;
  }

  /** Forgets sources without series. */
  sweep(): void {
    for (const [name, { series }] of this.#counts) if (series === 0) this.#counts.delete(name);
  }

  #count(name: string, reason: Count['reason'], times: number): Count {
    const known = this.#counts.get(name);
    if (known !== undefined) return known;
    const count = { reason, times, series: 0 };
    this.#counts.set(name, count);
    return count;
  }
}
