import { ADDRESS_BYTES, parseAddress } from '@egressd/flow/address';
import type { Hello } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { MAX_NODE_ADDRESSES } from '@egressd/flow/node-health';
import { agreeProtocol, OLDEST_PROTOCOL, PROTOCOL } from '@egressd/flow/service';
import type { CertificateNodes } from '../authorization/certificate-nodes.ts';
import type { Collector } from './received.ts';

/** Longest node name: that of a DNS name (RFC 1123), as Kubernetes has it. */
const MAX_NODE_NAME_LENGTH = 253;
/** Longest boot id, epoch (both UUIDs, 36 characters) and version. */
const MAX_ID_LENGTH = 64;
/** Namespaces that a collector may exclude. */
const MAX_EXCLUDED_NAMESPACES = 1024;

/** A Hello, read: a collector, or why it is rejected. */
type HelloResult =
  | {
      readonly kind: 'admitted';
      readonly collector: Collector;
      /** The node's own, from its kernel. Not kept with the stream: there may be hundreds. */
      readonly nodeAddresses: readonly Uint8Array[];
      readonly protocol: number;
    }
  | { readonly kind: 'protocol' | 'invalid'; readonly text: string };

/**
 * Reads a Hello.
 * @param peer where the stream comes from, as gRPC writes it: `address:port`
 */
export function readHello(hello: Hello, peer: string, certificate: CertificateNodes): HelloResult {
  const theirs = { newest: hello.protocol, oldest: hello.oldestProtocol };
  const protocol = agreeProtocol(theirs);
  if (protocol === undefined) {
    const text = `the collector ${hello.version.slice(0, MAX_ID_LENGTH)} speaks protocol ${theirs.oldest} to ${theirs.newest}, this exporter ${OLDEST_PROTOCOL} to ${PROTOCOL}: upgrade the older of the two`;
    return { kind: 'protocol', text };
  }
  const wrong = malformationOf(hello);
  if (wrong !== undefined) return { kind: 'invalid', text: `Hello is malformed: ${wrong}` };
  const { node, bootId, epoch, version, nodeAddresses, settings } = hello;
  const collector = {
    node,
    bootId,
    epoch,
    version,
    settings: {
      excludeNamespaces: settings?.excludeNamespaces ?? [],
      groupPublicIps: settings?.groupPublicIps ?? false,
      sendTrafficDelta: settings?.sendTrafficDelta,
    },
    peer: peerAddress(peer),
    certificate,
  };
  return { kind: 'admitted', collector, nodeAddresses: nodeAddresses.slice(0, MAX_NODE_ADDRESSES), protocol };
}

function malformationOf({ node, bootId, epoch, version, nodeAddresses, settings }: Hello): string | undefined {
  if (node === '') return 'it names no node: set NODE_NAME at the collector';
  if (node.length > MAX_NODE_NAME_LENGTH) return `the node's name is longer than ${MAX_NODE_NAME_LENGTH}`;
  if (/[\s\p{Cc}\p{Cf}]/u.test(node)) return "the node's name has blanks or control characters";
  if (epoch === '' || epoch.length > MAX_ID_LENGTH) return `epoch has not 1 to ${MAX_ID_LENGTH} characters`;
  if (bootId.length > MAX_ID_LENGTH) return `boot_id is longer than ${MAX_ID_LENGTH}`;
  if (version.length > MAX_ID_LENGTH) return `version is longer than ${MAX_ID_LENGTH}`;
  if (nodeAddresses.some((address) => address.length !== ADDRESS_BYTES)) return 'an address has not 16 bytes';
  if ((settings?.excludeNamespaces.length ?? 0) > MAX_EXCLUDED_NAMESPACES)
    return `more than ${MAX_EXCLUDED_NAMESPACES} namespaces are excluded`;
  return undefined;
}

/** The address in `10.0.0.1:4711`, `::1:4711` or `fe80::1%eth0:4711`; undefined where there is none. */
export function peerAddress(peer: string): Uint8Array | undefined {
  const host = peer.slice(0, Math.max(0, peer.lastIndexOf(':')));
  return parseAddress(host.replace(/%.*$/, ''));
}
