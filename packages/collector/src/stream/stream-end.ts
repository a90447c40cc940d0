import { shortened } from '@egressd/daemon/printable';
import { status } from '@grpc/grpc-js';

/** Why a stream ended: the `reason` of `egressd_collector_streams_ended_total`, and of the log line. */
export type EndReason =
  /** No answer there, the network is broken, or the exporter is not ready. */
  | 'unavailable'
  /** The two sides cannot agree on certificates. */
  | 'tls'
  /** The server there is not an egressd exporter. */
  | 'unimplemented'
  /** The exporter does not accept that we send for this node. */
  | 'permission_denied'
  /** The two sides know no common protocol. */
  | 'protocol'
  /** The exporter has no room, or a message is too large for it. */
  | 'resource_exhausted'
  /** Another collector said Hello for the same node. */
  | 'superseded'
  /** A message that `stream.proto` does not allow. */
  | 'invalid'
  /** The exporter has more batches of this epoch than were sent from here. */
  | 'ahead'
  /** No Welcome in time. */
  | 'no_welcome'
  /** Batches were sent, and no progress was made for too long. */
  | 'stalled'
  /** The exporter ended the stream in order. */
  | 'closed'
  /** Our own certificate files cannot be used. */
  | 'tls_files'
  | 'other';

/** The end of a stream, for one log line. */
export interface StreamEnd {
  readonly reason: EndReason;
  /** What happened, in the words of the side that noticed. */
  readonly text: string;
}

/** By reason: what the operator can do. */
export const ADVICE: Readonly<Record<EndReason, string>> = {
  unavailable:
    'check that the exporter runs and is ready, that exporter-address is its gRPC port, and that both sides or none use TLS (a certificate that it does not trust can look like this too)',
  tls: 'check tls-ca-file, tls-cert-file and tls-key-file on both sides, and that the exporter certificate has the name in exporter-address',
  unimplemented:
    'exporter-address leads to something that is not an egressd exporter: use its gRPC port (6062 unless set)',
  permission_denied:
    'check NODE_NAME, that this host has an address of that node, and that the certificate names no other node',
  protocol: 'upgrade the older of the two: they may be one release apart',
  resource_exhausted: 'the exporter is at a limit: see its log and metrics',
  superseded: 'check that only one collector runs with this NODE_NAME',
  invalid: 'check the versions of both sides; if they are one release apart at most, report it',
  ahead:
    'was -state-dir copied, rolled back, or its disk full before a restart? A new epoch begins: nothing is counted twice',
  no_welcome: 'the exporter hangs, or something between drops packets: see its log',
  stalled: 'the exporter hangs, is overloaded, or something between drops packets: see its log',
  closed: 'nothing to do if the exporter restarts',
  tls_files: 'correct the file; it is read again at the next attempt',
  other: 'see the text, and the log of the exporter',
};

const BY_STATUS: Readonly<Partial<Record<status, EndReason>>> = {
  [status.OK]: 'closed',
  [status.UNAVAILABLE]: 'unavailable',
  [status.UNIMPLEMENTED]: 'unimplemented',
  [status.PERMISSION_DENIED]: 'permission_denied',
  [status.UNAUTHENTICATED]: 'permission_denied',
  [status.FAILED_PRECONDITION]: 'protocol',
  [status.RESOURCE_EXHAUSTED]: 'resource_exhausted',
  [status.ABORTED]: 'superseded',
  [status.INVALID_ARGUMENT]: 'invalid',
};

/** What TLS errors have in common in the words of Node and OpenSSL. */
const TLS_ERROR = /certificate|self-signed|altnames|\bssl\b|\btls|EPROTO|_CERT_|CERT_/i;

/** Longest text of an end. */
const MAX_TEXT_LENGTH = 1000;
const NOTE = 'Resolution note:';

/** The end that a gRPC status means. */
export function streamEndOf(code: status, details: string): StreamEnd {
  const reason = BY_STATUS[code] ?? 'other';
  const text = details === '' ? `status ${status[code] ?? code}` : unwrap(details);
  return { reason: reason === 'unavailable' && TLS_ERROR.test(text) ? 'tls' : reason, text };
}

/** Without what gRPC and OpenSSL wrap around the actual error. Short: the other end may have written it. */
function unwrap(details: string): string {
  return withoutNote(shortened(details, MAX_TEXT_LENGTH))
    .replace(/^No connection established\. Last error: (Error: )?/, 'no connection: ')
    .replace(/[\dA-F]+:error:[\dA-F]+:SSL routines:[^:]*:([^:]*):[\s\S]*$/, 'SSL: $1');
}

/** Without the empty note at the end, and the time before it. Not by one expression: over many blanks it would take for ever. */
function withoutNote(text: string): string {
  const at = text.lastIndexOf(NOTE);
  if (at < 0 || text.slice(at + NOTE.length).trim() !== '') return text;
  const before = text.slice(0, at).trimEnd().replace(/\.$/, '');
  return before.replace(/\(\d{4}-[\dT:.-]+Z\)$/, '').trimEnd();
}
