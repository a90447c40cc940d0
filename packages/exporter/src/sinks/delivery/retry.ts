/** Shortest and longest pause between two attempts, before chance is added. */
export const MIN_RETRY_MS = 1000;
export const MAX_RETRY_MS = 60_000;
/** A receiver may ask for a longer pause with `Retry-After`, but not for more than this. */
export const MAX_RETRY_AFTER_MS = 5 * 60_000;

/**
 * How long to wait before attempt number `attempt` + 1: somewhere between half and all of a pause that doubles, so that
 * senders that failed together do not come back together; at least what the receiver asked for.
 * @param attempt failed attempts so far, from 1
 * @param askedMs what the receiver asked for
 * @param random from 0 to below 1
 */
export function retryDelayMs(attempt: number, askedMs: number | undefined, random: number): number {
  const full = Math.min(MIN_RETRY_MS * 2 ** (attempt - 1), MAX_RETRY_MS);
  const own = full / 2 + (full / 2) * random;
  return Math.max(own, Math.min(askedMs ?? 0, MAX_RETRY_AFTER_MS));
}

/**
 * Milliseconds that a `Retry-After` header asks for (RFC 9110, 10.2.3: seconds, or a date); undefined where there is none or it says
 * neither.
 */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  // HTTP dates begin with the name of a day; Date.parse alone takes more than that.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}

/** Time as a delivery sees it; replaced in tests. */
export interface Timers {
  /** Milliseconds that never go back. */
  now(): number;
  /** Resolves after `ms`, or as soon as the signal says so. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The machine's own time. */
export const REAL_TIMERS: Timers = {
  now: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done, { once: true });
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      }
    }),
};
