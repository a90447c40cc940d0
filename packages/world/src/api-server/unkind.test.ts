import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { type ApiServer, type ApiServerOptions, startApiServer } from './api-server.ts';
import { NEWEST, type Release } from './release.ts';
import { type Phase, StartPhase } from './start-phase.ts';
import type { ApiObject } from './store.ts';

// What clients of a kinder stand-in do not learn; each as kube-apiserver 1.33.13 and 1.36.3 were seen to behave.

let server: ApiServer;
afterEach(() => server?.close());

const RELEASES: readonly Release[] = ['1.33', '1.36'];
const POD = { namespace: 'ns', name: 'p0', node: 'n', ips: ['10.0.0.1'] };
const PODS = Array.from({ length: 4 }, (_, i) => ({ ...POD, name: `p${i}` }));
const ALL = [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }];

async function start(options: ApiServerOptions = {}): Promise<void> {
  server = await startApiServer({ pods: PODS, secondMs: 50, ...options });
}

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly type: string | null;
  readonly text: string;
}

async function get(path: string, token: string | undefined = 'first-token'): Promise<Answer> {
  const headers: Record<string, string> = token === '' ? {} : { authorization: `Bearer ${token}` };
  const answer = await fetch(`${server.url}${path}`, { headers });
  const { status } = answer;
  const header = (name: string) => answer.headers.get(name);
  return { status, retryAfter: header('retry-after'), type: header('content-type'), text: await answer.text() };
}

const json = ({ text }: Answer) => JSON.parse(text);
const version = async () => json(await get('/api/v1/pods')).metadata.resourceVersion as string;
const watchPath = (query: string) => `/api/v1/pods?watch=true&timeoutSeconds=1&${query}`;

/** Lines of a whole watch. */
async function watch(query: string): Promise<{ type: string; object: { metadata: Record<string, never> } }[]> {
  const { text } = await get(watchPath(query));
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

const types = (lines: readonly { type: string }[]) => lines.map(({ type }) => type);

describe('a restart', () => {
  test('watches from older versions get 410, in an event; lists are as before', async () => {
    await start();
    const older = await version();
    server.putPod(POD);
    server.forgetChanges();
    const [line] = await watch(`resourceVersion=${older}`);
    expect(line).toMatchObject({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } });
    expect(await watch(`resourceVersion=${await version()}`)).toEqual([]);
    expect(json(await get('/api/v1/pods')).items).toHaveLength(4);
  });

  test('first everything is 403, then watches are 429 with a Status, and Retry-After grows', async () => {
    await start();
    server.startPhase.set('forbidden');
    expect(json(await get('/api/v1/pods'))).toMatchObject({ code: 403, details: { kind: 'pods' } });
    server.startPhase.set('initializing');
    expect((await get('/api/v1/pods')).status).toBe(200);
    const refused: Answer[] = [];
    for (let i = 0; i < 5; i++) refused.push(await get(watchPath('')));
    expect(json(refused[1]!)).toMatchObject({
      ...{ kind: 'Status', code: 429, reason: 'TooManyRequests', message: 'storage is (re)initializing' },
      details: { retryAfterSeconds: 4 },
    });
    expect(refused.map(({ retryAfter }) => retryAfter)).toEqual(['1', '4', '8', '16', '16']);
    server.startPhase.set('ready');
    expect((await get(watchPath(''))).status).toBe(200);
  });

  test('goes through all of that by itself', () => {
    jest.useFakeTimers();
    const phase = new StartPhase();
    const seen: Phase[] = [phase.now];
    phase.begin();
    for (let i = 0; i < 3; i++) {
      seen.push(phase.now);
      jest.advanceTimersToNextTimer();
    }
    jest.useRealTimers();
    expect(seen).toEqual(['ready', 'forbidden', 'initializing', 'ready']);
  });

  test('is ready in the end, on the same port, and has forgotten', async () => {
    await start();
    const older = await version();
    server.putPod(POD);
    await server.restart();
    while (server.startPhase.now !== 'ready') await sleep(5);
    expect(types(await watch(`resourceVersion=${older}`))).toEqual(['ERROR']);
  });
});

