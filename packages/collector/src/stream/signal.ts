/** An event that async code waits for. */
export class Signal {
  readonly #waiters = new Set<() => void>();

  /** It happened: every waiter resumes. */
  raise(): void {
    for (const resolve of this.#waiters) resolve();
    this.#waiters.clear();
  }

  /** Resolves when it happens next, or after `timeoutMs`. */
  async wait(timeoutMs?: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = timeoutMs === undefined ? undefined : setTimeout(resolve, timeoutMs);
    this.#waiters.add(resolve);
    await promise;
    this.#waiters.delete(resolve);
    clearTimeout(timer);
  }
}
