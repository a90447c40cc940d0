/**
 * How long to wait before the next attempt: exponential with full jitter, so that thousands of collectors that lost the same
 * exporter do not come back at the same moment.
 */
export class ReconnectPause {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #failures = 0;

  /** @param random from 0 to below 1 */
  constructor(minMs: number, maxMs: number, random: () => number = Math.random) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#random = random;
  }

  /** After another failure: anything from 0 to the longest pause that is due, milliseconds. */
  next(): number {
    const longest = Math.min(this.#maxMs, this.#minMs * 2 ** this.#failures);
    if (longest < this.#maxMs) this.#failures++;
    return this.#random() * longest;
  }

  /** It works again: the next failure begins with the shortest pause. */
  reset(): void {
    this.#failures = 0;
  }
}
