/** Shortest and longest backoff between two attempts, before jitter, milliseconds. */
export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

interface BackoffOptions {
  /** What the peer asked for (`Retry-After`): the least, within `MAX_RETRY_AFTER_MS`. */
  readonly askedMs?: number | undefined;
  /** From 0 to below 1; `Math.random` outside tests. */
  readonly random?: number;
  /** How much of it is chance: the upper half, or all of it where thousands of clients retry at once. */
  readonly jitter?: 'half' | 'full';
}

/** A peer may ask for a longer backoff, but for none beyond this. */
export const MAX_RETRY_AFTER_MS = 5 * 60_000;

/**
 * Exponential backoff with jitter: how long to wait after failure number `attempt`, so that clients that failed together do not
 * retry together.
 * @param attempt failed attempts so far, from 1
 * @returns milliseconds
 */
export function backoffMs(attempt: number, { minMs, maxMs }: BackoffLimits, options: BackoffOptions = {}): number {
  const { askedMs = 0, random = Math.random(), jitter = 'half' } = options;
  const full = Math.min(minMs * 2 ** Math.min(attempt - 1, 30), maxMs);
  const own = jitter === 'full' ? full * random : full / 2 + (full / 2) * random;
  return Math.max(own, Math.min(askedMs, MAX_RETRY_AFTER_MS));
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
