import { beforeEach, expect, test } from '@jest/globals';
import type { KubeApi } from './api.ts';
import { KubeFailure } from './failure.ts';
import { ListWatch } from './list-watch.ts';

/** What the API server does, a step a request: a list's version, watch events, or a failure. */
let script: (string | KubeFailure | readonly object[])[];
let seen: string[];
let backoffs: number[];
let stop: AbortController;
let now: number;

beforeEach(() => {
  [script, seen, backoffs, stop, now] = [[], [], [], new AbortController(), 1_000_000];
});

const api = {
  async list({ query }: { query: Record<string, string> }) {
    const version = script.shift();
    seen.push(`list ${query.limit}`);
    if (version instanceof KubeFailure) throw version;
    return { kind: 'PodList', metadata: { resourceVersion: version, continue: '' } };
  },
  async *stream({ query }: { query: Record<string, string> }) {
    now += 1000;
    seen.push(`watch ${query.resourceVersion}`);
    const events = script.shift();
    if (events === undefined) stop.abort();
    if (events instanceof KubeFailure) throw events;
    for (const event of (events ?? []) as object[]) yield Buffer.from(`${JSON.stringify(event)}\n`);
    now += 30_000;
  },
} as unknown as KubeApi;

async function follow(): Promise<void> {
  const watch = new ListWatch({
    api,
    resource: 'pods',
    kind: 'Pod',
    pageItems: 250,
    backoff: { minMs: 1, maxMs: 2 },
    handler: { beginList() {}, upsert() {}, delete() {}, tooLarge() {}, endList() {} },
    observer: {
      failed: (_, __, ms) => backoffs.push(ms),
      recovered() {},
      listed() {},
      changed() {},
      received() {},
    },
    now: () => now,
    signal: stop.signal,
  });
  await watch.list();
  await watch.watch();
}

const bookmark = (resourceVersion: string) => ({ type: 'BOOKMARK', object: { metadata: { resourceVersion } } });
const GONE = new KubeFailure('gone', 'too old');
const TIMEOUT = new KubeFailure('timeout', 'nothing came');

test('after 410 Gone it lists anew without a backoff, but not again and again', async () => {
  script = ['5', [bookmark('7')], GONE, '20', GONE, '21'];
  await follow();
  expect(seen).toEqual(['list 250', 'watch 5', 'watch 7', 'list 250', 'watch 20', 'list 250', 'watch 21']);
  expect(backoffs[0]).toBe(0);
  expect(backoffs[1]).toBeGreaterThan(0);
});

test('a watch on which nothing comes is resumed where the version is still to come', async () => {
  script = ['5', TIMEOUT, '9'];
  await follow();
  expect(seen).toEqual(['list 250', 'watch 5', 'list 1', 'watch 5']);
});

test('and where etcd was restored to an older version there is a new list', async () => {
  script = ['500', TIMEOUT, '300', '301'];
  await follow();
  expect(seen).toEqual(['list 250', 'watch 500', 'list 1', 'list 250', 'watch 301']);
});
