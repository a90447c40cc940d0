import type { Position } from '../aggregate/snapshot.ts';
import type { Owners } from '../owners/owners.ts';
import type { ReceivedBatch } from '../receiver/received.ts';
import { isOpen, type MissingOwner, missingOwners } from './missing-owners.ts';

/** A batch is held back for so long after its last byte moved: what Kubernetes has not reported by then is not waited for. */
export const MAX_PENDING_MS = 10_000;
/**
 * For the next owner of an address whose pod has ended a batch is held back for so long. A kubelet reports a pod's address within some
 * two seconds; mostly there is no next one, and the batch waits in vain.
 */
export const SUCCESSOR_MS = 5000;
/** Held batches together take no more; beyond that the oldest goes on as it is. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;
/** An address that was waited for in vain is not waited for again for so long: machines outside the cluster have addresses like it. */
export const UNRESOLVED_MS = 5 * 60_000;
/** Addresses of which that is kept. One more, and the oldest is evicted. */
const MAX_UNRESOLVED = 10_000;

/** How a batch stopped being pending: every owner was known; time was over; there was no room. */
type Outcome = 'resolved' | 'timed_out' | 'no_room';
export const OUTCOMES: readonly Outcome[] = ['resolved', 'timed_out', 'no_room'];

interface Held {
  batch: ReceivedBatch;
  missing: readonly MissingOwner[];
  deadlineMs: number;
  readonly bytes: number;
}

/**
 * Batches that name a pod which is not known yet. A pod's first bytes may be here before Kubernetes has reported it; enriched
 * at once they would have no owner for ever.
 *
 *   node-a -> [ batch 7 (10.1.0.9 is missing) | batch 8 | ... ]     in order: 8 is not enriched before 7
 *   node-b -> ...
 *
 * A held batch is received, not enriched: no snapshot has it, so none may commit it (`withoutHeld`).
 */
export class PendingBatches {
  readonly #owners: Owners;
  readonly #maxBytes: number;
  readonly #held = new Map<string, Held[]>();
  readonly #unresolved = new Map<string, number>();
  readonly #outcomes = new Map<Outcome, number>();
  #bytes = 0;

  constructor(owners: Owners, maxBytes: number = MAX_PENDING_BYTES) {
    this.#owners = owners;
    this.#maxBytes = maxBytes;
  }

