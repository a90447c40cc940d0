import { Bug } from '@egressd/flow/bug';
import type { Position } from '../aggregate/snapshot.ts';

/** Most nodes at a time. A further one is refused until idle ones are evicted. */
const MAX_NODES = 20_000;
/** Most epochs of a node: the current one, and those that it may come back to. */
export const MAX_EPOCHS_PER_NODE = 4;
/** A node that has sent nothing for so long is evicted: its collector has long received its last ack. */
export const NODE_IDLE_MS = 24 * 60 * 60 * 1000;

/**
 * Numbers of the last batches of an epoch, 0 before the first:
 *
 *   applied     it is in the totals, in memory
 *   committed   it can no longer be lost: the collector may discard it
 */
interface Offsets {
  readonly applied: number;
  readonly committed: number;
}

/** One epoch of a node's batches. */
interface EpochImage extends Offsets {
  readonly epoch: string;
}

/** The epochs of a node, the current one first. */
export interface NodeImage {
  readonly node: string;
  readonly epochs: readonly EpochImage[];
  /** When a batch or a stream of it last came, Unix milliseconds. */
  readonly seenMs: number;
}

interface EpochEntry {
  readonly epoch: string;
  applied: number;
  committed: number;
}

interface NodeEntry {
  /** The current one first. */
  readonly epochs: EpochEntry[];
  seenMs: number;
}

/**
 * Which batches of which node have been applied, and which are committed: deduplicates batches that are sent again.
 *
 *   node-a -> epoch 5f3e...: applied 41, committed 39        <- the current one
 *             epoch 02bc...: applied 977, committed 977      <- of an earlier collector
 *   node-b -> ...
 *
 * Pure; in memory. An exporter that starts has none of it, or what its last checkpoint had: every collector sends again what is
 * behind that.
 */
export class BatchOffsets {
  readonly #nodes = new Map<string, NodeEntry>();
  readonly #maxNodes: number;

  constructor(maxNodes: number = MAX_NODES) {
    this.#maxNodes = maxNodes;
  }

  /** Number of nodes. */
  get size(): number {
    return this.#nodes.size;
  }

  /**
   * A stream of the node starts or resumes an epoch, which becomes the current one.
   * @param mayGo nodes that are evicted where there is no room for this one; not given: none
   * @returns its offsets; undefined where there is no room for another node
   */
  open(node: string, epoch: string, nowMs: number, mayGo?: (node: string) => boolean): Offsets | undefined {
    let entry = this.#nodes.get(node);
    if (entry === undefined) {
      if (this.#nodes.size >= this.#maxNodes && !this.#makeRoom(mayGo)) return undefined;
      entry = { epochs: [], seenMs: nowMs };
      this.#nodes.set(node, entry);
    }
    entry.seenMs = nowMs;
    const at = entry.epochs.findIndex((one) => one.epoch === epoch);
    const [current = { epoch, applied: 0, committed: 0 }] = at === -1 ? [] : entry.epochs.splice(at, 1);
    entry.epochs.unshift(current);
    entry.epochs.length = Math.min(entry.epochs.length, MAX_EPOCHS_PER_NODE);
    return { applied: current.applied, committed: current.committed };
  }

  /** The offsets of the node's current epoch. */
  of(node: string): Offsets {
    const { applied, committed } = this.#current(node);
    return { applied, committed };
  }

  /** Whether the batch of the node's current epoch was applied before. */
  isDuplicate(node: string, number: number): boolean {
    return number <= this.#current(node).applied;
  }

  /**
   * The batch was applied, or rejected for good.
   * @returns how many batches before it never came; 0 for the first batch of an epoch, which may have begun with another exporter
   */
  apply(node: string, number: number, nowMs: number): number {
    const current = this.#current(node);
    if (number <= current.applied) throw new Bug(`batch ${number} of ${node} applied after ${current.applied}`);
    const missing = current.applied === 0 ? 0 : number - current.applied - 1;
    current.applied = number;
    this.#nodes.get(node)!.seenMs = nowMs;
    return missing;
  }

  /** The last batch applied of every node that has one: a copy. */
  positions(): Position {
    const positions = new Map<string, { epoch: string; number: number }>();
    for (const [node, { epochs }] of this.#nodes) {
      const { epoch, applied } = epochs[0]!;
      if (applied > 0) positions.set(node, { epoch, number: applied });
    }
    return positions;
  }

  /**
   * Every node and epoch, as far as its batches are in the totals.
   * @param firstPending the first batch of an epoch that is applied and still pending an owner, so in no total; undefined: none is
   */
  image(firstPending: (node: string, epoch: string) => number | undefined): NodeImage[] {
    return Array.from(this.#nodes, ([node, { epochs, seenMs }]) => ({
      node,
      seenMs,
      epochs: epochs.map(({ epoch, applied, committed }) => {
        const pending = firstPending(node, epoch) ?? Number.POSITIVE_INFINITY;
        return { epoch, applied: Math.min(applied, pending - 1), committed };
      }),
    }));
  }

  /** Continues from an image. To be called before `open`. */
  restore(nodes: readonly NodeImage[]): void {
    for (const { node, epochs, seenMs } of nodes)
      this.#nodes.set(node, { epochs: epochs.map((one) => ({ ...one })), seenMs });
  }

  /**
   * Everything up to a position can no longer be lost. It is noted too for an epoch that is no longer the current one: a collector may
   * come back to it.
   * @returns the nodes whose current epoch moved: the acks to send
   */
  commitUpTo(position: Position): Position {
    const moved = new Map<string, { epoch: string; number: number }>();
    for (const [node, { epoch, number }] of position) {
      const epochs = this.#nodes.get(node)?.epochs ?? [];
      const entry = epochs.find((one) => one.epoch === epoch);
      if (entry === undefined) continue;
      const committed = Math.min(number, entry.applied);
      if (committed <= entry.committed) continue;
      entry.committed = committed;
      if (entry === epochs[0]) moved.set(node, { epoch, number: committed });
    }
    return moved;
  }

  /** The clock was set: what was measured by it moves along. */
  shift(byMs: number): void {
    for (const entry of this.#nodes.values()) entry.seenMs += byMs;
  }

  /**
   * Evicts nodes that have sent nothing for `NODE_IDLE_MS`.
   * @param connected nodes that are not evicted, however idle
   * @returns how many were evicted
   */
  evictIdle(nowMs: number, connected: (node: string) => boolean): number {
    const before = this.#nodes.size;
    for (const [node, { seenMs }] of this.#nodes)
      if (nowMs - seenMs > NODE_IDLE_MS && !connected(node)) this.#nodes.delete(node);
    return before - this.#nodes.size;
  }

  /** Evicts the nodes that may go. @returns whether there were any */
  #makeRoom(mayGo: ((node: string) => boolean) | undefined): boolean {
    const before = this.#nodes.size;
    if (mayGo !== undefined) for (const node of this.#nodes.keys()) if (mayGo(node)) this.#nodes.delete(node);
    return this.#nodes.size < before;
  }

  #current(node: string): EpochEntry {
    const current = this.#nodes.get(node)?.epochs[0];
    if (current === undefined) throw new Bug(`node ${node} was never opened`);
    return current;
  }
}
