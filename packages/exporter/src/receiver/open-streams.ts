import { formatAddress } from '@egressd/flow/address';
import type { BatchOffsets } from '../state/batch-offsets.ts';
import type { Collector } from './received.ts';
import type { Session } from './session.ts';

/**
 * The open streams of all collectors, one a node: a newer one ends the older.
 *
 *   node -> session
 *
 * The receiver keeps it; what acknowledges batches or checks nodes reads it.
 */
export class OpenStreams {
  readonly #byNode = new Map<string, Session>();
  /** The receiver listens. */
  listening = false;

  /** How many. */
  get size(): number {
    return this.#byNode.size;
  }

  /** Names of the nodes. */
  get nodes(): ReadonlySet<string> {
    return new Set(this.#byNode.keys());
  }

  get collectors(): readonly Collector[] {
    return [...this.#byNode.values()].map((session) => session.collector!);
  }

  has(node: string): boolean {
    return this.#byNode.has(node);
  }

  /** Acknowledges what can no longer be lost: the nodes that `BatchOffsets.commitUpTo` moved. */
  commit(moved: ReturnType<BatchOffsets['commitUpTo']>): void {
    for (const node of moved.keys()) this.#byNode.get(node)?.ack();
  }

  /** The session is its node's stream from now on. */
  add(node: string, session: Session): void {
    const older = this.#byNode.get(node);
    this.#byNode.set(node, session);
    const peer = session.collector?.peer === undefined ? '' : ` from ${formatAddress(session.collector.peer)}`;
    older?.end({ reason: 'superseded', text: `a newer stream${peer} of node ${node} took its place` });
  }

  /** The session has ended. */
  delete(session: Session): void {
    const node = session.collector?.node;
    if (node !== undefined && this.#byNode.get(node) === session) this.#byNode.delete(node);
  }
}
