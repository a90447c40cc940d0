/** Pauses between attempts: they double, with chance, so that many who failed together do not come back together. */
export interface Pauses {
  readonly minMs: number;
  readonly maxMs: number;
}

export const PAUSES: Pauses = { minMs: 500, maxMs: 30_000 };
/** The API server may ask for a longer pause, but for none beyond this. */
export const MAX_ASKED_MS = 5 * 60_000;

/**
 * How long to wait after failure number `attempt`, from 1: between half and all of a pause that doubles, at least what was asked for.
 * @param random from 0 to below 1
 */
export function pauseMs(attempt: number, askedMs: number | undefined, random: number, pauses: Pauses = PAUSES): number {
  const full = Math.min(pauses.minMs * 2 ** Math.min(attempt - 1, 30), pauses.maxMs);
  return Math.max(full / 2 + (full / 2) * random, Math.min(askedMs ?? 0, MAX_ASKED_MS));
}

/** Resolves after `ms`, or as soon as the signal is aborted. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
