import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Access } from './access.ts';
import { respondSecret } from './secrets.ts';
import { badRequest, notFound, respondJson, respondStatus } from './status.ts';
import type { ApiObject, Revision, Store } from './store.ts';
import type { Watches } from './watches.ts';

/** One request as it was received. */
export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly token: string | undefined;
}

/** What is stored, by the resource's name in the API. */
export type Resources = Readonly<
  Record<'nodes' | 'pods' | 'namespaces' | 'services' | 'events' | 'servicecidrs' | 'secrets', Store>
>;

/** What responses are made from. */
export interface ServerState {
  readonly access: Access;
  readonly resources: Resources;
  readonly revision: Revision;
  readonly watches: Watches;
}

const KINDS: Readonly<Record<keyof Resources, string>> = {
  nodes: 'Node',
  pods: 'Pod',
  namespaces: 'Namespace',
  services: 'Service',
  events: 'Event',
  servicecidrs: 'ServiceCIDR',
  secrets: 'Secret',
};

/** Those that are not of the core group. */
const GROUPS: Readonly<Partial<Record<keyof Resources, string>>> = { servicecidrs: 'networking.k8s.io' };

const VERSION = {
  major: '1',
  minor: '34',
  gitVersion: 'v1.34.5',
  gitCommit: 'd1f1a1e8e5f1c2b3a4958677',
  gitTreeState: 'clean',
  buildDate: '2026-01-01T00:00:00Z',
  goVersion: 'go1.24.4',
  compiler: 'gc',
  platform: 'linux/amd64',
};

/** A watch lasts no longer where the client does not say. */
const WATCH_MS = 30 * 60_000;

/** Responds to one request. */
export async function respond(
  of: ServerState,
  request: IncomingMessage,
  seen: ReceivedRequest,
  response: ServerResponse,
): Promise<void> {
  const unknown = of.access.authenticate(request.headers.authorization);
  if (unknown !== undefined) return respondStatus(response, unknown);
  if (seen.path === '/version') return respondJson(response, 200, JSON.stringify(VERSION));
  const posted = /^\/api\/v1\/namespaces\/([^/]+)\/events$/.exec(seen.path);
  if (posted !== null && seen.method === 'POST') return createEvent(of, request, posted[1]!, response);
  const secret = /^\/api\/v1\/namespaces\/([^/]+)\/secrets(?:\/([^/]+))?$/.exec(seen.path);
  if (secret !== null) return respondSecret(of, request, { namespace: secret[1]!, name: secret[2] }, response);
  const resource = resourceAt(seen.path);
  if (seen.method !== 'GET' || resource === undefined) return respondStatus(response, notFound());
  const watch = ['true', '1'].includes(seen.query.get('watch') ?? '');
  const verb = watch ? 'watch' : 'list';
  const denied = of.access.authorize({ verb, group: GROUPS[resource] ?? '', resource, namespace: undefined });
  if (denied !== undefined) return respondStatus(response, denied);
  // Selectors are not implemented: a client that uses one must not get everything and take it for the selection.
  for (const selector of ['fieldSelector', 'labelSelector'])
    if (seen.query.has(selector))
      return respondStatus(response, badRequest(`${selector} is not built into this stand-in`));
  if (watch) startWatch(of, resource, seen.query, response);
  else list(of, resource, seen.query, response);
}

function resourceAt(path: string): keyof Resources | undefined {
  const [, group = '', name = ''] = /^\/(?:api|apis\/([a-z0-9.]+))\/v1\/([a-z]+)$/.exec(path) ?? [];
  if (!Object.hasOwn(KINDS, name)) return undefined;
  const resource = name as keyof Resources;
  return (GROUPS[resource] ?? '') === group ? resource : undefined;
}

/** What `apiVersion` says of objects of a resource. */
function versionOf(resource: keyof Resources): string {
  const group = GROUPS[resource];
  return group === undefined ? 'v1' : `${group}/v1`;
}

function list(
  { resources }: ServerState,
  resource: keyof Resources,
  query: URLSearchParams,
  response: ServerResponse,
): void {
  // As a real one: the first page may be of any version (`resourceVersion=0`) only without a limit; here it is always the newest.
  const page = resources[resource].list(Number(query.get('limit') ?? 0), query.get('continue') ?? '');
  if ('code' in page) {
    respondStatus(response, page);
    return;
  }
  const metadata = {
    resourceVersion: String(page.version),
    ...(page.continue === '' ? {} : { continue: page.continue, remainingItemCount: page.remaining }),
  };
  const kind = `${KINDS[resource]}List`;
  // Items of a list have neither kind nor apiVersion.
  const items = page.items.map((json) => json.replace(/^\{"kind":"[^"]*","apiVersion":"[^"]*",/, '{'));
  const body = `{"kind":"${kind}","apiVersion":"${versionOf(resource)}","metadata":${JSON.stringify(metadata)},"items":[${items.join(',')}]}`;
  respondJson(response, 200, body);
}

function startWatch(
  { resources, revision, watches }: ServerState,
  resource: keyof Resources,
  query: URLSearchParams,
  response: ServerResponse,
): void {
  const after = Number(query.get('resourceVersion') || revision.now);
  if (!Number.isSafeInteger(after)) {
    respondStatus(response, badRequest('Invalid value: "resourceVersion"'));
    return;
  }
  watches.start(response, {
    store: resources[resource],
    revision,
    kind: KINDS[resource],
    apiVersion: versionOf(resource),
    after,
    bookmarks: query.get('allowWatchBookmarks') === 'true',
    timeoutMs: Number(query.get('timeoutSeconds') ?? 0) * 1000 || WATCH_MS,
  });
}

async function createEvent(
  { access, resources }: ServerState,
  request: IncomingMessage,
  namespace: string,
  response: ServerResponse,
): Promise<void> {
  const denied = access.authorize({ verb: 'create', group: '', resource: 'events', namespace });
  if (denied !== undefined) return respondStatus(response, denied);
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  const event = JSON.parse(text) as ApiObject;
  const { involvedObject } = event as unknown as { involvedObject?: { namespace?: string } };
  // Kubernetes takes events of cluster-wide objects (nodes) in the namespace default only.
  if ((involvedObject?.namespace ?? 'default') !== namespace)
    return respondStatus(response, badRequest('involvedObject.namespace does not match event.namespace'));
  resources.events.put({ ...event, metadata: { ...event.metadata, namespace } });
  respondJson(response, 201, text);
}
