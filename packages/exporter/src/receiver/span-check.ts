import type { BatchSpan } from '@egressd/flow/columns';
import { inOurTime } from '../clock/node-clocks.ts';

/** How far a node's clock may be off before it is reported. */
export const CLOCK_AHEAD_MS = 60_000;
/** How far batches of a node that does not report its clock may be behind, once what had piled up before the stream began is through. */
export const CLOCK_BEHIND_MS = 10 * 60_000;

/** Whose clock is off shows once other nodes are connected: within so long after a start, mostly at once. */
export const WITNESSES_MS = 60_000;

/** What a node's clock looks like from here. */
type ClockState = 'fine' | 'ahead' | 'behind';

/** How far the node's clock is off, as far as is known. */
interface SpanContext {
  /** How long the stream has been open. */
  readonly sinceWelcomeMs: number;
  /** How far the node's clock is ahead of ours; undefined: it has not reported it, and its batches have to show it. */
  readonly aheadMs: number | undefined;
}

/**
 * A batch's times by our clock. One from the future is moved to now: its bytes are real, and bytes of the future cannot be stored. One from
 * the past is left as it is: late batches are in order, early on a stream.
 */
export function checkSpan(
  { number, ...reported }: BatchSpan,
  nowMs: number,
  { sinceWelcomeMs, aheadMs }: SpanContext,
): { readonly span: BatchSpan; readonly clock: ClockState } {
  const fromMs = inOurTime(reported.fromMs, aheadMs);
  const toMs = inOurTime(reported.toMs, aheadMs);
  const future = toMs > nowMs + CLOCK_AHEAD_MS;
  const span = future ? { number, fromMs: Math.min(fromMs, nowMs), toMs: nowMs } : { number, fromMs, toMs };
  if (aheadMs !== undefined) return { span, clock: sinceWelcomeMs < WITNESSES_MS ? 'fine' : stateOf(aheadMs) };
  const behind = sinceWelcomeMs > CLOCK_BEHIND_MS && toMs < nowMs - CLOCK_BEHIND_MS;
  return { span, clock: future ? 'ahead' : behind ? 'behind' : 'fine' };
}

function stateOf(aheadMs: number): ClockState {
  if (Math.abs(aheadMs) <= CLOCK_AHEAD_MS) return 'fine';
  return aheadMs > 0 ? 'ahead' : 'behind';
}
