/**
 * What becomes of a direction, by its source. Everything but `kept` is why not; of a pair with no direction kept the later in
 * this list counts.
 *
 *   kept                a pod of the sending node, or one elsewhere to which it forwards by SNAT
 *   too_many_pairs      the collector was at its cardinality limit (its flag max-pairs)
 *   unknown_source      the address has no known owner
 *   not_local           a pod or node elsewhere: its own node reports it
 *   ambiguous           the address changed hands between one who would be kept and one who would not
 *   host_network        the node itself, or a pod that shares its network
 *   excluded_namespace  a pod of the node, in a namespace that the collector's settings leave out
 */
export const VERDICTS = [
  'kept',
  'too_many_pairs',
  'unknown_source',
  'not_local',
  'ambiguous',
  'host_network',
  'excluded_namespace',
] as const;
export type Verdict = (typeof VERDICTS)[number];

/** Why a pair gives no flow at all. */
export type DropReason = Exclude<Verdict, 'kept'>;

/** The index of each in `VERDICTS`. */
export const NUMBER_OF = Object.fromEntries(VERDICTS.map((verdict, i) => [verdict, i])) as Record<Verdict, number>;

/** In `EnrichedPart.verdicts`: directions from here are kept. */
export const KEPT = 0;