test('after a stop open watches are still served for a while; new connections are refused', async () => {
  await start();
  const watched = request(`${server.url}/api/v1/pods?watch=true&resourceVersion=${await version()}`, {
    headers: { authorization: 'Bearer first-token' },
    agent: false,
  });
  let text = '';
  const ended = new Promise((resolve) =>
    watched.once('response', (response) => {
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('error', resolve);
    }),
  );
  watched.end();
  while (server.watches.count === 0) await sleep(5);
  const stopped = server.stop();
  server.putPod({ ...POD, name: 'late' });
  await expect(get('/api/v1/pods')).rejects.toThrow();
  await stopped;
  await ended;
  expect(text).toContain('"name":"late"');
});

test('429 of priority and fairness asks for more each time', async () => {
  await start();
  server.fault = () => ({ kind: 'throttled' });
  const asked = [];
  for (let i = 0; i < 4; i++) asked.push((await get('/api/v1/pods')).retryAfter);
  expect(asked).toEqual(['1', '4', '8', '16']);
});

describe('versions', () => {
  test('a future one: a list gets 504, a watch no headers until its time is over', async () => {
    await start({ futureListMs: 1 });
    const late = json(await get('/api/v1/pods?resourceVersion=999999'));
    expect(late).toMatchObject({
      code: 504,
      reason: 'Timeout',
      details: { causes: [{ reason: 'ResourceVersionTooLarge' }] },
    });
    const watched = get(watchPath('resourceVersion=999999'));
    await get('/version');
    expect(server.watches.count).toBe(0);
    expect((await watched).status).toBe(504);
  });

  test.each(['', '&resourceVersion=0'])('a watch without one begins with everything as ADDED%s', async (query) => {
    await start();
    server.deletePod('ns', 'p3');
    expect(types(await watch(query))).toEqual(['ADDED', 'ADDED', 'ADDED']);
  });

  test.each(['/api/v1/pods?resourceVersion=x', '/api/v1/pods?watch=true&resourceVersion=x'])(
    'a bad one is 500: %s',
    async (path) => {
      await start();
      expect(json(await get(path))).toMatchObject({
        kind: 'Status',
        code: 500,
        message: expect.stringContaining('"x"'),
      });
    },
  );

  test('limit is ignored with resourceVersion=0', async () => {
    await start();
    expect(json(await get('/api/v1/pods?limit=2')).items).toHaveLength(2);
    const all = json(await get('/api/v1/pods?limit=2&resourceVersion=0'));
    expect(all.items).toHaveLength(4);
    expect(all.metadata).not.toHaveProperty('continue');
  });
});

test.each<[Release, number]>([
  ['1.33', 410],
  ['1.36', 200],
])('compaction in %s: a list under way gets %d, a watch goes on', async (release, status) => {
  await start({ release });
  const older = await version();
  const first = json(await get('/api/v1/pods?limit=2'));
  server.putPod(POD);
  server.compact();
  expect((await get(`/api/v1/pods?limit=2&continue=${first.metadata.continue}`)).status).toBe(status);
  expect(types(await watch(`resourceVersion=${older}`))).toEqual(['MODIFIED']);
});

describe('bookmarks', () => {
  test("have the resource's version, not that of others; the same again, and two before the end", async () => {
    await start();
    const at = await version();
    server.putNode({ name: 'n' });
    const lines = await watch(`allowWatchBookmarks=true&resourceVersion=${at}`);
    expect(types(lines)).toEqual(['BOOKMARK', 'BOOKMARK']);
    expect(lines.map(({ object }) => object.metadata.resourceVersion)).toEqual([at, at]);
    expect(Number(json(await get('/api/v1/pods')).metadata.resourceVersion)).toBeGreaterThan(Number(at));
  });

  test('come again and again', async () => {
    await start({ bookmarkMs: 5 });
    expect((await watch(`allowWatchBookmarks=true&resourceVersion=${await version()}`)).length).toBeGreaterThan(3);
  });
});

