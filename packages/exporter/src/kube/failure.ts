import { parseRetryAfter } from '@egressd/daemon/backoff';
import { asMap, asText } from './json.ts';

/**
 * Why a request to the API server failed:
 *
 *   config        the kubeconfig or the service account's files cannot be used
 *   unreachable   no connection, or it broke
 *   tls           its certificate is not trusted
 *   timeout       nothing came for too long
 *   unauthorized  401: the token or certificate is not accepted
 *   forbidden     403: an RBAC rule is missing
 *   gone          410: the resource version is no longer available
 *   throttled     429: too many requests
 *   server        5xx
 *   unexpected    anything else: hardly a Kubernetes API server
 */
export const FAILURE_REASONS = [
  'config',
  'unreachable',
  'tls',
  'timeout',
  'unauthorized',
  'forbidden',
  'gone',
  'throttled',
  'server',
  'unexpected',
] as const;
export type FailureReason = (typeof FAILURE_REASONS)[number];

/** A request to the API server failed. The message has advice and no token. */
export class KubeFailure extends Error {
  override readonly name = 'KubeFailure';
  readonly reason: FailureReason;
  /** Retry-After of the response. */
  readonly retryAfterMs: number | undefined;
  /** HTTP status of a 403 and of unexpected responses. */
  readonly status: number | undefined;

  constructor(reason: FailureReason, message: string, retryAfterMs?: number, status?: number) {
    super(message);
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
    this.status = status;
  }
}

/** What RBAC decides a request by, in its words. */
export interface ResourceAttributes {
  readonly verb: 'list' | 'watch' | 'create' | 'get' | 'update';
  /** The API group; undefined: core. */
  readonly group?: string;
  readonly resource: string;
  /** Where a Role is enough; undefined: it takes a ClusterRole. */
  readonly namespace?: string;
  /** The one object of the request, where a rule may be that narrow. */
  readonly name?: string;
}

/** Texts of responses and commands are cut to so many characters. */
export const MAX_TEXT = 300;

/** The failure of a response that is not a success. @param body as far as it was read */
export function failureOfResponse(
  attributes: ResourceAttributes,
  status: number,
  body: string,
  retryAfter: string | undefined,
): KubeFailure {
  const text = messageOf(body);
  const retryAfterMs = parseRetryAfter(retryAfter, Date.now());
  if (status === 401)
    return new KubeFailure(
      'unauthorized',
      'the API server does not accept our credentials (401): is the token or certificate expired?',
    );
  if (status === 403)
    return new KubeFailure(
      'forbidden',
      `an RBAC rule is missing (403): ${ruleFor(attributes)}; the API server answered: ${text}`,
      undefined,
      status,
    );
  if (status === 410) return new KubeFailure('gone', text);
  if (status === 429)
    return new KubeFailure('throttled', 'the API server answered too many requests (429)', retryAfterMs);
  if (status >= 500) return new KubeFailure('server', `the API server answered ${status}: ${text}`, retryAfterMs);
  const request = `${attributes.verb} ${attributes.resource}`;
  const advice = 'is this the address of a Kubernetes API server?';
  const message = `the API server answered ${status} to ${request}: ${text}; ${advice}`;
  return new KubeFailure('unexpected', message, undefined, status);
}

/** The rule that would allow it. */
function ruleFor({ verb, group = '', resource, namespace, name }: ResourceAttributes): string {
  const role = namespace === undefined ? 'a ClusterRole' : `a Role in the namespace ${namespace}`;
  const names = name === undefined ? '' : `, resourceNames: ["${name}"]`;
  return `bind ${role} with apiGroups: ["${group}"], resources: ["${resource}"]${names}, verbs: ["${verb}"]`;
}

/** The message of a `Status` object, else the beginning of the body. */
function messageOf(body: string): string {
  let message = '';
  try {
    message = asText(asMap(JSON.parse(body)).message);
  } catch {
    // Proxies answer with HTML.
  }
  return (message || body).replace(/\s+/g, ' ').trim().slice(0, MAX_TEXT);
}

/** Codes of OpenSSL and Node.js for a certificate that is not trusted, or no TLS at all. */
const TLS_CODE = /CERT|^ERR_TLS|^ERR_SSL|^EPROTO$|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)/;

/** An error of Node.js or of the client's configuration as a KubeFailure. */
export function toKubeFailure(error: unknown): KubeFailure {
  if (error instanceof KubeFailure) return error;
  const { code = '', message = String(error) } = error as NodeJS.ErrnoException;
  if (TLS_CODE.test(code)) {
    const advice = 'is certificate-authority of the kubeconfig (in a cluster: ca.crt) the one that signed it?';
    return new KubeFailure('tls', `the API server's certificate is not trusted: ${message} (${code}); ${advice}`);
  }
  return new KubeFailure('unreachable', `the API server cannot be reached: ${message}`);
}
