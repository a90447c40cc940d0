import { Bug } from '@egressd/flow/bug';
import type { Position } from '../aggregate/snapshot.ts';

/** Nodes that are remembered at a time. A further one is refused until others have been silent for long. */
export const MAX_NODES = 20_000;
/** Epochs that are remembered a node: the present one, and those it may come back to. */
export const MAX_EPOCHS_PER_NODE = 4;
/** A node that has sent nothing for so long is forgotten: its collector has long got its last commit. */
export const NODE_SILENT_MS = 24 * 60 * 60 * 1000;

/** Where a node's batches stand. Both numbers are 0 before the first. */
export interface Standing {
  readonly applied: number;
  readonly committed: number;
}

/** An epoch of a node's batches and where it stands. */
export interface SequenceImage extends Standing {
  readonly epoch: string;
}

/** What is remembered of a node; the present epoch first. */
export interface NodeImage {
  readonly node: string;
  readonly sequences: readonly SequenceImage[];
  /** When it was last heard of, Unix milliseconds. */
  readonly seenMs: number;
}

interface Sequence {
  readonly epoch: string;
  applied: number;
  committed: number;
}

interface NodeEntry {
  /** The present one first. */
  readonly sequences: Sequence[];
  seenMs: number;
}

/**
 * Which batches of which node have been applied, and which can no longer be lost: what makes a batch that comes twice count
 * once.
 *
 *   node-a -> epoch 5f3e...: applied 41, committed 39        <- the present one
 *             epoch 02bc...: applied 977, committed 977      <- of a collector before
 *   node-b -> ...
 *
 * Pure; lives in memory. An exporter that starts anew knows nobody, or what its last checkpoint knew: every collector sends again
 * what is behind that.
 */
export class Ledger {
  readonly #nodes = new Map<string, NodeEntry>();
  readonly #maxNodes: number;

  constructor(maxNodes: number = MAX_NODES) {
    this.#maxNodes = maxNodes;
  }

  /** Nodes that are remembered. */
  get size(): number {
    return this.#nodes.size;
  }

  /**
   * A collector of the node goes on with an epoch, which becomes the present one.
   * @returns where it stands; undefined where there is no room for another node
   */
  open(node: string, epoch: string, nowMs: number): Standing | undefined {
    let entry = this.#nodes.get(node);
    if (entry === undefined) {
      if (this.#nodes.size >= this.#maxNodes) return undefined;
      entry = { sequences: [], seenMs: nowMs };
      this.#nodes.set(node, entry);
    }
    entry.seenMs = nowMs;
    const at = entry.sequences.findIndex((sequence) => sequence.epoch === epoch);
    const [sequence = { epoch, applied: 0, committed: 0 }] = at === -1 ? [] : entry.sequences.splice(at, 1);
    entry.sequences.unshift(sequence);
    entry.sequences.length = Math.min(entry.sequences.length, MAX_EPOCHS_PER_NODE);
    return { applied: sequence.applied, committed: sequence.committed };
  }

  /** Where the node's present epoch stands. */
  standing(node: string): Standing {
    const { applied, committed } = this.#present(node);
    return { applied, committed };
  }

  /** Whether the batch of the node's present epoch was applied before. */
  isDuplicate(node: string, number: number): boolean {
    return number <= this.#present(node).applied;
  }

  /**
   * The batch was applied, or rejected for good.
   * @returns how many batches before it never came. An exporter without a history cannot know: 0.
   */
  apply(node: string, number: number, nowMs: number): number {
    const present = this.#present(node);
    if (number <= present.applied) throw new Bug(`batch ${number} of ${node} applied after ${present.applied}`);
    const missing = present.applied === 0 ? 0 : number - present.applied - 1;
    present.applied = number;
    this.#nodes.get(node)!.seenMs = nowMs;
    return missing;
  }

  /** The last batch applied of every node that has one, as it is now. */
  positions(): Position {
    const positions = new Map<string, { epoch: string; number: number }>();
    for (const [node, { sequences }] of this.#nodes) {
      const present = sequences[0]!;
      if (present.applied > 0) positions.set(node, { epoch: present.epoch, number: present.applied });
    }
    return positions;
  }

  /**
   * Every node and epoch, as far as its batches are in the totals.
   * @param firstHeld the first batch of an epoch that is applied, but in no total yet; undefined: there is none
   */
  image(firstHeld: (node: string, epoch: string) => number | undefined): NodeImage[] {
    return Array.from(this.#nodes, ([node, { sequences, seenMs }]) => ({
      node,
      seenMs,
      sequences: sequences.map(({ epoch, applied, committed }) => {
        const held = firstHeld(node, epoch) ?? Number.POSITIVE_INFINITY;
        return { epoch, applied: Math.min(applied, held - 1), committed };
      }),
    }));
  }

  /** Goes on from an image, before anybody was opened. */
  restore(nodes: readonly NodeImage[]): void {
    for (const { node, sequences, seenMs } of nodes)
      this.#nodes.set(node, { sequences: sequences.map((sequence) => ({ ...sequence })), seenMs });
  }

  /**
   * Everything up to a position can no longer be lost. Parts of it that belong to an epoch that is no longer the present
   * one are kept for the case that it comes back.
   * @returns the nodes whose present epoch moved: what to tell their collectors
   */
  commitUpTo(position: Position): Position {
    const moved = new Map<string, { epoch: string; number: number }>();
    for (const [node, { epoch, number }] of position) {
      const sequences = this.#nodes.get(node)?.sequences ?? [];
      const sequence = sequences.find((one) => one.epoch === epoch);
      if (sequence === undefined) continue;
      const committed = Math.min(number, sequence.applied);
      if (committed <= sequence.committed) continue;
      sequence.committed = committed;
      if (sequence === sequences[0]) moved.set(node, { epoch, number: committed });
    }
    return moved;
  }

  /**
   * Forgets nodes that have been silent for `NODE_SILENT_MS`.
   * @param connected nodes that are kept however silent
   * @returns how many were forgotten
   */
  forgetSilent(nowMs: number, connected: (node: string) => boolean): number {
    const before = this.#nodes.size;
    for (const [node, { seenMs }] of this.#nodes)
      if (nowMs - seenMs > NODE_SILENT_MS && !connected(node)) this.#nodes.delete(node);
    return before - this.#nodes.size;
  }

  #present(node: string): Sequence {
    const present = this.#nodes.get(node)?.sequences[0];
    if (present === undefined) throw new Bug(`node ${node} was never opened`);
    return present;
  }
}