describe('sendInitialEvents', () => {
  const QUERY = 'allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan';

  test('1.36 streams everything, and says when that was all', async () => {
    await start({ release: '1.36' });
    const lines = await watch(QUERY);
    expect(types(lines).slice(0, 5)).toEqual(['ADDED', 'ADDED', 'ADDED', 'ADDED', 'BOOKMARK']);
    expect(lines[4]!.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' });
    expect((await get(watchPath('sendInitialEvents=true'))).status).toBe(422);
  });

  test('1.33 refuses', async () => {
    await start({ release: '1.33' });
    expect(json(await get(watchPath(QUERY)))).toMatchObject({
      code: 422,
      details: { causes: [{ field: 'sendInitialEvents' }] },
    });
  });
});

describe('who may not', () => {
  test('no token is 403 for system:anonymous, a wrong one 401', async () => {
    await start();
    const refused = json(await get('/api/v1/pods', ''));
    expect(refused).toMatchObject({ code: 403, message: expect.stringContaining('"system:anonymous"') });
    expect((await get('/api/v1/pods', 'other')).status).toBe(401);
    expect((await get('/version', '')).status).toBe(200);
  });

  test('an unknown group is 403 first, then 404 as text; an unknown resource 404 as a Status', async () => {
    await start();
    const path = '/apis/example.com/v1/things';
    const forbidden = json(await get(path));
    expect(forbidden).toMatchObject({ code: 403, details: { group: 'example.com', kind: 'things' } });
    server.access.rules = ALL;
    expect(await get(path)).toMatchObject({
      status: 404,
      text: '404 page not found\n',
      type: 'text/plain; charset=utf-8',
    });
    expect(json(await get('/api/v1/things'))).toMatchObject({ kind: 'Status', code: 404, details: {} });
  });
});

describe('an object that is written', () => {
  const EVENT = { kind: 'Event', metadata: { name: 'n.1' }, involvedObject: { kind: 'Node', name: 'n' } };
  const rules = [{ apiGroups: [''], resources: ['events', 'secrets'], verbs: ['create'] }];
  const post = async (resource: string, namespace: string, body: object) => {
    const headers = { authorization: 'Bearer first-token' };
    const path = `${server.url}/api/v1/namespaces/${namespace}/${resource}`;
    const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: answer.status, message: ((await answer.json()) as { message: string }).message };
  };

  test.each<[string, string, string, object, number, string]>([
    [
      'with no name',
      'events',
      'default',
      { ...EVENT, metadata: {} },
      422,
      'Event "" is invalid: metadata.name: Required',
    ],
    [
      'with a name of a kind',
      'secrets',
      'ns',
      { metadata: { name: 'A_b' } },
      422,
      'metadata.name: Invalid value: "A_b": a low',
    ],
    [
      'with too long a name',
      'secrets',
      'ns',
      { metadata: { name: 'a'.repeat(254) } },
      422,
      'no more than 253 characters',
    ],
    [
      'of another namespace',
      'secrets',
      'ns',
      { metadata: { name: 'a', namespace: 'b' } },
      400,
      'does not match the namespace sent',
    ],
    [
      'of another kind',
      'secrets',
      'ns',
      { ...EVENT, apiVersion: 'v1' },
      400,
      'Event in version "v1" cannot be handled as a Secret',
    ],
    ['beside its node', 'events', 'ns', EVENT, 422, 'involvedObject.namespace: Invalid value: "": does not match'],
    [
      'beside its pod',
      'events',
      'ns',
      { ...EVENT, involvedObject: { namespace: 'b' } },
      422,
      'Invalid value: "b": does not match',
    ],
  ])('%s is refused', async (_, resource, namespace, body, status, message) => {
    await start({ rules });
    expect(await post(resource, namespace, body)).toEqual({ status, message: expect.stringContaining(message) });
  });

  test('as it should be is taken', async () => {
    await start({ rules });
    expect((await post('events', 'default', EVENT)).status).toBe(201);
    expect((await post('events', 'ns', { ...EVENT, involvedObject: { namespace: 'ns' } })).status).toBe(201);
    expect((await post('secrets', 'ns', { metadata: { name: 'a' } })).status).toBe(201);
  });
});

