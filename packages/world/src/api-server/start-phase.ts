/**
 * How far a start of the API server is:
 *
 *   forbidden      RBAC rules are not read yet: 403 to everything
 *   initializing   the watch cache is not filled yet: 429 to watches, lists are answered
 *   ready
 */
export type Phase = 'forbidden' | 'initializing' | 'ready';

/** How long the first two last in the lab; of a real one the second lasts as long as etcd takes to deliver every object. */
const FORBIDDEN_MS = 100;
const INITIALIZING_MS = 200;

/** Retry-After of successive 429, seconds. */
const RETRY_AFTER = [1, 4, 8, 16];

/** The phases of a start, one after the other. */
export class StartPhase {
  #now: Phase = 'ready';
  #refused = 0;
  #timer: NodeJS.Timeout | undefined;

  get now(): Phase {
    return this.#now;
  }

  /** Goes to a phase and stays there. */
  set(phase: Phase): void {
    clearTimeout(this.#timer);
    this.#now = phase;
    this.#refused = 0;
  }

  /** Goes through all of them. */
  begin(): void {
    this.set('forbidden');
    this.#timer = setTimeout(() => {
      this.set('initializing');
      this.#timer = setTimeout(() => this.set('ready'), INITIALIZING_MS);
    }, FORBIDDEN_MS);
  }

  /** What the next 429 asks for: more each time. */
  retryAfter(): number {
    return RETRY_AFTER[Math.min(this.#refused++, RETRY_AFTER.length - 1)]!;
  }
}
