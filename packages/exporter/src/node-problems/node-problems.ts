import type { NodeHealth } from '@egressd/flow/node-health';

/** What can be wrong with how a node's kernel counts: the `reason` of `egressd_exporter_node_problems`. */
export const NODE_PROBLEMS = [
  'accounting_off',
  'timestamps_off',
  'events_off',
  'counters_zeroed',
  'entries_without_counters',
  'uncounted_bridge',
  'uncounted_ipvs',
  'uncounted_flowtable',
  'uncounted_pods',
] as const;
export type NodeProblem = (typeof NODE_PROBLEMS)[number];

/** Counters that fell are a problem for so long: an agent that zeroes them with every scrape does it again within this time. */
export const ZEROED_MS = 10 * 60_000;
/** A node without a stream for so long is evicted: a stream that breaks comes back in less. */
export const EVICT_AFTER_MS = 60 * 60_000;

interface KnownNode {
  epoch: string;
  health: NodeHealth;
  /** When its counters were found to have fallen last; undefined: not while it was known. */
  zeroedMs: number | undefined;
  /** When its stream was open last. */
  seenMs: number;
}

/**
 * The NodeHealth of every node, and what follows from it. The receiver accepts a bounded number of nodes, and so bounds this too.
 *
 *   node -> epoch, newest health, when counters fell, when its stream was open
 */
export class NodeProblems {
  readonly #nodes = new Map<string, KnownNode>();

  /** Nodes that are kept. */
  get size(): number {
    return this.#nodes.size;
  }

  /** Takes a collector's NodeHealth. @returns problems of its node that are new */
  take(node: string, epoch: string, health: NodeHealth, nowMs: number): NodeProblem[] {
    const last = this.#nodes.get(node);
    const before = last === undefined ? [] : problemsOf(last, nowMs);
    const zeroedMs = countersFell(last, epoch, health) ? nowMs : last?.zeroedMs;
    const known = { epoch, health, zeroedMs, seenMs: nowMs };
    this.#nodes.set(node, known);
    return problemsOf(known, nowMs).filter((problem) => !before.includes(problem));
  }

  /** Nodes by problem, of those with a stream. */
  current(streaming: ReadonlySet<string>, nowMs: number): Map<NodeProblem, string[]> {
    const found = new Map<NodeProblem, string[]>(NODE_PROBLEMS.map((problem) => [problem, []]));
    for (const node of streaming) {
      const known = this.#nodes.get(node);
      if (known !== undefined) for (const problem of problemsOf(known, nowMs)) found.get(problem)!.push(node);
    }
    return found;
  }

  /** Evicts nodes that are gone. To be called now and then. */
  evict(streaming: ReadonlySet<string>, nowMs: number): void {
    for (const [node, known] of this.#nodes) {
      if (streaming.has(node)) known.seenMs = nowMs;
      else if (nowMs - known.seenMs >= EVICT_AFTER_MS) this.#nodes.delete(node);
    }
  }
}

/**
 * Whether counters fell since the last NodeHealth. The first value of a node may be weeks old: later ones are compared with it. Without timestamps another connection with the same ports looks the same: no proof.
 */
function countersFell(
  last: KnownNode | undefined,
  epoch: string,
  { timestamps, counterDecreases }: NodeHealth,
): boolean {
  if (last === undefined || timestamps !== true) return false;
  const before = last.epoch === epoch ? last.health.counterDecreases : 0;
  return counterDecreases > before;
}

function problemsOf({ health, zeroedMs }: KnownNode, nowMs: number): NodeProblem[] {
  const found: NodeProblem[] = [];
  if (health.accounting === false) found.push('accounting_off');
  if (health.timestamps === false) found.push('timestamps_off');
  if (health.events === 0) found.push('events_off');
  if (zeroedMs !== undefined && nowMs - zeroedMs < ZEROED_MS) found.push('counters_zeroed');
  if (health.entriesWithoutCounters > 0) found.push('entries_without_counters');
  for (const blindSpot of health.blindSpots ?? []) found.push(`uncounted_${blindSpot}`);
  return found;
}
