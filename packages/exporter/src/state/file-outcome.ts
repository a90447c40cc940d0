/**
 * Why a state file cannot be used: `foreign`: egressd did not write it; `version`: another version of egressd did; `damaged`: truncated,
 * or modified since it was written.
 */
const UNUSABLE_REASONS = ['foreign', 'version', 'damaged'] as const;
export type UnusableReason = (typeof UNUSABLE_REASONS)[number];

/** The reasons in words, for the log. */
export const UNUSABLE_TEXT: Readonly<Record<UnusableReason, string>> = {
  foreign: 'not written by egressd',
  version: 'written by another version of egressd',
  damaged: 'truncated or modified',
};

/** How reading a state file at the start ended: values of the label `outcome`. */
export const READ_OUTCOMES = ['restored', 'none', 'unreadable', ...UNUSABLE_REASONS] as const;
export type StateFileOutcome = (typeof READ_OUTCOMES)[number];
