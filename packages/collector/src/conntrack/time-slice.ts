import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long a task may hold the event loop. */
const SLICE_MS = 4;

/** For a long task in the main thread: yields the event loop every few milliseconds. */
export class TimeSlice {
  #since = performance.now();

  /** It is time to yield. */
  isOver(): boolean {
    return performance.now() - this.#since >= SLICE_MS;
  }

  /** Lets the event loop do what is due, and begins another slice. */
  async yield(): Promise<void> {
    await nextTurn();
    this.#since = performance.now();
  }
}
