import { parseRetryAfter } from '@egressd/daemon/backoff';
import type { Fault, SendResult } from '../sink.ts';
import type { HttpAnswer, HttpFailure, HttpFailureKind } from './client.ts';

/**
 * Statuses that mean something in the body: Prometheus, Mimir, VictoriaMetrics and others say 400, Thanos 409 for samples out of
 * order, some 422.
 */
const CONTENT_STATUSES = new Set([400, 409, 422]);
/** Statuses below 500 that pass: request time-out, too early, too many requests. */
const PASSING_STATUSES = new Set([408, 425, 429]);
/** Failures before the request was on its way. */
const BEFORE_SENDING: ReadonlySet<HttpFailureKind> = new Set(['dns', 'connect', 'tls', 'credentials']);

/** What an answer, or its absence, means for the bytes that were sent. */
export function resultOf(answer: HttpAnswer | HttpFailure, shownUrl: string, nowMs: number): SendResult {
  if ('failure' in answer) {
    const maybeStored = !BEFORE_SENDING.has(answer.failure);
    return { outcome: 'retryable', status: answer.failure, maybeStored, message: answer.message };
  }
  const { status } = answer;
  const said = `${shownUrl} answered ${status}${answer.text === '' ? '' : `: ${answer.text}`}`;
  if (status >= 200 && status < 300) {
    if (!answer.isPage) return { outcome: 'ok', status: String(status) };
    return rejected('request', 'page', `${said} (a page for people: the URL is not an endpoint that takes data)`);
  }
  if (status >= 500 || PASSING_STATUSES.has(status)) {
    const delayMs = parseRetryAfter(single(answer.headers['retry-after']), nowMs);
    return { outcome: 'retryable', status: String(status), maybeStored: status !== 429, delayMs, message: said };
  }
  if (CONTENT_STATUSES.has(status)) return rejected('content', String(status), said);
  if (status === 413) return rejected('size', '413', said);
  return rejected('request', String(status), `${said} (${adviceFor(status, answer)})`);
}

function rejected(fault: Fault, status: string, message: string): SendResult {
  return { outcome: 'rejected', status, fault, message };
}

function adviceFor(status: number, answer: HttpAnswer): string {
  if (status === 401 || status === 403) return 'check the credentials and what they may do';
  if (status === 404 || status === 405)
    return 'check the path of the URL, and that the receiver takes this kind of data';
  if (status >= 300 && status < 400) return `redirects are not followed: set the URL to ${redirectOf(answer)}`;
  return 'check the settings of the sink';
}

/** Where an answer points to, without what may be a secret. */
function redirectOf(answer: HttpAnswer): string {
  const url = URL.parse(single(answer.headers.location) ?? '');
  return url === null ? 'where it should go' : `${url.origin}${url.pathname}`;
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
