/** Why there is no response. */
export type HttpFailureKind = 'timeout' | 'dns' | 'connect' | 'tls' | 'closed' | 'proxy' | 'credentials' | 'stopped';

/** What errors of undici and Node carry. Their class is not tested: another realm (as in Jest) has classes of its own. */
interface ErrorLike {
  readonly message?: string;
  readonly code?: string;
  readonly cause?: ErrorLike;
  readonly errors?: readonly ErrorLike[];
}

/** What kind of failure an error of undici or Node is, with what to do about it. */
export function explainError(error: unknown): { readonly failure: HttpFailureKind; readonly text: string } {
  const { code, message } = rootOf(error as ErrorLike);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return { failure: 'dns', text: `the host cannot be resolved (${code}): check the URL and the DNS` };
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return { failure: 'timeout', text: 'connect timed out' };
  if (/^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EACCES|EADDRNOTAVAIL|ETIMEDOUT)$/.test(code))
    return { failure: 'connect', text: `cannot connect (${code}): check that it listens there, and network policies` };
  if (isTlsCode(code)) {
    const text = `TLS failed (${code}: ${message}): check the certificates and tls.caFile, tls.serverName`;
    return { failure: 'tls', text };
  }
  if (/prox/i.test(message)) return { failure: 'proxy', text: `the proxy refused or failed (${message})` };
  return { failure: 'closed', text: `the connection broke before the response was complete (${code || message})` };
}

/** The innermost cause; of several that failed together, the first. */
function rootOf(error: ErrorLike): { code: string; message: string } {
  const inner = error.cause ?? error.errors?.[0];
  if (inner !== undefined && inner !== null && typeof inner === 'object') return rootOf(inner);
  return { code: error.code ?? '', message: error.message ?? String(error) };
}

function isTlsCode(code: string): boolean {
  return /^(ERR_SSL|ERR_TLS|ERR_OSSL|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|EPROTO)/.test(code);
}
