import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Access } from './access.ts';
import {
  alreadyExists,
  badRequest,
  conflict,
  invalid,
  objectNotFound,
  respondJson,
  respondStatus,
  type StatusError,
} from './status.ts';
import type { ApiObject, Store } from './store.ts';
import { refusedObject } from './validate.ts';

/** The path of a request about Secrets. */
interface SecretPath {
  readonly namespace: string;
  /** undefined: the collection. */
  readonly name: string | undefined;
}

const VERBS: Readonly<Record<string, string>> = { GET: 'get', PUT: 'update', POST: 'create' };

/** Responds to `get`, `create` and `update` of Secrets (core/v1) as a real server does, as far as the program that writes them goes. */
export async function respondSecret(
  { access, resources }: { readonly access: Access; readonly resources: { readonly secrets: Store } },
  request: IncomingMessage,
  { namespace, name }: SecretPath,
  response: ServerResponse,
): Promise<void> {
  const verb = VERBS[request.method ?? ''];
  if (verb === undefined || (verb === 'create') !== (name === undefined))
    return respondStatus(response, badRequest(`${request.method} of secrets is not built into this stand-in`));
  const denied = access.check(request.headers.authorization, { verb, group: '', resource: 'secrets', namespace, name });
  if (denied !== undefined) return respondStatus(response, denied);
  const store = resources.secrets;
  const asked = verb === 'get' ? undefined : await bodyOf(request);
  const refused = asked && refusedObject('Secret', namespace, asked);
  if (refused !== undefined) return respondStatus(response, refused);
  const at = name ?? asked!.metadata.name;
  const json = store.get(at, namespace);
  const held = json === undefined ? undefined : (JSON.parse(json) as ApiObject);
  const error = checkSecret(verb, at, held, asked);
  if (error !== undefined) return respondStatus(response, error);
  if (asked !== undefined) store.put({ ...asked, metadata: { ...asked.metadata, namespace } });
  respondJson(response, verb === 'create' ? 201 : 200, store.get(at, namespace)!);
}

function checkSecret(
  verb: string,
  name: string,
  held: ApiObject | undefined,
  asked: ApiObject | undefined,
): StatusError | undefined {
  if (verb === 'create' && held !== undefined) return alreadyExists('secrets', name);
  if (verb !== 'create' && held === undefined) return objectNotFound('secrets', name);
  if (asked === undefined) return undefined;
  const { type = 'Opaque', data = {}, metadata } = asked;
  if (held !== undefined && metadata.resourceVersion !== held.metadata.resourceVersion)
    return conflict('secrets', name);
  if (held !== undefined && type !== (held.type ?? 'Opaque'))
    return invalid('Secret', name, 'type: Invalid value: field is immutable');
  const missing = ['tls.crt', 'tls.key'].find((key) => !Object.hasOwn(data as object, key));
  if (type === 'kubernetes.io/tls' && missing !== undefined)
    return invalid('Secret', name, `data[${missing}]: Required value`);
  return undefined;
}

async function bodyOf(request: IncomingMessage): Promise<ApiObject> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as ApiObject;
}
