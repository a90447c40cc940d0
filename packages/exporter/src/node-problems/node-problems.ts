import type { NodeHealth } from '@egressd/flow/node-health';

/** What can be amiss with the kernel of a node: the `reason` of `egressd_exporter_node_problems`. */
export const NODE_PROBLEMS = [
  'accounting_off',
  'timestamps_off',
  'events_off',
  'counters_zeroed',
  'entries_without_counters',
] as const;
export type NodeProblem = (typeof NODE_PROBLEMS)[number];

/** Counters that fell are amiss for so long: who zeroes them on purpose, as an agent that is scraped, does it again within. */
export const ZEROED_MS = 10 * 60_000;
/** A node that did not speak for so long is forgotten: a stream that breaks comes back in less. */
export const FORGET_MS = 60 * 60_000;

interface Known {
  epoch: string;
  health: NodeHealth;
  /** When its counters were found to have fallen last; undefined: not while we knew it. */
  zeroedMs: number | undefined;
  /** When it spoke last. */
  spokeMs: number;
}

/**
 * What the collectors say of their nodes' kernels. The receiver lets in a bounded number of nodes, and so bounds this too.
 *
 *   node -> epoch, newest health, when counters fell, when it spoke
 */
export class NodeProblems {
  readonly #nodes = new Map<string, Known>();

  /** Nodes that are remembered. */
  get size(): number {
    return this.#nodes.size;
  }

  /** Takes what a collector says. @returns what is amiss with its node and was not before */
  take(node: string, epoch: string, health: NodeHealth, nowMs: number): NodeProblem[] {
    const last = this.#nodes.get(node);
    const before = last === undefined ? [] : amissOf(last, nowMs);
    const zeroedMs = hasFallen(last, epoch, health) ? nowMs : last?.zeroedMs;
    const known = { epoch, health, zeroedMs, spokeMs: nowMs };
    this.#nodes.set(node, known);
    return amissOf(known, nowMs).filter((what) => !before.includes(what));
  }

  /** Nodes by what is amiss with them, of those that speak. */
  amiss(speaking: ReadonlySet<string>, nowMs: number): Map<NodeProblem, string[]> {
    const found = new Map<NodeProblem, string[]>(NODE_PROBLEMS.map((what) => [what, []]));
    for (const node of speaking) {
      const known = this.#nodes.get(node);
      if (known !== undefined) for (const what of amissOf(known, nowMs)) found.get(what)!.push(node);
    }
    return found;
  }

  /** Forgets nodes that are gone. To be called now and then. */
  forget(speaking: ReadonlySet<string>, nowMs: number): void {
    for (const [node, known] of this.#nodes) {
      if (speaking.has(node)) known.spokeMs = nowMs;
      else if (nowMs - known.spokeMs >= FORGET_MS) this.#nodes.delete(node);
    }
  }
}

/**
 * Whether counters fell since the last. What is said of a node for the first time may have been so for weeks: it is what
 * later ones are compared with. Without timestamps another connection with the same ports looks the same: no proof.
 */
function hasFallen(last: Known | undefined, epoch: string, { timestamps, counterDecreases }: NodeHealth): boolean {
  if (last === undefined || timestamps !== true) return false;
  const before = last.epoch === epoch ? last.health.counterDecreases : 0;
  return counterDecreases > before;
}

function amissOf({ health, zeroedMs }: Known, nowMs: number): NodeProblem[] {
  const found: NodeProblem[] = [];
  if (health.accounting === false) found.push('accounting_off');
  if (health.timestamps === false) found.push('timestamps_off');
  if (health.events === 0) found.push('events_off');
  if (zeroedMs !== undefined && nowMs - zeroedMs < ZEROED_MS) found.push('counters_zeroed');
  if (health.entriesWithoutCounters > 0) found.push('entries_without_counters');
  return found;
}
