import { ADDRESS_BYTES, ANY_V4, ANY_V6, addressKey, inRange, isPublic } from '@egressd/flow/address';
import type { FlowColumns } from '@egressd/flow/columns';
import type { Owners, Ownership } from '../owners/owners.ts';
import type { ReceivedBatch } from '../receiver/received.ts';

/** An address whose owner may become known yet. */
export interface MissingOwner {
  readonly key: string;
  readonly bytes: Uint8Array;
  /** It had one, who had it no more before the batch's end: a next one may have moved some of the bytes. */
  readonly successor: boolean;
}

/** How an address stands. RESOLVED: its owner is known, or will never be. */
const RESOLVED = 0;
/** A pod of the sending node, or the node, has it. */
const LOCAL = 1;
/** No known owner, and it is a private one: a pod, or any machine of the same network. */
const MAYBE_POD = 2;
/** No known owner, and it is of the cluster's own ranges. */
const CLUSTER_IP = 3;
/** Flag beside RESOLVED and LOCAL: its last owner, a pod, has it no more. */
const ENDED = 4;

/** Folded by the collector: it never has an owner. */
const FOLDED = new Set([addressKey(ANY_V4), addressKey(ANY_V6)]);

/**
 * Addresses of a batch whose owner is worth waiting for: of the cluster's own ranges without an owner yet; or private without an owner,
 * where the other end is not of the sending node either, because one of the two must be; or of a pod that has ended in the batch's
 * time, since Kubernetes may not have reported yet who has its address now.
 */
export function missingOwners(batch: ReceivedBatch, owners: Owners): MissingOwner[] {
  const missing = new Map<string, MissingOwner>();
  for (const part of batch.parts) {
    const kinds = kindsOf(part, batch, owners);
    for (let row = 0; row < part.rows; row++) {
      const source = part.source[row]!;
      const destination = part.destination[row]!;
      if (isMissing(kinds[source]!, kinds[destination]!)) note(missing, part.addresses, source, kinds[source]!);
      if (isMissing(kinds[destination]!, kinds[source]!))
        note(missing, part.addresses, destination, kinds[destination]!);
    }
  }
  return [...missing.values()];
}

function isMissing(kind: number, other: number): boolean {
  return kind >= CLUSTER_IP || (kind === MAYBE_POD && (other & ~ENDED) !== LOCAL);
}

function note(missing: Map<string, MissingOwner>, addresses: Uint8Array, index: number, kind: number): void {
  const key = addressKey(addresses, index * ADDRESS_BYTES);
  if (missing.has(key)) return;
  // A copy: the batch may be gone before the address is.
  const bytes = addresses.slice(index * ADDRESS_BYTES, (index + 1) * ADDRESS_BYTES);
  missing.set(key, { key, bytes, successor: (kind & ENDED) !== 0 });
}

function kindsOf({ addresses }: FlowColumns, { collector, span }: ReceivedBatch, owners: Owners): Uint8Array {
  const kinds = new Uint8Array(addresses.length / ADDRESS_BYTES);
  for (let i = 0, at = 0; i < kinds.length; i++, at += ADDRESS_BYTES) {
    const ownership = owners.ownerBetween(addresses, at, span.fromMs, span.toMs, collector.node);
    kinds[i] = ownership.known === 'none' ? unownedKind(addresses, at, owners) : ownedKind(ownership, collector.node);
  }
  return kinds;
}

function unownedKind(addresses: Uint8Array, at: number, { clusterRanges }: Owners): number {
  if (FOLDED.has(addressKey(addresses, at))) return RESOLVED;
  if (clusterRanges.some((range) => inRange(range, addresses, at))) return CLUSTER_IP;
  return isPublic(addresses, at) ? RESOLVED : MAYBE_POD;
}

function ownedKind(ownership: Exclude<Ownership, { known: 'none' }>, node: string): number {
  const owners = ownership.known === 'owner' ? [ownership.owner] : ownership.owners;
  const kind = owners.some((owner) => owner.node === node) ? LOCAL : RESOLVED;
  return ownership.ended === true && owners.some((owner) => owner.kind === 'pod') ? kind | ENDED : kind;
}

/** Whether the owner is not known yet, or the next one. */
export function isOpen(ownership: Ownership): boolean {
  return ownership.known === 'none' || ownership.ended === true;
}
