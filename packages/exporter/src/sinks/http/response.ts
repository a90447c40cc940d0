import { parseRetryAfter } from '@egressd/daemon/backoff';
import type { Fault, SendResult } from '../sink.ts';
import type { HttpFailure, HttpResponse } from './client.ts';
import type { HttpFailureKind } from './failure.ts';

/**
 * Statuses that mean something in the body: Prometheus, Mimir, VictoriaMetrics and others say 400, Thanos 409 for out-of-order
 * samples, some 422.
 */
const CONTENT_STATUSES = new Set([400, 409, 422]);
/** A 400 for the size of the request: Cortex, Mimir (`received message larger than max`), VictoriaMetrics (`too big ...`). */
const TOO_LARGE =
  /larger than max|(message|request|body|entity|packet|data|block)( size)?( is)? too (large|big)|too (large|big) (message|request|body|packed|unpacked|compressed|snappy)|max(imum)? (message|request|body) size|max-recv-msg-size|maxInsertRequestSize/i;
/** Retryable statuses below 500: request time-out, too early, too many requests. */
const RETRYABLE_STATUSES = new Set([408, 425, 429]);
/** A clock that differs by more is off: answers take time, and `Date` has whole seconds. */
const CLOCK_OFF_MS = 60_000;
/** Failures before the request was on its way. */
const BEFORE_SENDING: ReadonlySet<HttpFailureKind> = new Set(['dns', 'connect', 'tls', 'credentials']);

/**
 * What a response, or its absence, means for the bytes that were sent: stored, retryable (5xx, 408, 425, 429 with its `Retry-After`, no
 * response) or rejected.
 * @param displayUrl the receiver's URL without secrets
 */
export function classifyResponse(response: HttpResponse | HttpFailure, displayUrl: string, nowMs: number): SendResult {
  if ('failure' in response) {
    const maybeStored = !BEFORE_SENDING.has(response.failure);
    return { outcome: 'retryable', status: response.failure, maybeStored, message: response.message };
  }
  const { status } = response;
  const clocks = clockDifference(response, nowMs);
  const answered = `${displayUrl} answered ${status}${response.text === '' ? '' : `: ${response.text}`}`;
  const message = clocks === undefined ? answered : `${answered} (${clocks})`;
  if (status >= 200 && status < 300) {
    if (!response.isHtml)
      return { outcome: 'ok', status: String(status), ...(clocks && { warning: `${displayUrl}: ${clocks}` }) };
    return rejected('request', 'html', `${message} (an HTML page: the URL is not an endpoint that takes data)`);
  }
  if (status >= 500 || RETRYABLE_STATUSES.has(status)) {
    const { 'retry-after': retryAfter, date } = response.headers;
    // A date to wait for is by the receiver's clock, which the response has too.
    const retryAfterMs = parseRetryAfter(single(retryAfter), Date.parse(single(date) ?? '') || nowMs);
    return { outcome: 'retryable', status: String(status), maybeStored: status !== 429, retryAfterMs, message };
  }
  if (status === 400 && TOO_LARGE.test(response.text)) return rejected('size', '400', message);
  if (CONTENT_STATUSES.has(status)) return rejected('content', String(status), message);
  if (status === 413) return rejected('size', '413', message);
  return rejected('request', String(status), `${message} (${adviceFor(status, response)})`);
}

/** What to say where the receiver's time is another one: it refuses samples for that, and the clock to look at is ours. */
function clockDifference({ headers }: HttpResponse, nowMs: number): string | undefined {
  const aheadMs = Date.parse(single(headers.date) ?? '') - nowMs;
  if (!(Math.abs(aheadMs) > CLOCK_OFF_MS)) return undefined;
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  return `its clock is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} the exporter's: check the clock of the exporter's node`;
}

function rejected(fault: Fault, status: string, message: string): SendResult {
  return { outcome: 'rejected', status, fault, message };
}

function adviceFor(status: number, response: HttpResponse): string {
  if (status === 401 || status === 403) return 'check the credentials and what they may do';
  if (status === 404 || status === 405)
    return 'check the path of the URL, and that the receiver takes this kind of data';
  if (status >= 300 && status < 400)
    return `redirects are not followed: set the URL to ${response.redirect ?? 'where it should go'}`;
  return 'check the settings of the sink';
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
