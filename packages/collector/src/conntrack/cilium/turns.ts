import { setImmediate as turn } from 'node:timers/promises';

/** So long a task keeps others waiting. */
const TURN_MS = 4;

/** For a long task in the main thread: lets others have their turns, often enough that nobody notices it. */
export class Turns {
  #since = performance.now();

  /** Others have waited long enough. */
  isDue(): boolean {
    return performance.now() - this.#since >= TURN_MS;
  }

  /** Lets all others that wait have theirs. */
  async take(): Promise<void> {
    await turn();
    this.#since = performance.now();
  }
}
