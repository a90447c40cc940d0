import type { ServerResponse } from 'node:http';
import type { Access } from './access.ts';
import type { Behaviour } from './release.ts';
import { apiVersionOf, KINDS, type Resources } from './resources.ts';
import type { StartPhase } from './start-phase.ts';
import {
  badVersion,
  initialEventsForbidden,
  initializing,
  respondJson,
  respondStatus,
  type StatusError,
  tooLargeVersion,
} from './status.ts';
import type { Revision } from './store.ts';
import type { Watches } from './watches.ts';

/** What responses are made from. */
export interface ServerState {
  readonly access: Access;
  readonly resources: Resources;
  readonly revision: Revision;
  readonly watches: Watches;
  readonly behaviour: Behaviour;
  readonly startPhase: StartPhase;
  /** A list of a version that is to come is refused after this. */
  readonly futureListMs: number;
  readonly secondMs: number;
}

/** A watch lasts no longer where the client does not say. */
const WATCH_MS = 30 * 60_000;

/** Responds with a list, or a page of one. */
export function list(
  { resources, revision, futureListMs }: ServerState,
  resource: keyof Resources,
  query: URLSearchParams,
  response: ServerResponse,
): void {
  const version = query.get('resourceVersion') ?? '';
  const refused = refusedVersion(version, revision);
  if (refused !== undefined) {
    setTimeout(() => respondStatus(response, refused), refused.code === 504 ? futureListMs : 0);
    return;
  }
  // From the watch cache, which has no pages; here it is never behind.
  const limit = version === '0' ? 0 : Number(query.get('limit') ?? 0);
  const page = resources[resource].list(limit, query.get('continue') ?? '');
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
  const body = `{"kind":"${kind}","apiVersion":"${apiVersionOf(resource)}","metadata":${JSON.stringify(metadata)},"items":[${items.join(',')}]}`;
  respondJson(response, 200, body);
}

/** What is wrong with a version; undefined: nothing. */
function refusedVersion(version: string, revision: Revision): StatusError | undefined {
  if (!/^\d*$/.test(version)) return badVersion(version);
  return Number(version) > revision.now ? tooLargeVersion(Number(version), revision.now) : undefined;
}

/** Responds with a watch. */
export function startWatch(
  { resources, revision, watches, behaviour, startPhase, secondMs }: ServerState,
  resource: keyof Resources,
  query: URLSearchParams,
  response: ServerResponse,
): void {
  const timeoutMs = Number(query.get('timeoutSeconds') ?? 0) * secondMs || WATCH_MS;
  const version = query.get('resourceVersion') ?? '';
  const refused =
    startPhase.now === 'initializing'
      ? initializing(startPhase.retryAfter())
      : (refusedInitialEvents(query, behaviour) ?? refusedVersion(version, revision));
  if (refused !== undefined) {
    if (refused.code === 504) watches.hold(response, timeoutMs, refused);
    else respondStatus(response, refused);
    return;
  }
  const marked = query.get('sendInitialEvents') === 'true';
  const fromStart = marked || version === '' || version === '0';
  watches.start(response, {
    store: resources[resource],
    kind: KINDS[resource],
    apiVersion: apiVersionOf(resource),
    after: fromStart ? revision.now : Number(version),
    initial: marked ? 'marked' : fromStart ? 'everything' : 'none',
    bookmarks: query.get('allowWatchBookmarks') === 'true',
    timeoutMs,
  });
}

function refusedInitialEvents(query: URLSearchParams, { watchList }: Behaviour): StatusError | undefined {
  if (!query.has('sendInitialEvents')) return undefined;
  if (!watchList)
    return initialEventsForbidden(
      'sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
    );
  return query.get('resourceVersionMatch') === 'NotOlderThan'
    ? undefined
    : initialEventsForbidden('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
}
