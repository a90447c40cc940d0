import { parseRetryAfter } from '@egressd/daemon/backoff';
import { asMap, asText } from './json.ts';

/**
 * Why the API server's answer is not what was asked for:
 *
 *   config        the kubeconfig or the service account's files cannot be used
 *   unreachable   no connection, or it broke
 *   tls           its certificate is not trusted
 *   silent        nothing came for longer than anybody should be silent
 *   unauthorized  401: it does not know who we are
 *   forbidden     403: a rule is missing
 *   gone          410: the version that was asked for is no longer kept
 *   throttled     429: too many requests
 *   server        5xx
 *   unexpected    anything else: hardly a Kubernetes API server
 */
export const FAILURES = [
  'config',
  'unreachable',
  'tls',
  'silent',
  'unauthorized',
  'forbidden',
  'gone',
  'throttled',
  'server',
  'unexpected',
] as const;
export type FailureReason = (typeof FAILURES)[number];

/** A request to the API server failed. The text says what to do; no token is in it. */
export class KubeFailure extends Error {
  override readonly name = 'KubeFailure';
  readonly reason: FailureReason;
  /** The server asked for this pause. */
  readonly retryAfterMs: number | undefined;
  /** Of the answer; undefined where there was none that counts. */
  readonly status: number | undefined;

  constructor(reason: FailureReason, message: string, retryAfterMs?: number, status?: number) {
    super(message);
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
    this.status = status;
  }
}

/** What a request wanted, in the words of RBAC. */
export interface Asked {
  readonly verb: 'list' | 'watch' | 'create' | 'get' | 'update';
  /** The API group; undefined: core. */
  readonly group?: string;
  readonly resource: string;
  /** Where a Role would do; undefined: it takes a ClusterRole. */
  readonly namespace?: string;
  /** The one object that is asked for, where a rule may be so narrow. */
  readonly name?: string;
}

/** Words of others are cut there. */
export const MAX_SAID = 300;

/** The failure in an answer that is not a success. @param body as far as it was read */
export function failureOf(asked: Asked, status: number, body: string, retryAfter: string | undefined): KubeFailure {
  const said = saidIn(body);
  const retryAfterMs = parseRetryAfter(retryAfter, Date.now());
  if (status === 401)
    return new KubeFailure(
      'unauthorized',
      `the API server does not know us (401): is the token or certificate expired?`,
    );
  if (status === 403) {
    return new KubeFailure(
      'forbidden',
      `a rule is missing: ${ruleFor(asked)}; the API server says: ${said}`,
      undefined,
      status,
    );
  }
  if (status === 410) return new KubeFailure('gone', said);
  if (status === 429) return new KubeFailure('throttled', 'the API server has too many requests (429)', retryAfterMs);
  if (status >= 500) return new KubeFailure('server', `the API server answers ${status}: ${said}`, retryAfterMs);
  const text = `${status} to ${asked.verb} ${asked.resource}: ${said}; is this the address of a Kubernetes API server?`;
  return new KubeFailure('unexpected', `the API server answers ${text}`, undefined, status);
}

/** What would allow it. */
function ruleFor({ verb, group = '', resource, namespace, name }: Asked): string {
  const role = namespace === undefined ? 'a ClusterRole' : `a Role in the namespace ${namespace}`;
  const names = name === undefined ? '' : `, resourceNames: ["${name}"]`;
  return `bind ${role} with apiGroups: ["${group}"], resources: ["${resource}"]${names}, verbs: ["${verb}"]`;
}

/** The message of a `Status`, else the beginning of whatever it is. */
function saidIn(body: string): string {
  let message = '';
  try {
    message = asText(asMap(JSON.parse(body)).message);
  } catch {
    // Proxies answer with pages.
  }
  return (message || body).replace(/\s+/g, ' ').trim().slice(0, MAX_SAID);
}

/** Codes of OpenSSL and Node.js for a certificate that is not trusted, or no TLS at all. */
const TLS_CODE = /CERT|^ERR_TLS|^ERR_SSL|^EPROTO$|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)/;

/** The failure in an error of Node.js or of the client's configuration. */
export function failureFrom(error: unknown): KubeFailure {
  if (error instanceof KubeFailure) return error;
  const { code = '', message = String(error) } = error as NodeJS.ErrnoException;
  if (TLS_CODE.test(code)) {
    const advice = 'is certificate-authority of the kubeconfig (in a cluster: ca.crt) the one that signed it?';
    return new KubeFailure('tls', `the API server's certificate is not trusted: ${message} (${code}); ${advice}`);
  }
  return new KubeFailure('unreachable', `no answer from the API server: ${message}`);
}
