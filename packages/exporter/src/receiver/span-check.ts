import type { BatchSpan } from '@egressd/flow/columns';

/** How far a node's clock may be ahead of ours before it is reported. */
export const CLOCK_AHEAD_MS = 60_000;
/** How far it may be behind, once what had piled up before the stream began is through. */
export const CLOCK_BEHIND_MS = 10 * 60_000;

/** What a node's clock looks like from here. */
type ClockState = 'fine' | 'ahead' | 'behind';

/**
 * Compares a batch's times with our clock. One from the future is moved to now: its bytes are real, and bytes of the future
 * cannot be stored. One from the past is left as it is: late batches are in order, early on a stream.
 * @param sinceWelcomeMs how long the stream has been open
 */
export function checkSpan(
  span: BatchSpan,
  nowMs: number,
  sinceWelcomeMs: number,
): { readonly span: BatchSpan; readonly clock: ClockState } {
  if (span.toMs > nowMs + CLOCK_AHEAD_MS) {
    const moved = { number: span.number, fromMs: Math.min(span.fromMs, nowMs), toMs: nowMs };
    return { span: moved, clock: 'ahead' };
  }
  const behind = sinceWelcomeMs > CLOCK_BEHIND_MS && span.toMs < nowMs - CLOCK_BEHIND_MS;
  return { span, clock: behind ? 'behind' : 'fine' };
}
