import { ADDRESS_BYTES, ANY_V4, ANY_V6, addressKey, inRange, isPublic } from '@egressd/flow/address';
import type { FlowColumns } from '@egressd/flow/columns';
import type { Owners, Ownership } from '../owners/owners.ts';
import type { ReceivedBatch } from '../receiver/received.ts';

/** An address whose owner may be told yet. */
export interface Missing {
  readonly key: string;
  readonly bytes: Uint8Array;
}

/** What an address is to waiting. */
const SETTLED = 0;
/** Somebody of the sending node has it. */
const LOCAL = 1;
/** Nobody is known to have it, and it is a private one: a pod, or any machine of the same network. */
const PERHAPS = 2;
/** Nobody is known to have it, and it is of the cluster's own ranges. */
const OURS = 3;

/** Folded by the collector: nobody will ever have it. */
const FOLDED = new Set([addressKey(ANY_V4), addressKey(ANY_V6)]);

/**
 * Addresses of a batch whose owner is worth waiting for: of the cluster's own ranges and nobody's yet; or private and nobody's,
 * where the other end is not of the sending node either, because one of the two must be.
 */
export function missingOwners(batch: ReceivedBatch, owners: Owners): Missing[] {
  const missing = new Map<string, Missing>();
  for (const part of batch.parts) {
    const kinds = kindsOf(part, batch, owners);
    for (let row = 0; row < part.rows; row++) {
      const source = part.source[row]!;
      const destination = part.destination[row]!;
      if (isMissing(kinds[source]!, kinds[destination]!)) note(missing, part.addresses, source);
      if (isMissing(kinds[destination]!, kinds[source]!)) note(missing, part.addresses, destination);
    }
  }
  return [...missing.values()];
}

function isMissing(kind: number, other: number): boolean {
  return kind === OURS || (kind === PERHAPS && other !== LOCAL);
}

function note(missing: Map<string, Missing>, addresses: Uint8Array, index: number): void {
  const key = addressKey(addresses, index * ADDRESS_BYTES);
  if (missing.has(key)) return;
  // A copy: the batch may be gone before the address is.
  missing.set(key, { key, bytes: addresses.slice(index * ADDRESS_BYTES, (index + 1) * ADDRESS_BYTES) });
}

function kindsOf({ addresses }: FlowColumns, { collector, span }: ReceivedBatch, owners: Owners): Uint8Array {
  const kinds = new Uint8Array(addresses.length / ADDRESS_BYTES);
  for (let i = 0, at = 0; i < kinds.length; i++, at += ADDRESS_BYTES) {
    const ownership = owners.during(addresses, at, span.fromMs, span.toMs);
    kinds[i] =
      ownership.known === 'nobody' ? strangerKind(addresses, at, owners) : ownedKind(ownership, collector.node);
  }
  return kinds;
}

function strangerKind(addresses: Uint8Array, at: number, { clusterRanges }: Owners): number {
  if (FOLDED.has(addressKey(addresses, at))) return SETTLED;
  if (clusterRanges.some((range) => inRange(range, addresses, at))) return OURS;
  return isPublic(addresses, at) ? SETTLED : PERHAPS;
}

function ownedKind(ownership: Exclude<Ownership, { known: 'nobody' }>, node: string): number {
  const owners = ownership.known === 'owner' ? [ownership.owner] : ownership.owners;
  return owners.some((owner) => owner.node === node) ? LOCAL : SETTLED;
}
