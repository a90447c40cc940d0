/** A clock that differs by less is taken for ours: Kubernetes writes times in whole seconds. */
const LEAST_DIFFERENCE_MS = 2000;

/** What is known of the clocks of connected nodes. */
export interface NodeClocks {
  /** A connected node has this time now, Unix milliseconds. */
  take(node: string, nodeMs: number): void;
  /** How far a node's clock is ahead of ours, milliseconds; undefined: it has not reported it. */
  aheadOf(node: string): number | undefined;
  /** A node is connected no more. */
  forget(node: string): void;
}

/** Nothing is known of any. */
export const UNKNOWN_CLOCKS: NodeClocks = { take() {}, aheadOf: () => undefined, forget() {} };

/** Whether the difference makes a difference. */
export function differs(aheadMs: number): boolean {
  return Math.abs(aheadMs) >= LEAST_DIFFERENCE_MS;
}

/** A time by a node's clock, by ours. @param aheadMs how far the node's is ahead; undefined: not known */
export function inOurTime(nodeMs: number, aheadMs: number | undefined): number {
  return aheadMs !== undefined && differs(aheadMs) ? nodeMs - aheadMs : nodeMs;
}
