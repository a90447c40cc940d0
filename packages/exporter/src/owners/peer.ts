import { formatAddress, isLoopback } from '@egressd/flow/address';
import type { Owners } from './owners.ts';

/**
 * Why a stream from an address may not speak for a node; undefined: it may. Where the node's addresses are known it must come from
 * one of them, or from a pod of that node. Loopback is this host, or a proxy on it that does its own checks.
 */
export function maySpeakFor(
  owners: Owners,
  node: string,
  peer: Uint8Array | undefined,
  nowMs: number,
): string | undefined {
  const known = owners.node(node)?.addresses ?? [];
  if (known.length === 0) return undefined;
  if (peer === undefined) return `node ${node} has known addresses, and this stream comes from none`;
  if (isLoopback(peer) || known.some((address) => Buffer.compare(address, peer) === 0)) return undefined;
  const ownership = owners.during(peer, 0, nowMs, nowMs);
  if (ownership.known === 'owner' && ownership.owner.node === node) return undefined;
  const others = known.map((address) => formatAddress(address)).join(', ');
  return `${formatAddress(peer)} is no address of node ${node} (it has ${others}): correct NODE_NAME, or the node's addresses`;
}
