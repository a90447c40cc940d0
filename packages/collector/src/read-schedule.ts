import { sleep } from '@egressd/daemon/sleep';

/** Between the end of a read and one that is asked for: what makes ends get lost may go on, and reading must not make it worse. */
const SOONEST_MS = 1000;

/** When the connections are read: every interval, and sooner where that is asked for. */
export class ReadTimes {
  readonly #intervalMs: number;
  #nextMs = performance.now();
  #asked = new AbortController();

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** The next read is to come at once, or `SOONEST_MS` after the one before. */
  sooner(): void {
    this.#asked.abort();
  }

  /** Waits for the next read, after one has ended: one that took longer than the interval is followed by the next in its time. */
  async wait(stopping: AbortSignal): Promise<void> {
    const ended = performance.now();
    this.#nextMs += this.#intervalMs * Math.max(1, Math.ceil((ended - this.#nextMs) / this.#intervalMs));
    const soonestMs = Math.min(this.#nextMs, ended + SOONEST_MS);
    await pause(soonestMs, stopping);
    await pause(this.#nextMs, AbortSignal.any([stopping, this.#asked.signal]));
    this.#asked = new AbortController();
  }
}

/** Waits until a time of `performance.now`, or until it is cut short. */
async function pause(untilMs: number, cut: AbortSignal): Promise<void> {
  await sleep(Math.max(0, untilMs - performance.now()), cut);
}
