/** So long a size that was refused is not tried again: a receiver's limits change. */
const REMEMBERED_MS = 60 * 60_000;

/**
 * How many units a receiver takes in one request, learned from what it refuses for its size.
 *
 *   0 ......... limit ......... refused at ......... as many as the sink puts into one
 *     accepted         tried, half of the gap at a time
 */
export class RequestSize {
  readonly #now: () => number;
  #limit = Number.POSITIVE_INFINITY;
  #refusedAt = Number.POSITIVE_INFINITY;
  #refusedMs = 0;

  /** @param now milliseconds that never go back */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Most units of the next request. */
  get limit(): number {
    if (this.#now() - this.#refusedMs > REMEMBERED_MS) this.forget();
    return this.#limit;
  }

  /** A request of so many units, several, was refused for its size. */
  refused(units: number): void {
    this.#refusedAt = Math.min(this.#refusedAt, units);
    this.#refusedMs = this.#now();
    this.#limit = Math.max(1, Math.min(this.#limit, Math.floor(units / 2)));
  }

  /** A request of so many units was accepted: where it was as large as may be, the next one is a little larger. */
  accepted(units: number): void {
    const gap = this.#refusedAt - this.#limit;
    if (units < this.#limit || gap <= this.#limit / 8 || !Number.isFinite(gap)) return;
    this.#limit += Math.floor(gap / 2);
  }

  /** It is not the size: even one sample is throttled. */
  forget(): void {
    this.#limit = Number.POSITIVE_INFINITY;
    this.#refusedAt = Number.POSITIVE_INFINITY;
  }
}