  /** Batches that are held. */
  get size(): number {
    return [...this.#held.values()].reduce((sum, queue) => sum + queue.length, 0);
  }

  /** Takes a batch. @returns what can be enriched now, in order: nothing where it has to wait */
  offer(batch: ReceivedBatch, nowMs: number): ReceivedBatch[] {
    const { node } = batch.collector;
    const queue = this.#held.get(node) ?? [];
    const endMs = Math.min(batch.span.toMs, nowMs);
    const missing = nowMs < endMs + MAX_PENDING_MS ? this.#missing(batch, endMs, nowMs) : [];
    const deadlineMs = endMs + (missing.every((it) => it.successor) ? SUCCESSOR_MS : MAX_PENDING_MS);
    if (missing.length === 0 && queue.length === 0) return [batch];
    const bytes = sizeOf(batch);
    queue.push({ batch, missing, deadlineMs, bytes });
    this.#held.set(node, queue);
    this.#bytes += bytes;
    const ready: ReceivedBatch[] = [];
    while (this.#bytes > this.#maxBytes) ready.push(this.#release(this.#oldest(), 'no_room'));
    return ready;
  }

  /** Batches that are no longer pending, those of a node in order. To be called now and then. */
  due(nowMs: number): ReceivedBatch[] {
    const ready: ReceivedBatch[] = [];
    for (const [node, queue] of this.#held)
      for (let head = queue[0]; head !== undefined; head = queue[0]) {
        const { fromMs, toMs } = head.batch.span;
        head.missing = head.missing.filter(({ bytes }) =>
          isOpen(this.#owners.ownerBetween(bytes, 0, fromMs, toMs, node)),
        );
        if (head.missing.length > 0 && nowMs < head.deadlineMs) break;
        // Where nobody followed, the pod that ended was the owner.
        const unresolved = head.missing.filter((it) => !it.successor);
        this.#noteUnresolved(unresolved, nowMs);
        ready.push(this.#release(node, unresolved.length > 0 ? 'timed_out' : 'resolved'));
      }
    return ready;
  }

  /** All that is held, whatever is missing. */
  all(): ReceivedBatch[] {
    const ready: ReceivedBatch[] = [];
    for (const [node, queue] of this.#held) while (queue.length > 0) ready.push(this.#release(node, 'timed_out'));
    return ready;
  }

  /** The clock was set: what is held moves along. */
  shift(byMs: number): void {
    for (const held of [...this.#held.values()].flat()) {
      const { number, fromMs, toMs } = held.batch.span;
      held.batch = { ...held.batch, span: { number, fromMs: fromMs + byMs, toMs: toMs + byMs } };
      held.deadlineMs += byMs;
    }
    for (const [key, untilMs] of this.#unresolved) this.#unresolved.set(key, untilMs + byMs);
  }

  /** A position without what is held: how far the totals are. */
  withoutHeld(position: Position): Position {
    if (this.#held.size === 0) return position;
    const limited = new Map(position);
    for (const [node, queue] of this.#held) {
      const at = position.get(node);
      const first = at && firstOf(queue, at.epoch);
      if (at === undefined || first === undefined || first > at.number) continue;
      if (first > 1) limited.set(node, { ...at, number: first - 1 });
      else limited.delete(node);
    }
    return limited;
  }

  /** The first batch of a node's epoch that is held; undefined: none is. */
  firstHeld(node: string, epoch: string): number | undefined {
    return firstOf(this.#held.get(node) ?? [], epoch);
  }

  /** How many batches stopped being pending, by outcome, since the last call. */
  takeOutcomes(): ReadonlyMap<Outcome, number> {
    const taken = new Map(this.#outcomes);
    this.#outcomes.clear();
    return taken;
  }

  #missing(batch: ReceivedBatch, endMs: number, nowMs: number): MissingOwner[] {
    return missingOwners(batch, this.#owners).filter(({ key, successor }) =>
      successor ? nowMs < endMs + SUCCESSOR_MS : (this.#unresolved.get(key) ?? 0) <= nowMs,
    );
  }

  #noteUnresolved(missing: readonly MissingOwner[], nowMs: number): void {
    for (const { key } of missing) {
      this.#unresolved.delete(key);
      this.#unresolved.set(key, nowMs + UNRESOLVED_MS);
    }
    for (const key of this.#unresolved.keys()) {
      if (this.#unresolved.size <= MAX_UNRESOLVED) break;
      this.#unresolved.delete(key);
    }
  }

  /** The node whose first batch is pending longest. */
  #oldest(): string {
    const heads = [...this.#held].map(([node, queue]) => ({ node, deadlineMs: queue[0]!.deadlineMs }));
    return heads.reduce((a, b) => (b.deadlineMs < a.deadlineMs ? b : a)).node;
  }

  #release(node: string, outcome: Outcome): ReceivedBatch {
    const queue = this.#held.get(node)!;
    const { batch, bytes } = queue.shift()!;
    if (queue.length === 0) this.#held.delete(node);
    this.#bytes -= bytes;
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
    return batch;
  }
}

/** A collector that starts without its state has a new epoch and counts from 1: batches of the epoch before are not in its numbers. */
function firstOf(queue: readonly Held[], epoch: string): number | undefined {
  return queue.find(({ batch }) => batch.collector.epoch === epoch)?.batch.span.number;
}

function sizeOf({ parts }: ReceivedBatch): number {
  if (parts.byteLength !== undefined) return parts.byteLength;
  const columns = [...parts].flatMap((part) => [
    ...Object.values(part),
    ...Object.values(part.originalDestination ?? {}),
  ]);
  return columns.reduce((sum, column) => sum + (ArrayBuffer.isView(column) ? column.byteLength : 0), 0);
}
