import { sleep } from '@egressd/daemon/sleep';

/** Between the end of a read and one that comes early: what makes events get lost may go on, and reading must not make it worse. */
const EARLIEST_MS = 1000;

/** When the connections are read: every interval, and sooner where that is asked for. */
export class ReadSchedule {
  readonly #intervalMs: number;
  #nextMs = performance.now();
  #asked = new AbortController();

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** The next read is to come at once, or `EARLIEST_MS` after the one before. */
  readSooner(): void {
    this.#asked.abort();
  }

  /** Waits for the next read, after one has ended: one that took longer than the interval is followed by the next in its time. */
  async wait(stopping: AbortSignal): Promise<void> {
    const ended = performance.now();
    this.#nextMs += this.#intervalMs * Math.max(1, Math.ceil((ended - this.#nextMs) / this.#intervalMs));
    await sleepUntil(Math.min(this.#nextMs, ended + EARLIEST_MS), stopping);
    await sleepUntil(this.#nextMs, AbortSignal.any([stopping, this.#asked.signal]));
    this.#asked = new AbortController();
  }
}

/** Waits until a time of `performance.now`, or until the signal is aborted. */
async function sleepUntil(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.max(0, ms - performance.now()), signal);
}
