import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';

/** After a rendering, for so many times as long as it took none begins: however many ask, this is their share of the event loop. */
const REST_FACTOR = 20;
/** But no longer than this. */
const MAX_REST_MS = 1_000;

/**
 * Renders a page for all who ask for it: who asks while one is due waits for that one, which begins after the question, so nobody gets an
 * old page.
 */
export class SharedRendering<Page> {
  readonly #render: () => Promise<Page>;
  #next: Promise<Page> | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #notBeforeMs = 0;

  constructor(render: () => Promise<Page>) {
    this.#render = render;
  }

  /** The page as it is now, or within a second. */
  get(): Promise<Page> {
    this.#next ??= this.#renderNext();
    return this.#next;
  }

  async #renderNext(): Promise<Page> {
    await this.#last;
    const restMs = this.#notBeforeMs - performance.now();
    if (restMs > 0) await pause(restMs, undefined, { ref: false });
    // Who asks from here on gets the one after.
    this.#next = undefined;
    const page = this.#timed();
    this.#last = page.catch(() => {});
    return page;
  }

  async #timed(): Promise<Page> {
    const startedMs = performance.now();
    try {
      return await this.#render();
    } finally {
      const endedMs = performance.now();
      this.#notBeforeMs = endedMs + Math.min((endedMs - startedMs) * REST_FACTOR, MAX_REST_MS);
    }
  }
}