describe('JSON', () => {
  test('<, > and & are escaped, six bytes for one', async () => {
    await start();
    server.putPod({ ...POD, labels: { text: '<a>&' } });
    const { text } = await get('/api/v1/pods');
    expect(text).toContain(String.raw`"text":"\u003ca\u003e\u0026"`);
    expect(text).not.toMatch(/[<>&]/);
  });

  test('lists from 128 KiB on are compressed for who asks, watches are not', async () => {
    const many = Array.from({ length: 20 }, (_, i) => ({ ...POD, name: `p${i}` }));
    await start({ pods: many });
    const encoding = async (path: string) => {
      const headers = { authorization: 'Bearer first-token', 'accept-encoding': 'gzip' };
      const answer = await fetch(`${server.url}${path}`, { headers });
      await answer.text();
      return answer.headers.get('content-encoding');
    };
    const paths = ['/api/v1/pods', '/api/v1/pods?limit=1', watchPath('')];
    expect(await Promise.all(paths.map(encoding))).toEqual(['gzip', null, null]);
  });
});

describe('a pod', () => {
  const [T, SECOND] = [Date.parse('2026-01-02T03:04:05Z'), 1000];
  const started = { ...POD, startedMs: T, sandboxMs: T + SECOND, containersMs: [T + 2 * SECOND, T + 9 * SECOND] };
  const read = async () =>
    json(await get('/api/v1/pods')).items.find(({ metadata }: ApiObject) => metadata.name === 'p0');
  const ready = async () => {
    const { status } = await read();
    return status.conditions.find(({ type }: { type: string }) => type === 'PodReadyToStartContainers');
  };

  test.each<[Release, string]>([
    ['1.33', '2026-01-02T03:04:14Z'],
    ['1.36', '2026-01-02T03:04:06Z'],
  ])('is ready to start containers, in %s', async (release, at) => {
    await start({ release, pods: [started] });
    expect(await ready()).toMatchObject({ status: 'True', lastTransitionTime: at });
    server.putPod({ ...started, containersMs: [T + 2 * SECOND, undefined] });
    expect(await ready()).toMatchObject({ status: release === '1.36' ? 'True' : 'False' });
  });

  test.each(RELEASES)('goes through its whole life, in %s', async (release) => {
    await start({ release, pods: [] });
    const at = await version();
    const { node, ips, ...unplaced } = started;
    const deleting = { ...started, deletingMs: Date.now() + 30 * SECOND };
    server.putPod(unplaced);
    server.putPod({ ...started, ips: [], phase: 'Pending', containersMs: [undefined, undefined] });
    server.putPod({ ...started, node, ips });
    server.putPod(deleting);
    server.putPod({ ...deleting, deletingMs: Date.now() + SECOND });
    server.putPod({ ...deleting, phase: 'Succeeded', finishedMs: Date.now() });
    server.deletePod('ns', 'p0');
    const lines = await watch(`resourceVersion=${at}`);
    expect(types(lines)).toEqual(['ADDED', ...Array(5).fill('MODIFIED'), 'DELETED']);
    const seen = lines.map(
      ({ object }) => object as never as { status: { phase: string }; metadata: { deletionTimestamp?: string } },
    );
    expect(seen.map(({ status }) => status.phase)).toEqual([
      'Pending',
      'Pending',
      'Running',
      'Running',
      'Running',
      'Succeeded',
      'Succeeded',
    ]);
    const [first, second] = [seen[3]!, seen[4]!].map(({ metadata }) => Date.parse(metadata.deletionTimestamp!));
    expect(first).toBeGreaterThan(Date.now());
    expect(second).toBeLessThan(first!);
  });
});

test('the newest release is the default', async () => {
  await start();
  expect(json(await get('/version')).gitVersion).toContain(`v${NEWEST}.`);
});
