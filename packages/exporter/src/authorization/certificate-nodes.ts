import { X509Certificate } from 'node:crypto';
import type { ServerDuplexStream } from '@grpc/grpc-js';

/** For which nodes the peer's certificate is valid. */
export type CertificateNodes =
  /** No certificate was asked for, or it names no node: for any. */
  | { readonly kind: 'any' }
  | { readonly kind: 'named'; readonly names: readonly string[] }
  /** What the certificate allows cannot be determined: for none. */
  | { readonly kind: 'unclear'; readonly what: string };

/** What gRPC knows of the other end's certificate. */
type AuthContext = ReturnType<ServerDuplexStream<unknown, unknown>['getAuthContext']>;

/**
 * `egressd://node/NAME`, a URI among the subject alternative names (RFC 5280, 4.2.1.6), names a node. Scheme and host are the same
 * in upper case (RFC 3986, 3.1 and 3.2.2); the name is as Kubernetes has it, in lower case (RFC 1123).
 */
const NODE_URI = /^egressd:\/\/node\/([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)$/;
const NODE_URI_BEGIN = /^(egressd):\/\/(node)(?=\/)/i;
/** A URI of our scheme. Letters are never escaped in the text of the names. */
const OURS = /^egressd:/i;
const OURS_ANYWHERE = /egressd:/i;
/** One name in OpenSSL's text of them as Node.js writes it: what has special characters is a JSON string. */
const ALTERNATIVE_NAME = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;
/**
 * Reads for which nodes the peer's certificate is valid.
 * @param required whether the peer must have shown a certificate; one that then cannot be seen allows nothing
 */
export function certificateNodes({ sslPeerCertificate }: AuthContext, required: boolean): CertificateNodes {
  if (sslPeerCertificate === undefined)
    return required ? { kind: 'unclear', what: 'it cannot be seen any more' } : { kind: 'any' };
  return nodesIn(new X509Certificate(sslPeerCertificate.raw).subjectAltName ?? '');
}

/** The nodes in a certificate's alternative names. @param names as `X509Certificate.subjectAltName` */
export function nodesIn(names: string): CertificateNodes {
  if (!OURS_ANYWHERE.test(names)) return { kind: 'any' };
  const uris = urisIn(names)?.filter((uri) => OURS.test(uri));
  if (uris === undefined) return { kind: 'unclear', what: 'its alternative names cannot be read' };
  if (uris.length === 0) return { kind: 'any' };
  const nodes = uris.map((uri) => NODE_URI.exec(uri.replace(NODE_URI_BEGIN, (begin) => begin.toLowerCase()))?.[1]);
  const wrong = nodes.indexOf(undefined);
  if (wrong >= 0) return { kind: 'unclear', what: `its URI ${JSON.stringify(uris[wrong])} is not egressd://node/NAME` };
  return { kind: 'named', names: nodes as string[] };
}

/** undefined: the text cannot be split, and might hide one. */
function urisIn(names: string): string[] | undefined {
  const uris: string[] = [];
  let at = 0;
  while (at < names.length) {
    ALTERNATIVE_NAME.lastIndex = at;
    const [whole, kind, value = ''] = ALTERNATIVE_NAME.exec(names) ?? [];
    if (whole === undefined) return undefined;
    at += whole.length;
    const uri = value.startsWith('"') ? unquoted(value) : value;
    if (uri === undefined) return undefined;
    if (kind === 'URI') uris.push(uri);
  }
  return uris;
}

function unquoted(json: string): string | undefined {
  try {
    return JSON.parse(json) as string;
  } catch {
    return undefined;
  }
}
