import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog } from '@egressd/daemon/log';
import { formatAddress, parseAddress } from '@egressd/flow/address';
import { type ApiServer, type ApiServerOptions, startApiServer } from '@egressd/world/api-server/api-server';
import type { PodDescription } from '@egressd/world/api-server/objects';
import { type CertificateFiles, CertificateFolder } from '@egressd/world/certificates';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { NodeProblemWatch } from '../node-problems/watch.ts';
import { OwnerRegistry } from '../owners/registry.ts';
import { collectorOf } from '../receiver/testing.ts';
import { findAccess, type KubeAccess } from './access.ts';
import { EVENT_INTERVAL_MS, type NodeEvent } from './events.ts';
import { followKubernetes, type Kubernetes } from './kubernetes.ts';
import { MISSING_AFTER_MS } from './missing-collectors.ts';

const HOUR_MS = 3_600_000;
const NODES = [
  { name: 'n1', zone: 'z1', region: 'r', internalIps: ['192.168.0.1', 'fd00:168::1'], podCidrs: ['203.0.113.0/26'] },
  {
    name: 'n2',
    zone: 'z2',
    region: 'r',
    internalIps: ['192.168.0.2'],
    externalIps: ['198.51.100.2'],
    podCidrs: ['203.0.113.64/26'],
  },
];
/** Short enough to see the end of, long enough for a busy machine. */
const TIMES = { watchIdleTimeoutMs: 10_000, idleTimeoutMs: 10_000, backoff: { minMs: 5, maxMs: 40 }, pageItems: 50 };

const certificates = new CertificateFolder();
let authority: CertificateFiles;
let own: CertificateFiles;
let server: ApiServer;
let kubernetes: Kubernetes | undefined;
let owners: OwnerRegistry;
let registry: Registry;
let lines = '';
const kubeconfig = join(certificates.folder, 'kubeconfig');

beforeAll(() => {
  authority = certificates.authority('kubernetes-ca');
  own = certificates.certificate('apiserver', authority);
});

afterAll(() => certificates[Symbol.dispose]());

beforeEach(() => {
  owners = new OwnerRegistry(['kubernetes']);
  registry = new Registry();
  lines = '';
});

afterEach(async () => {
  await kubernetes?.close();
  kubernetes = undefined;
  await server.close();
});

async function startServer(options: ApiServerOptions = {}): Promise<void> {
  server = await startApiServer({ tls: { own, authority }, nodes: NODES, ...options });
  server.writeKubeconfig(kubeconfig);
}

/** The exporter's part, and until it is synced. */
async function follow(
  times: object = {},
  access: KubeAccess = { kind: 'kubeconfig', files: [kubeconfig] },
): Promise<void> {
  begin(times, access);
  await until(() => owners.synced);
}

