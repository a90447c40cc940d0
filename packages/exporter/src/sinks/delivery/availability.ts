/** A sink that has not accepted anything for so long is unavailable and no longer holds commits: collectors must not run full for it. */
export const UNAVAILABLE_AFTER_MS = 10 * 60_000;

/** How far a sink is behind, and whether it is unavailable. Pure: milliseconds that never go back come from `now`. */
export class SinkAvailability {
  readonly #now: () => number;
  #pendingSince: number | undefined;
  #behindSince: number | undefined;
  #acceptedAt: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#acceptedAt = now();
  }

  /** Nothing has been pending for too long: batches wait for this sink before they are committed. */
  get available(): boolean {
    return this.behindMs <= UNAVAILABLE_AFTER_MS;
  }

  /** Age of the oldest snapshot that is not accepted; 0 where all are. */
  get behindMs(): number {
    return this.#behindSince === undefined ? 0 : this.#now() - this.#behindSince;
  }

  get sinceAcceptedMs(): number {
    return this.#now() - this.#acceptedAt;
  }

  /** All that was offered is accepted. */
  get upToDate(): boolean {
    return this.#behindSince === undefined;
  }

  /** A frame of a former process is in flight. */
  resumed(): void {
    this.#behindSince = this.#now();
  }

  /** A snapshot is pending. */
  offered(): void {
    const now = this.#now();
    this.#pendingSince ??= now;
    this.#behindSince ??= now;
  }

  /** What was pending is in flight. */
  frozen(): void {
    this.#pendingSince = undefined;
  }

  /** What was in flight is accepted. */
  accepted(): void {
    this.#acceptedAt = this.#now();
    this.#behindSince = this.#pendingSince;
  }
}
