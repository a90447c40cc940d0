import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { goJson } from './go-json.ts';

/** What a request asks for, as an authorizer sees it. */
export interface RequestAttributes {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly namespace: string | undefined;
  /** undefined: no object is named in the request. */
  readonly name?: string | undefined;
}

/** What an error is about (`StatusDetails` of meta/v1). */
interface StatusDetails {
  readonly name?: string | undefined;
  readonly group?: string | undefined;
  readonly kind?: string;
  readonly causes?: readonly { readonly reason: string; readonly message: string; readonly field?: string }[];
  /** Also sent as the header Retry-After. */
  readonly retryAfterSeconds?: number;
}

/** An error response of the Kubernetes API (`Status` of meta/v1), with its HTTP status. */
export interface StatusError {
  readonly code: number;
  /** Empty: an error that the server did not expect has none. */
  readonly reason: string;
  readonly message: string;
  readonly details?: StatusDetails;
  /** `metadata.continue`: goes on with a list whose snapshot is gone, inconsistently. */
  readonly continue?: string;
}

/** A `Status` object as the API server writes it. */
export function statusObject({ code, reason, message, continue: token, details }: StatusError): object {
  const metadata = token === undefined ? {} : { continue: token };
  const more = { ...(reason === '' ? {} : { reason }), ...(details === undefined ? {} : { details }) };
  return { kind: 'Status', apiVersion: 'v1', metadata, status: 'Failure', message, ...more, code };
}

/** 401: a token that is not accepted. */
export const UNAUTHORIZED: StatusError = { code: 401, reason: 'Unauthorized', message: 'Unauthorized' };

/** No rule allows it. The text is that of Kubernetes' RBAC authorizer. */
export function forbidden(user: string, { verb, group, resource, namespace, name }: RequestAttributes): StatusError {
  const where = namespace === undefined ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const kind = group === '' ? resource : `${resource}.${group}`;
  const what = name === undefined ? kind : `${kind} "${name}"`;
  const message = `${what} is forbidden: User "${user}" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`;
  return { code: 403, reason: 'Forbidden', message, details: { name, group: group || undefined, kind: resource } };
}

/** A watch from a version that is no longer kept. */
export function resourceVersionTooOld(asked: number, oldest: number): StatusError {
  return { code: 410, reason: 'Expired', message: `too old resource version: ${asked} (${oldest})` };
}

/** A page of a list whose snapshot is no longer kept. */
export function continueExpired(inconsistent: string): StatusError {
  const message =
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';
  return { code: 410, reason: 'Expired', message, continue: inconsistent };
}

/** 429: a watch, before the watch cache is filled. */
export function initializing(retryAfterSeconds: number): StatusError {
  const message = 'storage is (re)initializing';
  return { code: 429, reason: 'TooManyRequests', message, details: { retryAfterSeconds } };
}

/** 504: a version that is still to come. */
export function tooLargeVersion(asked: number, now: number): StatusError {
  const message = `Too large resource version: ${asked}, current: ${now}`;
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
  return { code: 504, reason: 'Timeout', message: `Timeout: ${message}`, details: { causes, retryAfterSeconds: 1 } };
}

/** 500: what is no version. */
export function badVersion(text: string): StatusError {
  return { code: 500, reason: '', message: `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax` };
}

/** 422: `sendInitialEvents` where it is not known, or not as it has to be. */
export function initialEventsForbidden(why: string): StatusError {
  const message = `ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: ${why}`;
  const causes = [{ reason: 'FieldValueForbidden', message: `Forbidden: ${why}`, field: 'sendInitialEvents' }];
  return { code: 422, reason: 'Invalid', message, details: { group: 'meta.k8s.io', kind: 'ListOptions', causes } };
}

/** 404: there is no such resource in a group that is there. */
export function notFound(): StatusError {
  return { code: 404, reason: 'NotFound', message: 'the server could not find the requested resource', details: {} };
}

/** There is no such object. */
export function objectNotFound(resource: string, name: string): StatusError {
  return {
    code: 404,
    reason: 'NotFound',
    message: `${resource} "${name}" not found`,
    details: { name, kind: resource },
  };
}

/** 409: an object of that name is there. */
export function alreadyExists(resource: string, name: string): StatusError {
  const details = { name, kind: resource };
  return { code: 409, reason: 'AlreadyExists', message: `${resource} "${name}" already exists`, details };
}

/** Written with the `resourceVersion` of an older one. */
export function conflict(resource: string, name: string): StatusError {
  const message = `Operation cannot be fulfilled on ${resource} "${name}": the object has been modified; please apply your changes to the latest version and try again`;
  return { code: 409, reason: 'Conflict', message, details: { name, kind: resource } };
}

/** 422: a field is not valid. */
export function invalid(kind: string, name: string, what: string): StatusError {
  return { code: 422, reason: 'Invalid', message: `${kind} "${name}" is invalid: ${what}`, details: { name, kind } };
}

/** 400. */
export function badRequest(message: string): StatusError {
  return { code: 400, reason: 'BadRequest', message };
}

/** Responds with a `Status`. */
export function respondStatus(response: ServerResponse, error: StatusError): void {
  const { retryAfterSeconds } = error.details ?? {};
  if (retryAfterSeconds !== undefined) response.setHeader('Retry-After', String(retryAfterSeconds));
  respondJson(response, error.code, goJson(statusObject(error)));
}

/** API servers compress responses from this size on, for who asks. */
const GZIP_FROM_BYTES = 128 * 1024;

/** Responds with JSON, compressed where it is long and asked for. */
export function respondJson(response: ServerResponse, code: number, json: string): void {
  const accepts = String(response.req.headers['accept-encoding'] ?? '').includes('gzip');
  const zips = accepts && json.length >= GZIP_FROM_BYTES;
  const body = zips ? gzipSync(json, { level: 1 }) : Buffer.from(json);
  if (zips) response.setHeader('Content-Encoding', 'gzip');
  response.writeHead(code, { 'Content-Type': 'application/json', 'Content-Length': body.length }).end(body);
}
