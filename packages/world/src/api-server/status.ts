import type { ServerResponse } from 'node:http';

/** What a request asks for, as an authorizer sees it. */
export interface RequestAttributes {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly namespace: string | undefined;
  /** undefined: no object is named in the request. */
  readonly name?: string | undefined;
}

/** An error response of the Kubernetes API (`Status` of meta/v1), with its HTTP status. */
export interface StatusError {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  /** `metadata.continue`: goes on with a list whose snapshot is gone, inconsistently. */
  readonly continue?: string;
}

/** A `Status` object as the API server writes it. */
export function statusObject({ code, reason, message, continue: token }: StatusError): object {
  const metadata = token === undefined ? {} : { continue: token };
  return { kind: 'Status', apiVersion: 'v1', metadata, status: 'Failure', message, reason, code };
}

/** 401: no token, or one that is not accepted. */
export const UNAUTHORIZED: StatusError = { code: 401, reason: 'Unauthorized', message: 'Unauthorized' };

/** No rule allows it. The text is that of Kubernetes' RBAC authorizer. */
export function forbidden(user: string, { verb, group, resource, namespace, name }: RequestAttributes): StatusError {
  const where = namespace === undefined ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const kind = group === '' ? resource : `${resource}.${group}`;
  const what = name === undefined ? kind : `${kind} "${name}"`;
  const message = `${what} is forbidden: User "${user}" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`;
  return { code: 403, reason: 'Forbidden', message };
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

/** 404: there is no such path. */
export function notFound(): StatusError {
  return { code: 404, reason: 'NotFound', message: 'the server could not find the requested resource' };
}

/** There is no such object. */
export function objectNotFound(resource: string, name: string): StatusError {
  return { code: 404, reason: 'NotFound', message: `${resource} "${name}" not found` };
}

/** 409: an object of that name is there. */
export function alreadyExists(resource: string, name: string): StatusError {
  return { code: 409, reason: 'AlreadyExists', message: `${resource} "${name}" already exists` };
}

/** Written with the `resourceVersion` of an older one. */
export function conflict(resource: string, name: string): StatusError {
  const message = `Operation cannot be fulfilled on ${resource} "${name}": the object has been modified; please apply your changes to the latest version and try again`;
  return { code: 409, reason: 'Conflict', message };
}

/** 422: a field is not valid. */
export function invalid(kind: string, name: string, what: string): StatusError {
  return { code: 422, reason: 'Invalid', message: `${kind} "${name}" is invalid: ${what}` };
}

/** 400. */
export function badRequest(message: string): StatusError {
  return { code: 400, reason: 'BadRequest', message };
}

/** Responds with a `Status`. */
export function respondStatus(response: ServerResponse, error: StatusError): void {
  respondJson(response, error.code, JSON.stringify(statusObject(error)));
}

/** Responds with JSON. */
export function respondJson(response: ServerResponse, code: number, body: string): void {
  response.writeHead(code, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }).end(body);
}
