import { fromBinary } from '@bufbuild/protobuf';
import { ExportMetricsServiceResponseSchema, StatusSchema } from '@egressd/flow/gen/opentelemetry/v1/otlp_pb';
import type { HttpFailure, HttpResponse } from '../http/client.ts';
import { classifyResponse } from '../http/response.ts';
import type { SendResult } from '../sink.ts';

/**
 * The statuses after which a request may be repeated (https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes). After any
 * other the data goes with the next frame.
 */
const RETRYABLE_STATUSES = new Set([429, 502, 503, 504]);
/** A field that a message does not know is not kept: it would take a multiple of its size. */
const LEAN = { readUnknownFields: false };

/** What of a request was refused although it was answered with 200. */
interface PartialSuccess {
  /** Data points. */
  readonly rejected: number;
  readonly message: string;
}

/**
 * What a response, or its absence, means for the data points that were sent.
 * @param points how many there were
 * @param displayUrl the receiver's URL without secrets
 */
export function classifyMetricsResponse(
  response: HttpResponse | HttpFailure,
  points: number,
  displayUrl: string,
  nowMs: number,
): SendResult {
  if ('failure' in response) return classifyResponse(response, displayUrl, nowMs);
  const result = classifyResponse(withStatusMessage(response), displayUrl, nowMs);
  if (result.outcome === 'retryable' && !RETRYABLE_STATUSES.has(response.status)) return final(result, response);
  if (result.outcome !== 'ok') return result;
  const { status } = result;
  const { rejected, message: said } = readPartialSuccess(response);
  const quote = response.quote(said);
  if (rejected === 0) return quote === '' ? result : { ...result, warning: `${displayUrl}: ${quote}` };
  const message = `${displayUrl} answered ${status} and refused ${rejected} of ${points} data points: ${quote}`;
  if (rejected >= points) return { outcome: 'rejected', status, fault: 'content', message };
  return { outcome: 'partial', status, refused: rejected, message };
}

/** A failure that must not be repeated. Nothing is wrong with what is in the request that another would not have too. */
function final({ message }: SendResult & { message: string }, { status }: HttpResponse): SendResult {
  const advice =
    status === 500 ? ' (Prometheus answers so to delta sums: set send-traffic-delta of the collectors to false)' : '';
  return {
    outcome: 'rejected',
    status: String(status),
    fault: 'request',
    maybeStored: status >= 500,
    message: `${message}${advice}`,
  };
}

/** An answer whose body is a `Status`, with its message in place of its bytes. */
function withStatusMessage(response: HttpResponse): HttpResponse {
  if (response.status < 400 || !isProtobuf(response)) return response;
  try {
    return { ...response, text: response.quote(fromBinary(StatusSchema, response.body, LEAN).message) };
  } catch {
    return response;
  }
}

/** An answer that cannot be read is one without a refusal: its status says that the request was stored. */
function readPartialSuccess(response: HttpResponse): PartialSuccess {
  try {
    if (isProtobuf(response)) return fromProtobuf(response.body);
    return isJson(response) ? fromJson(response.body) : NOTHING_SAID;
  } catch {
    return { rejected: 0, message: 'its answer cannot be read, so it is not known whether it refused a part' };
  }
}

const NOTHING_SAID: PartialSuccess = { rejected: 0, message: '' };

function fromProtobuf(body: Uint8Array): PartialSuccess {
  const { partialSuccess } = fromBinary(ExportMetricsServiceResponseSchema, body, LEAN);
  if (partialSuccess === undefined) return NOTHING_SAID;
  return { rejected: count(partialSuccess.rejectedDataPoints), message: partialSuccess.errorMessage };
}

/** Some answer in JSON whatever they are asked in. 64-bit numbers are strings there. */
function fromJson(body: Buffer): PartialSuccess {
  const { partialSuccess } = JSON.parse(body.toString('utf8') || '{}') as {
    partialSuccess?: { rejectedDataPoints?: string | number; errorMessage?: string };
  };
  const { rejectedDataPoints, errorMessage } = partialSuccess ?? {};
  return { rejected: count(rejectedDataPoints), message: String(errorMessage ?? '') };
}

function count(value: bigint | string | number | undefined): number {
  return Math.max(0, Math.trunc(Number(value ?? 0)) || 0);
}

function isProtobuf({ headers }: HttpResponse): boolean {
  return /\bapplication\/(x-)?protobuf\b/i.test(String(headers['content-type']));
}

function isJson({ headers }: HttpResponse): boolean {
  return /\bapplication\/json\b/i.test(String(headers['content-type']));
}