function begin(times: object = {}, access: KubeAccess = { kind: 'kubeconfig', files: [kubeconfig] }): void {
  const log = createLog('debug', (line) => {
    lines += line;
  });
  kubernetes = followKubernetes({ access, owners: owners.source('kubernetes'), registry, log, ...TIMES, ...times });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

const pod = (name: string, node: string, ips: string[], more: Partial<PodDescription> = {}): PodDescription => ({
  namespace: 'ns',
  name,
  node,
  ips,
  startedMs: Date.now() - HOUR_MS,
  ...more,
});

/** `name` of the pod or node that has the address from then on, `none`, or `a|b`. */
function who(ip: string, fromMs = Date.now(), toMs = fromMs + 1): string {
  const found = owners.ownerBetween(parseAddress(ip)!, 0, fromMs, toMs);
  if (found.known === 'none') return 'none';
  const all = found.known === 'owner' ? [found.owner] : found.owners;
  return all
    .map((owner) => owner.pod || owner.node)
    .sort()
    .join('|');
}

async function failures(): Promise<Record<string, number>> {
  const { values } = await registry.getSingleMetric('egressd_exporter_kubernetes_request_failures_total')!.get();
  const found: Record<string, number> = {};
  for (const { labels, value } of values) if (value > 0) found[`${labels.resource} ${labels.reason}`] = value;
  return found;
}

describe('owners of addresses', () => {
  test('pods, nodes, two families, zones, workloads and ranges, from a list in pages', async () => {
    const many = Array.from({ length: 120 }, (_, i) => pod(`p${i}`, 'n1', [`203.0.113.${i + 1}`]));
    const web = pod('web-1', 'n2', ['203.0.113.200', 'fd00::200'], { owner: { kind: 'StatefulSet', name: 'web' } });
    await startServer({ pods: [...many, web, pod('host', 'n1', ['192.168.0.1'], { hostNetwork: true })] });
    await follow();
    expect(server.seen('limit=50')).toBe(1 + 3);
    expect(many.map(({ ips }) => who(ips![0]!))).toEqual(many.map(({ name }) => name));
    expect(['192.168.0.1', 'fd00:168::1', '192.168.0.2', '198.51.100.2'].map((ip) => who(ip))).toEqual([
      'n1',
      'n1',
      'n2',
      'n2',
    ]);
    expect(['203.0.113.200', 'fd00::200'].map((ip) => who(ip))).toEqual(['web-1', 'web-1']);
    expect(owners.ownerBetween(parseAddress('fd00::200')!, 0, Date.now(), Date.now() + 1)).toMatchObject({
      owner: { namespace: 'ns', node: 'n2', zone: 'z2', region: 'r', workload: { kind: 'StatefulSet', name: 'web' } },
    });
    expect(owners.clusterRanges.map(({ bytes, bits }) => `${formatAddress(bytes)}/${bits - 96}`)).toEqual([
      '203.0.113.0/25',
    ]);
    expect(server.requests.every(({ token }) => token === 'first-token')).toBe(true);
  });

  test('owners are not synced before the lists of pods and nodes are both complete', async () => {
    await startServer({ pods: [pod('a', 'n1', ['10.0.0.1'])] });
    server.fault = ({ path }) => (path.endsWith('/pods') ? { kind: 'throttled', seconds: 0 } : undefined);
    begin();
    await until(() => server.seen('/pods') >= 3);
    expect(owners.synced).toBe(false);
    server.fault = () => undefined;
    await until(() => owners.synced);
    expect(who('10.0.0.1')).toBe('a');
  });

  test('pods that come, change and go', async () => {
    await startServer({ pods: [pod('a', 'n1', ['10.0.0.1'])] });
    await follow();
    server.putPod(pod('b', 'n1', [], { phase: 'Pending' }));
    server.putPod(pod('b', 'n1', ['10.0.0.2']));
    await until(() => who('10.0.0.2') === 'b');
    const deletedFrom = Date.now();
    server.deletePod('ns', 'a');
    await until(() => who('10.0.0.1') === 'none');
    expect(who('10.0.0.1', deletedFrom - 1000)).toBe('a');
  });

  test('an address that is used again, on the same node and on another: by the time of its network', async () => {
    const t0 = Date.now() - HOUR_MS;
    const at = (minutes: number) => t0 + minutes * 60_000;
    await startServer({ pods: [pod('job-a', 'n1', ['10.0.0.1'], { startedMs: at(0) })] });
    await follow();
    const ended = { phase: 'Succeeded', finishedMs: at(10) } as const;
    server.putPod(pod('job-a', 'n1', ['10.0.0.1'], { startedMs: at(0), ...ended }));
    server.putPod(pod('job-b', 'n1', ['10.0.0.1'], { startedMs: at(20) }));
    server.putPod(pod('job-b', 'n1', ['10.0.0.1'], { startedMs: at(20), phase: 'Failed', finishedMs: at(30) }));
    server.putPod(pod('job-c', 'n2', ['10.0.0.1'], { startedMs: at(40) }));
    // Finished pods stay in the API, and are updated again and again.
    server.putPod(pod('job-a', 'n1', ['10.0.0.1'], { startedMs: at(0), ...ended, labels: { touched: 'yes' } }));
    server.putPod(pod('last', 'n1', ['10.0.0.9']));
    await until(() => who('10.0.0.9') === 'last');
    const seen = [5, 15, 25, 35, 45].map((minutes) => who('10.0.0.1', at(minutes)));
    expect(seen).toEqual(['job-a', 'none', 'job-b', 'none', 'job-c']);
    expect(who('10.0.0.1', at(9), at(21))).toBe('job-a|job-b');
    server.deletePod('ns', 'job-a');
    server.deletePod('ns', 'job-c');
    await until(() => who('10.0.0.1') === 'none');
    expect(who('10.0.0.1', at(5))).toBe('job-a');
  });

  test('Jobs that had finished before the start own their address for their time, and no longer now', async () => {
    const at = (minutes: number) => Date.now() - minutes * 60_000;
    const done = pod('done', 'n1', ['10.0.0.1'], { startedMs: at(30), finishedMs: at(20), phase: 'Succeeded' });
    const old = pod('old', 'n1', ['10.0.0.2'], { startedMs: at(300), finishedMs: at(200), phase: 'Succeeded' });
    await startServer({ pods: [done, old, pod('now', 'n1', ['10.0.0.2'], { startedMs: at(10) })] });
    await follow();
    expect([who('10.0.0.1', at(25)), who('10.0.0.1')]).toEqual(['done', 'none']);
    expect([who('10.0.0.2', at(250)), who('10.0.0.2')]).toEqual(['none', 'now']);
  });

  test('a node that is replaced under its name', async () => {
    await startServer();
    await follow();
    server.deleteNode('n2');
    await until(() => who('192.168.0.2') === 'none');
    expect(owners.node('n2')).toBeUndefined();
    server.putNode({ name: 'n2', zone: 'z3', internalIps: ['192.168.0.22'] });
    await until(() => who('192.168.0.22') === 'n2');
    expect([owners.node('n2')?.zone, who('192.168.0.2')]).toEqual(['z3', 'none']);
  });

  test('5,000 pods at once', async () => {
    await startServer();
    await follow();
    const ip = (i: number) => `10.7.${i >> 8}.${i & 255}`;
    for (let i = 0; i < 5000; i++) server.putPod(pod(`p${i}`, i % 2 ? 'n1' : 'n2', [ip(i)]));
    await until(() => owners.counts.pods === 5000);
    expect([0, 1, 2500, 4999].map((i) => who(ip(i)))).toEqual(['p0', 'p1', 'p2500', 'p4999']);
  });

  test('objects with a problem are counted, and harm no other', async () => {
    await startServer({ nodes: [{ name: 'bare' }], pods: [pod('a', 'bare', ['10.0.0.1'])] });
    server.put('pods', { kind: 'Pod', apiVersion: 'v1', metadata: { name: 'x', namespace: 'ns' } });
    server.putPod(pod('bad', 'bare', ['10.0.0.300']));
    server.putPod(pod('twin', 'bare', ['10.0.0.1'], { startedMs: Date.now() - 1000 }));
    server.putPod(pod('none', 'bare', []));
    // No more than etcd takes; its JSON is 9 MB.
    const huge = { name: 'huge', namespace: 'ns', annotations: { text: '<'.repeat(1.5 * 1024 * 1024) } };
    server.put('pods', { kind: 'Pod', apiVersion: 'v1', metadata: huge });
    await follow();
    expect(who('10.0.0.1')).toBe('twin');
    expect(owners.node('bare')?.zone).toBe('');
    const { values } = await registry.getSingleMetric('egressd_exporter_kubernetes_invalid_objects_total')!.get();
    expect(Object.fromEntries(values.map(({ labels, value }) => [labels.problem, value]))).toEqual({
      malformed: 1,
      malformed_address: 1,
      no_address: 2,
      no_zone: 1,
      duplicate_address: 1,
      too_large: 1,
    });
    // The same on the watch: what comes after it is read.
    server.put('pods', { kind: 'Pod', apiVersion: 'v1', metadata: { ...huge, name: 'huge-2' } });
    server.putPod(pod('after', 'bare', ['10.0.0.9']));
    await until(() => who('10.0.0.9') === 'after');
  });
});

describe('one odd object never stops the rest', () => {
  const HUGE = { text: '<'.repeat(1.5 * 1024 * 1024) };
  const ODD: { metadata: object | null; spec?: unknown; status?: unknown }[] = [
    { metadata: null },
    { metadata: { name: 7, namespace: [], uid: {} } },
    { metadata: { name: 'odd', namespace: 'ns', uid: 'u', annotations: HUGE } },
    { metadata: { name: 'odd', namespace: 'ns', uid: 'odd', labels: 7 }, spec: 'x', status: [] },
    {
      metadata: { name: 'x', namespace: 'ns', uid: 'x' },
      spec: { podCIDRs: 7 },
      status: { addresses: 'a', podIPs: {} },
    },
  ];
  const putOdd = (resource: 'nodes' | 'pods', round: number) =>
    ODD.forEach((object, i) => {
      const metadata = { ...object.metadata, name: object.metadata === null ? '' : `odd-${round}-${i}` };
      server.put(resource, { kind: resource === 'nodes' ? 'Node' : 'Pod', apiVersion: 'v1', ...object, metadata });
    });

  test.each(['nodes', 'pods'] as const)('%s, in a list and in a watch', async (resource) => {
    await startServer({ pods: [pod('first', 'n1', ['10.0.0.1'])] });
    putOdd(resource, 1);
    server.putNode({ name: 'z-last', zone: 'z', internalIps: ['192.168.0.8'] });
    server.putPod(pod('z-last', 'n1', ['10.0.0.2']));
    await follow();
    expect(['10.0.0.1', '10.0.0.2', '192.168.0.8'].map((ip) => who(ip))).toEqual(['first', 'z-last', 'z-last']);
    putOdd(resource, 2);
    server.putNode({ name: 'z-watched', zone: 'z', internalIps: ['192.168.0.9'] });
    server.putPod(pod('z-watched', 'n1', ['10.0.0.3']));
    await until(() => who('10.0.0.3') === 'z-watched' && who('192.168.0.9') === 'z-watched');
    expect(await failures()).toEqual({});
  });
});

describe.each(['1.33', '1.36'] as const)('a new pod, as Kubernetes %s reports it', (release) => {
  const at = (seconds: number) => Math.floor(Date.now() / 1000) * 1000 - HOUR_MS + seconds * 1000;

  test('has its first bytes, also where its second container starts 7 s later', async () => {
    await startServer({ release });
    await follow();
    const [startedMs, sandboxMs] = [at(0), at(20)];
    const slow = pod('slow', 'n1', ['10.0.0.1'], { startedMs, sandboxMs, containersMs: [at(21), at(28)] });
    server.putPod({ ...slow, ips: [], phase: 'Pending', containersMs: [undefined, undefined] });
    server.putPod(slow);
    await until(() => who('10.0.0.1') === 'slow');
    // From the start of its first container on, and not since the kubelet accepted it: another pod may have had the address then.
    expect([at(10), at(21)].map((ms) => who('10.0.0.1', ms))).toEqual(['none', 'slow']);
  });

  test('has them too where the address was another pod a moment before', async () => {
    await startServer({ release, pods: [pod('old', 'n1', ['10.0.0.1'], { startedMs: at(0) })] });
    await follow();
    server.putPod(pod('old', 'n1', ['10.0.0.1'], { startedMs: at(0), phase: 'Succeeded', finishedMs: at(20) }));
    const times = { startedMs: at(10), sandboxMs: at(24), containersMs: [at(25), at(32)] };
    server.putPod(pod('new', 'n2', ['10.0.0.1'], times));
    await until(() => who('10.0.0.1') === 'new');
    expect([at(15), at(22), at(25)].map((ms) => who('10.0.0.1', ms))).toEqual(['old', 'none', 'new']);
  });

  test("on the host network has none: the address is the node's throughout", async () => {
    await startServer({ release });
    await follow();
    server.putPod(pod('agent', 'n1', ['192.168.0.1'], { hostNetwork: true, startedMs: at(0), sandboxMs: at(1) }));
    server.putPod(pod('after', 'n1', ['10.0.0.9']));
    await until(() => who('10.0.0.9') === 'after');
    expect([at(0), at(5), Date.now()].map((ms) => who('192.168.0.1', ms))).toEqual(['n1', 'n1', 'n1']);
  });

  test('whose deletion is asked for has its address until it is gone', async () => {
    await startServer({ release, pods: [pod('a', 'n1', ['10.0.0.1'])] });
    await follow();
    const deleting = (seconds: number) => pod('a', 'n1', ['10.0.0.1'], { deletingMs: Date.now() + seconds * 1000 });
    server.putPod(deleting(30));
    server.putPod(deleting(1));
    server.putPod(pod('mark', 'n1', ['10.0.0.2']));
    await until(() => who('10.0.0.2') === 'mark');
    expect(who('10.0.0.1')).toBe('a');
    server.putPod({ ...deleting(1), phase: 'Succeeded', finishedMs: Date.now() - 5000 });
    server.deletePod('ns', 'a');
    await until(() => who('10.0.0.1') === 'none');
  });
});

describe('an API server that restarts', () => {
  test('403, then 429 of watches, then 410: all is known, and what was deleted meanwhile is gone', async () => {
    await startServer({ pods: [pod('a', 'n1', ['10.0.0.1']), pod('b', 'n1', ['10.0.0.2'])] });
    await follow();
    await until(() => server.watches.count === 2);
    await server.disconnect();
    server.startPhase.set('forbidden');
    await server.listen();
    await until(() => lines.includes('resource=pods reason=forbidden'));
    server.startPhase.set('initializing');
    server.deletePod('ns', 'a');
    server.putPod(pod('c', 'n2', ['10.0.0.3']));
    await until(() => lines.includes('resource=pods reason=throttled'));
    expect([who('10.0.0.1'), who('10.0.0.2'), who('10.0.0.3')]).toEqual(['a', 'b', 'none']);
    server.forgetChanges();
    server.startPhase.set('ready');
    await until(() => who('10.0.0.3') === 'c');
    expect([who('10.0.0.1'), who('10.0.0.2')]).toEqual(['none', 'b']);
    expect((await failures())['pods gone']).toBe(1);
  });

  test('what is asked for in Retry-After is kept, also as it grows', async () => {
    await startServer();
    server.fault = () => ({ kind: 'throttled' });
    begin();
    await until(() => lines.includes('reason=throttled') && server.requests.length === 2);
    await until(() => (lines.match(/retry_in_ms=/g) ?? []).length === 2);
    expect([...lines.matchAll(/retry_in_ms=(\d+)/g)].map(([, ms]) => ms)).toEqual(['1000', '4000']);
  });

  test('watches that it still serves after its stop bring what they have', async () => {
    await startServer();
    await follow();
    await until(() => server.watches.count === 2);
    const restarted = server.restart();
    server.putPod(pod('late', 'n1', ['10.0.0.1']));
    await until(() => who('10.0.0.1') === 'late');
    await restarted;
    await until(() => server.startPhase.now === 'ready');
    server.putPod(pod('later', 'n1', ['10.0.0.2']));
    await until(() => who('10.0.0.2') === 'later');
  });
});

describe('an expired resource version', () => {
  test('410 in a list: it is listed again, and no pod is lost or double', async () => {
    const many = Array.from({ length: 130 }, (_, i) => pod(`p${i}`, 'n1', [`10.1.0.${i + 1}`]));
    // From 1.36 on pages are served from memory, and outlive a compaction.
    await startServer({ pods: many, release: '1.33' });
    let expired = 0;
    server.fault = ({ path, query }) => {
      if (!path.endsWith('/pods') || !query.has('continue') || expired > 0) return undefined;
      expired++;
      server.deletePod('ns', 'p7');
      server.compact();
      return undefined;
    };
    await follow();
    expect(await failures()).toEqual({ 'pods gone': 1 });
    expect([owners.counts.pods, who('10.1.0.8'), who('10.1.0.9')]).toEqual([129, 'none', 'p8']);
  });

  test.each<[string, () => void]>([
    ['as an event of the watch', () => server.watches.reset()],
    ['after the watch has ended', () => server.watches.end()],
  ])('410 in a watch, %s: a new list, and a delete that was never seen is noticed', async (_, cut) => {
    await startServer({ pods: [pod('a', 'n1', ['10.0.0.1']), pod('b', 'n1', ['10.0.0.2'])] });
    await follow();
    await until(() => server.watches.count === 2);
    await server.disconnect();
    server.deletePod('ns', 'a');
    server.putPod(pod('c', 'n2', ['10.0.0.3']));
    server.forgetChanges();
    const back = Date.now();
    await server.listen();
    cut();
    await until(() => who('10.0.0.3') === 'c');
    expect([who('10.0.0.1'), who('10.0.0.1', back - 5000), who('10.0.0.2')]).toEqual(['none', 'a', 'b']);
    expect((await failures())['pods gone']).toBe(1);
  });
});

describe('connections', () => {
  test.each<[string, object]>([
    ['TLS', {}],
    ['plain', { tls: undefined }],
  ])('a watch that is dropped in the middle of a line is resumed, without a list: %s', async (_, tls) => {
    await startServer({ ...tls, pods: [pod('a', 'n1', ['10.0.0.1'])] });
    await follow();
    for (let round = 1; round <= 3; round++) {
      await until(() => server.watches.count === 2);
      server.watches.reset();
      server.putPod(pod(`r${round}`, 'n1', [`10.0.1.${round}`]));
      await until(() => who(`10.0.1.${round}`) === `r${round}`);
    }
    expect(server.seen('/pods?limit')).toBe(1);
    expect(who('10.0.0.1')).toBe('a');
  });

  test('a watch on which nothing comes times out, bookmarks keep one alive', async () => {
    await startServer({ bookmarkMs: 50 });
    await follow({ watchIdleTimeoutMs: 600 });
    await until(() => server.watches.count === 2);
    await sleep(800);
    expect(server.seen('watch=true')).toBe(2);
    server.watches.stall();
    server.putPod(pod('late', 'n1', ['10.0.0.1']));
    await until(() => who('10.0.0.1') === 'late');
    expect((await failures())['pods timeout']).toBeGreaterThan(0);
    expect(lines).toContain('reason=timeout');
  });

  test('an unreachable server: what is known stays, and what is new comes when it is back', async () => {
    await startServer({ pods: [pod('a', 'n1', ['10.0.0.1'])] });
    await follow();
    await server.disconnect();
    await until(() => lines.includes('reason=unreachable'));
    expect([owners.synced, who('10.0.0.1')]).toEqual([true, 'a']);
    server.putPod(pod('b', 'n1', ['10.0.0.2']));
    await server.listen();
    await until(() => who('10.0.0.2') === 'b');
    expect(server.seen('/pods?limit')).toBe(1);
  });

  test('a stop before the server ever answered restores no connection', async () => {
    await startServer();
    await server.disconnect();
    begin();
    await until(() => lines.includes('reason=unreachable'));
    await kubernetes!.close();
    expect(lines).not.toContain('reason=recovered');
  });

  test('a request that is never answered times out', async () => {
    await startServer();
    let hung = 0;
    server.fault = () => (hung++ === 0 ? { kind: 'hang' } : undefined);
    await follow({ idleTimeoutMs: 300 });
    expect(await failures()).toEqual({ 'nodes timeout': 1 });
  });

  test.each<[string, object, string]>([
    ['throttled', { kind: 'throttled', seconds: 0 }, 'throttled'],
    [
      'a server without its database',
      { kind: 'status', code: 500, body: '{"kind":"Status","message":"etcdserver: no leader"}' },
      'server',
    ],
    ['a page of a proxy', { kind: 'status', code: 200, body: '<html>hello', type: 'text/html' }, 'unexpected'],
    ['something else in JSON', { kind: 'status', code: 200, body: '{"kind":"APIVersions"}' }, 'unexpected'],
    ['a list of nothing', { kind: 'status', code: 200, body: 'null' }, 'unexpected'],
    ['404', { kind: 'status', code: 404, body: 'page not found' }, 'unexpected'],
    ['a body that breaks off', { kind: 'broken_off', body: '{"kind":"NodeList","items":[' }, 'unreachable'],
    ['reset', { kind: 'reset' }, 'unreachable'],
  ])('%s once, then it recovers', async (_, fault, reason) => {
    await startServer({ pods: [pod('a', 'n1', ['10.0.0.1'])] });
    let left = 1;
    server.fault = () => (left-- > 0 ? (fault as ReturnType<typeof server.fault>) : undefined);
    await follow();
    expect(await failures()).toEqual({ [`nodes ${reason}`]: 1 });
    expect(who('10.0.0.1')).toBe('a');
  });

  test('Retry-After is honoured', async () => {
    await startServer();
    let left = 1;
    server.fault = () => (left-- > 0 ? { kind: 'throttled', seconds: 7 } : undefined);
    begin();
    await until(() => lines.includes('reason=throttled'));
    expect(lines).toMatch(
      /level=warn msg="request to the API server failed" resource=nodes reason=throttled .* retry_in_ms=7000/,
    );
  });
});

/** The collector of a node. */
describe('events', () => {
  test('a node without a collector is recorded once, where that is allowed', async () => {
    let now = Date.now();
    await startServer();
    await follow({ now: () => now });
    kubernetes!.checkCollectors(new Set(['n1']));
    now += MISSING_AFTER_MS;
    kubernetes!.checkCollectors(new Set(['n1']));
    await until(() => server.events.length === 1);
    kubernetes!.checkCollectors(new Set(['n1']));
    expect(server.events).toMatchObject([
      { involvedObject: { kind: 'Node', name: 'n2' }, reason: 'CollectorMissing', type: 'Warning' },
    ]);
    expect(server.requests.filter(({ method }) => method === 'POST')).toHaveLength(1);
    expect(await registry.metrics()).toContain('egressd_exporter_nodes_without_collector 1');
  });

  test('a problem of a node is recorded once an hour', async () => {
    let now = Date.now();
    await startServer();
    await follow({ now: () => now });
    const posted = () => server.requests.filter(({ method }) => method === 'POST');
    const log = createLog('debug', () => {});
    const record = (event: NodeEvent): void => kubernetes!.record(event);
    const streaming = new Set(['n1', 'n2', 'other']);
    const watch = new NodeProblemWatch({ streaming: () => streaming, report: record, log, registry, now: () => now });
    const fine = { accounting: true, timestamps: true, events: 1, counterDecreases: 0, entriesWithoutCounters: 0 };
    watch.take(collectorOf('other'), { ...fine, accounting: false });
    watch.take(collectorOf('n1'), { ...fine, accounting: false });
    watch.take(collectorOf('n2'), fine);
    watch.take(collectorOf('n2'), { ...fine, counterDecreases: 4 });
    watch.check();
    await until(() => server.events.length === 2);
    expect(server.events).toMatchObject([
      { involvedObject: { kind: 'Node', name: 'n1' }, reason: 'AccountingOff', type: 'Warning' },
      { involvedObject: { kind: 'Node', name: 'n2' }, reason: 'CountersZeroed', type: 'Warning' },
    ]);
    expect(posted()).toHaveLength(2);
    now += EVENT_INTERVAL_MS;
    watch.check();
    await until(() => server.events.length === 3);
    expect(server.events.filter((event) => JSON.stringify(event).includes('AccountingOff'))).toHaveLength(2);
  });

  test('one that the API server did not take is recorded at the next check', async () => {
    let now = Date.now();
    await startServer();
    await follow({ now: () => now });
    let left = 1;
    server.fault = ({ method }) => (method === 'POST' && left-- > 0 ? { kind: 'throttled', seconds: 1 } : undefined);
    kubernetes!.checkCollectors(new Set(['n1']));
    now += MISSING_AFTER_MS;
    kubernetes!.checkCollectors(new Set(['n1']));
    await until(() => left === 0);
    await until(() => {
      kubernetes!.checkCollectors(new Set(['n1']));
      return server.events.length > 0;
    });
    expect(server.events).toHaveLength(1);
  });

  test('where they are not allowed, one line is logged, and they are tried again after a while', async () => {
    let now = Date.now();
    await startServer({ rules: [{ apiGroups: [''], resources: ['pods', 'nodes'], verbs: ['list', 'watch'] }] });
    await follow({ now: () => now });
    kubernetes!.checkCollectors(new Set(['n1']));
    now += MISSING_AFTER_MS;
    kubernetes!.checkCollectors(new Set(['n1']));
    await until(() => lines.includes('resource=events reason=forbidden'));
    expect(lines).toContain('resources: [\\"events\\"], verbs: [\\"create\\"]');
    const posted = () => server.requests.filter(({ method }) => method === 'POST').length;
    kubernetes!.checkCollectors(new Set(['n1']));
    expect(posted()).toBe(1);
    // A starting API server answers 403 for a moment.
    now += 10 * 60_000;
    kubernetes!.checkCollectors(new Set(['n1']));
    await until(() => posted() === 2);
  });
});

describe('credentials', () => {
  test('a kubeconfig whose token is replaced', async () => {
    await startServer({ pods: [pod('a', 'n1', ['10.0.0.1'])] });
    await follow();
    server.access.tokens = ['second-token'];
    server.watches.end();
    await until(() => lines.includes('reason=unauthorized'));
    expect(who('10.0.0.1')).toBe('a');
    server.writeKubeconfig(kubeconfig);
    server.putPod(pod('b', 'n1', ['10.0.0.2']));
    await until(() => who('10.0.0.2') === 'b');
    expect(server.requests.at(-1)?.token).toBe('second-token');
    expect(lines).not.toMatch(/(first|second)-token/);
  });

  test('in a cluster: the service account, whose token rotates', async () => {
    await startServer({ pods: [pod('a', 'n1', ['10.0.0.1'])] });
    const root = join(certificates.folder, 'pod');
    const folder = join(root, '/var/run/secrets/kubernetes.io/serviceaccount');
    mkdirSync(folder, { recursive: true });
    const token = (text: string) => writeFileSync(join(folder, 'token'), text);
    writeFileSync(join(folder, 'ca.crt'), readFileSync(authority.cert));
    token('first-token');
    const environment = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(server.port) };
    try {
      await follow({}, findAccess(undefined, environment, root));
      expect(who('10.0.0.1')).toBe('a');
      server.access.tokens = ['second-token'];
      token('second-token\n');
      server.watches.end();
      server.putPod(pod('b', 'n1', ['10.0.0.2']));
      await until(() => who('10.0.0.2') === 'b');
      expect(lines).toContain('access=in-cluster');
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  test('a kubeconfig with a tokenFile, whose token rotates', async () => {
    await startServer({ pods: [pod('a', 'n1', ['10.0.0.1'])] });
    server.writeKubeconfig(kubeconfig, 'not-this-token');
    const config = JSON.parse(readFileSync(kubeconfig, 'utf8'));
    // Relative to the kubeconfig, and before the token beside it, as in kubectl.
    config.users[0].user.tokenFile = 'token';
    writeFileSync(kubeconfig, JSON.stringify(config));
    const tokenFile = join(certificates.folder, 'token');
    writeFileSync(tokenFile, 'first-token\n');
    await follow();
    server.access.tokens = ['second-token'];
    writeFileSync(tokenFile, 'second-token');
    server.watches.end();
    server.putPod(pod('b', 'n1', ['10.0.0.2']));
    await until(() => who('10.0.0.2') === 'b');
    expect(server.requests.map(({ token }) => token)).not.toContain('not-this-token');
  });

  test.each(['list', 'watch'])('a rule that is missing is named: %s', async (verb) => {
    const others = ['list', 'watch'].filter((one) => one !== verb);
    const rules = [
      { apiGroups: [''], resources: ['nodes'], verbs: ['list', 'watch'] },
      { apiGroups: [''], resources: ['pods'], verbs: others },
    ];
    await startServer({ rules, pods: [pod('a', 'n1', ['10.0.0.1'])] });
    begin();
    await until(() => lines.includes('resource=pods reason=forbidden'));
    const missing = `apiGroups: [\\"\\"], resources: [\\"pods\\"], verbs: [\\"${verb}\\"]`;
    expect(lines).toContain(missing);
    expect(lines).toContain(`cannot ${verb} resource`);
    expect(owners.synced).toBe(verb === 'watch');
    server.access.rules = [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }];
    server.putPod(pod('b', 'n1', ['10.0.0.2']));
    await until(() => who('10.0.0.2') === 'b');
  });

  test('a certificate of another authority', async () => {
    const other = certificates.authority('other');
    await startServer({ tls: { own, authority: other } });
    begin();
    await until(() => lines.includes('reason=tls'));
    expect(owners.synced).toBe(false);
    expect(server.requests).toEqual([]);
  });

  test.each<[string, string, string]>([
    ['is not there', '', 'ENOENT'],
    ['is no YAML', 'a: [', 'cannot be used'],
    ['names no cluster', 'current-context: x\n', 'names no cluster'],
    [
      'has plain HTTP unasked',
      JSON.stringify({
        clusters: [{ name: 'c', cluster: { server: 'http://127.0.0.1:1' } }],
        users: [{ name: 'u', user: {} }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }),
      'HTTP protocol is not allowed',
    ],
  ])('a kubeconfig that %s', async (_, text, expected) => {
    await startServer();
    const file = join(certificates.folder, `kubeconfig-${expected.slice(0, 4)}`);
    if (text !== '') writeFileSync(file, text);
    begin({}, { kind: 'kubeconfig', files: [file] });
    await until(() => lines.includes(expected));
    server.writeKubeconfig(file);
    await until(() => owners.synced);
  });
});
