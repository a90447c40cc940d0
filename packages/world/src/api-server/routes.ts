import type { IncomingMessage, ServerResponse } from 'node:http';
import { Access } from './access.ts';
import { goJson } from './go-json.ts';
import { list, type ServerState, startWatch } from './lists-and-watches.ts';
import type { Behaviour } from './release.ts';
import { GROUPS, resourceAt } from './resources.ts';
import { respondSecret } from './secrets.ts';
import { badRequest, notFound, type RequestAttributes, respondJson, respondStatus } from './status.ts';
import type { ApiObject } from './store.ts';
import { refusedObject } from './validate.ts';

/** One request as it was received. */
export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly token: string | undefined;
}

/** What `/version` says. */
function versionOf({ gitVersion }: Behaviour): object {
  const [, major, minor] = /^v(\d+)\.(\d+)/.exec(gitVersion) ?? [];
  return { major, minor, gitVersion, gitTreeState: 'clean', compiler: 'gc', platform: 'linux/amd64' };
}

/** Responds to one request. */
export async function respond(
  server: ServerState,
  request: IncomingMessage,
  seen: ReceivedRequest,
  response: ServerResponse,
): Promise<void> {
  const unknown = server.access.authenticate(request.headers.authorization);
  if (unknown !== undefined) return respondStatus(response, unknown);
  if (seen.path === '/version') return respondJson(response, 200, goJson(versionOf(server.behaviour)));
  // Until RBAC rules are read there are none.
  const { tokens, user } = server.access;
  const of = server.startPhase.now === 'forbidden' ? { ...server, access: new Access(tokens, [], user) } : server;
  const posted = /^\/api\/v1\/namespaces\/([^/]+)\/events$/.exec(seen.path);
  if (posted !== null && seen.method === 'POST') return createEvent(of, request, posted[1]!, response);
  const secret = /^\/api\/v1\/namespaces\/([^/]+)\/secrets(?:\/([^/]+))?$/.exec(seen.path);
  if (secret !== null) return respondSecret(of, request, { namespace: secret[1]!, name: secret[2] }, response);
  const asked = attributesOf(seen);
  const denied = asked && of.access.check(request.headers.authorization, asked);
  if (denied !== undefined) return respondStatus(response, denied);
  const resource = resourceAt(seen.path);
  if (seen.method !== 'GET' || resource === undefined) return respondNotFound(response, asked);
  // Selectors are not implemented: a client that uses one must not get everything and take it for the selection.
  for (const selector of ['fieldSelector', 'labelSelector'])
    if (seen.query.has(selector))
      return respondStatus(response, badRequest(`${selector} is not built into this stand-in`));
  if (asked?.verb === 'watch') startWatch(of, resource, seen.query, response);
  else list(of, resource, seen.query, response);
}

const VERBS: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', DELETE: 'delete' };

/** What a request asks for, whether it is there or not; undefined: it is about no resource. */
function attributesOf({ method, path, query }: ReceivedRequest): RequestAttributes | undefined {
  const parts = /^\/(?:api|apis\/([^/]+))\/[^/]+\/(?:namespaces\/([^/]+)\/)?([^/]+)(?:\/([^/]+))?$/.exec(path);
  if (parts === null) return undefined;
  const [, group = '', namespace, resource = '', name] = parts;
  const read = name !== undefined ? 'get' : isWatch(query) ? 'watch' : 'list';
  return { verb: VERBS[method] ?? read, group, resource, namespace, name };
}

function isWatch(query: URLSearchParams): boolean {
  return ['true', '1'].includes(query.get('watch') ?? '');
}

/** Of a group that is not there the 404 is text. */
function respondNotFound(response: ServerResponse, asked: RequestAttributes | undefined): void {
  const groups = ['', ...Object.values(GROUPS)];
  if (asked !== undefined && groups.includes(asked.group)) respondStatus(response, notFound());
  else response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' }).end('404 page not found\n');
}

async function createEvent(
  { access, resources }: ServerState,
  request: IncomingMessage,
  namespace: string,
  response: ServerResponse,
): Promise<void> {
  const denied = access.check(request.headers.authorization, {
    verb: 'create',
    group: '',
    resource: 'events',
    namespace,
  });
  if (denied !== undefined) return respondStatus(response, denied);
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  const event = JSON.parse(text) as ApiObject;
  const refused = refusedObject('Event', namespace, event);
  if (refused !== undefined) return respondStatus(response, refused);
  resources.events.put({ ...event, metadata: { ...event.metadata, namespace } });
  respondJson(response, 201, text);
}
