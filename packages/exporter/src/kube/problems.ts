/**
 * Problems of an object:
 *
 *   malformed           no name or no UID: it is skipped
 *   malformed_address   an address or a range that cannot be parsed: that is skipped
 *   no_address          a running pod or a node without any address
 *   no_zone             a node without the label topology.kubernetes.io/zone
 *   duplicate_address   a pod has the address of another pod: the later one owns it, or neither where both run on nodes of their own
 *   too_large           more JSON than is read of one object: it is skipped, and read past
 */
export const PROBLEMS = [
  'malformed',
  'malformed_address',
  'no_address',
  'no_zone',
  'duplicate_address',
  'too_large',
] as const;
export type Problem = (typeof PROBLEMS)[number];
/** Called for each problem, with the name of the object. */
export type OnProblem = (problem: Problem, object: string) => void;
