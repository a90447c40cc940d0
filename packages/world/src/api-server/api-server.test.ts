import { afterEach, expect, test } from '@jest/globals';
import { type ApiServer, type ApiServerOptions, startApiServer } from './api-server.ts';
import { podObject } from './objects.ts';

let server: ApiServer;
afterEach(() => server.close());

const pods = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ namespace: 'ns', name: `p${i}`, node: 'n', ips: [`10.0.0.${i + 1}`] }));

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown> & {
    readonly metadata: Record<string, string>;
    readonly items: { metadata: { name: string } }[];
  };
}

async function get(path: string, token = 'first-token'): Promise<Answer> {
  const answer = await fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${token}` } });
  return { status: answer.status, body: (await answer.json()) as Answer['body'] };
}

async function start(options: ApiServerOptions = {}): Promise<void> {
  server = await startApiServer(options);
}

const names = ({ body }: Answer) => body.items.map(({ metadata }) => metadata.name);

test('pages are of one moment, whatever changes in between', async () => {
  await start({ pods: pods(5) });
  const first = await get('/api/v1/pods?limit=2');
  expect(first.body).toMatchObject({ kind: 'PodList', apiVersion: 'v1', metadata: { remainingItemCount: 3 } });
  server.deletePod('ns', 'p3');
  server.putPod({ namespace: 'ns', name: 'p9' });
  const second = await get(`/api/v1/pods?limit=2&continue=${first.body.metadata.continue}`);
  const third = await get(`/api/v1/pods?limit=2&continue=${second.body.metadata.continue}`);
  expect([first, second, third].map(names)).toEqual([['p0', 'p1'], ['p2', 'p3'], ['p4']]);
  expect(third.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
  expect(third.body.metadata.continue).toBeUndefined();
});

test('a page of a compacted version: 410 up to 1.33, with a token that continues inconsistently', async () => {
  await start({ pods: pods(4), release: '1.33' });
  const first = await get('/api/v1/pods?limit=2');
  server.deletePod('ns', 'p2');
  server.compact();
  const second = await get(`/api/v1/pods?limit=2&continue=${first.body.metadata.continue}`);
  expect(second).toMatchObject({ status: 410, body: { kind: 'Status', reason: 'Expired', code: 410 } });
  const rest = await get(`/api/v1/pods?limit=2&continue=${second.body.metadata.continue}`);
  expect(names(rest)).toEqual(['p3']);
});

test('a watch sends what came after its version, with bookmarks, and ends in time', async () => {
  await start({ pods: pods(1), bookmarkMs: 20 });
  const { resourceVersion } = (await get('/api/v1/pods')).body.metadata;
  server.putPod({ namespace: 'ns', name: 'p0', node: 'n' });
  server.deletePod('ns', 'p0');
  const path = `/api/v1/pods?watch=true&allowWatchBookmarks=true&timeoutSeconds=1&resourceVersion=${resourceVersion}`;
  const answer = await fetch(`${server.url}${path}`, { headers: { authorization: 'Bearer first-token' } });
  const lines = (await answer.text()).trim().split('\n');
  const types = lines.map((line) => JSON.parse(line).type);
  expect(types.slice(0, 2)).toEqual(['MODIFIED', 'DELETED']);
  expect(new Set(types.slice(2))).toEqual(new Set(['BOOKMARK']));
});

test('a request without rights gets the texts of Kubernetes', async () => {
  await start({ rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['list'] }] });
  expect(await get('/api/v1/pods', 'other')).toMatchObject({ status: 401, body: { reason: 'Unauthorized' } });
  expect((await get('/api/v1/pods')).status).toBe(200);
  expect((await get('/api/v1/nodes')).body.message).toBe(
    'nodes is forbidden: User "system:serviceaccount:egressd:egressd-exporter" cannot list resource "nodes" in API group "" at the cluster scope',
  );
  expect((await get('/api/v1/pods?watch=1')).body.message).toContain('cannot watch resource "pods"');
  expect((await get('/api/v1/pods?fieldSelector=a%3Db')).body).toMatchObject({ code: 400 });
});

test('a pod is as large as real ones are', async () => {
  await start();
  const bytes = JSON.stringify(podObject({ namespace: 'ns', name: 'p', node: 'n', ips: ['10.0.0.1'] })).length;
  expect(bytes).toBeGreaterThan(8000);
  expect(bytes).toBeLessThan(10_000);
});
