import { addressKey, formatAddress, inRange, isLoopback } from '@egressd/flow/address';
import type { Owners } from '../owners/owners.ts';
import type { CertificateNodes } from './certificate-nodes.ts';

/** What a collector says of itself, and how its stream comes. */
export interface NodeClaim {
  readonly node: string;
  /** The node's own addresses, from its kernel. */
  readonly nodeAddresses: readonly Uint8Array[];
  /** Where the stream comes from; undefined where that is no IP address. */
  readonly peer: Uint8Array | undefined;
  readonly certificate: CertificateNodes;
}

/** Names that an error message shows. */
const MAX_SHOWN = 3;

/**
 * Whether a collector may report for the node that it names. In this order:
 *
 * 1. A certificate that names nodes (`egressd://node/NAME`) decides, whatever the address: it is valid for them and no others.
 * 2. Loopback is this host, or a proxy on it that does its own checks.
 * 3. Refused is what is known to be another's: an address that is declared for another node (inventory, Kubernetes), one of another
 *    node's pod, or one of another node's pod ranges that its own kernel does not report.
 * 4. All else is taken. On overlay networks a stream comes masqueraded from the tunnel's address of its node (flannel.1), or, on the
 *    exporter's own node, from the bridge's (cni0); which of these is whose may be known only later.
 *
 * @returns why not; undefined: it may
 */
export function authorizeNode(owners: Owners, claim: NodeClaim, nowMs: number): string | undefined {
  const { node, peer, certificate } = claim;
  if (certificate.kind === 'unclear')
    return `the certificate of the collector of node ${node} allows nothing: ${certificate.what}`;
  if (certificate.kind === 'named')
    return certificate.names.includes(node) ? undefined : wrongCertificate(node, certificate.names);
  if (peer === undefined || isLoopback(peer)) return undefined;
  const other = otherNode(owners, claim, peer, nowMs);
  return other === undefined
    ? undefined
    : `${formatAddress(peer)} is ${other}, not of node ${node}: correct NODE_NAME, or the nodes' addresses`;
}

function wrongCertificate(node: string, names: readonly string[]): string {
  const more = names.length > MAX_SHOWN ? ` and ${names.length - MAX_SHOWN} more` : '';
  const allowed = `${names.slice(0, MAX_SHOWN).join(', ')}${more}`;
  return `a collector reports for node ${node}, and its certificate is for ${allowed}: check NODE_NAME, and which collector has that certificate`;
}

/** Whose the peer is, if not this node's. */
function otherNode(owners: Owners, claim: NodeClaim, peer: Uint8Array, nowMs: number): string | undefined {
  const { node, nodeAddresses } = claim;
  const key = addressKey(peer);
  const { addresses = [], podRanges = [] } = owners.node(node) ?? {};
  if (hasAddress(addresses, key)) return undefined;
  const declared = owners.declaredOwner(peer, nowMs);
  if (declared !== undefined && declared.node !== node)
    return declared.kind === 'pod'
      ? `of pod ${declared.namespace}/${declared.pod} on node ${declared.node}`
      : `of node ${declared.node}`;
  if (declared !== undefined || hasAddress(nodeAddresses, key)) return undefined;
  if (podRanges.some((range) => inRange(range, peer))) return undefined;
  const ranged = owners.nodeOfPodRange(peer);
  return ranged === undefined || ranged === node ? undefined : `in the pod range of node ${ranged}`;
}

function hasAddress(addresses: readonly Uint8Array[], key: string): boolean {
  return addresses.some((address) => addressKey(address) === key);
}
