import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog, SILENT } from '@egressd/daemon/log';
import { formatAddress, isV4, parseAddress } from '@egressd/flow/address';
import { EXPORTER_RULES } from '@egressd/world/api-server/access';
import { type ApiServer, type ApiServerOptions, startApiServer } from '@egressd/world/api-server/api-server';
import { CertificateFolder } from '@egressd/world/certificates';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { followKubernetes, type Kubernetes } from '../../kube/kubernetes.ts';
import { OwnerRegistry } from '../../owners/registry.ts';
import { IpHistoryStore } from './ip-history-store.ts';

const MINUTE_MS = 60_000;
const NODES = [{ name: 'n1', zone: 'z1', internalIps: ['192.168.0.1'], podCidrs: ['203.0.113.0/26'] }];

const files = new CertificateFolder();
const kubeconfig = join(files.folder, 'kubeconfig');
const state = join(files.folder, 'state');
let server: ApiServer;
let lines = '';
let stop: (() => Promise<void>) | undefined;

afterAll(() => files[Symbol.dispose]());

beforeEach(() => {
  lines = '';
});

afterEach(async () => {
  await stop?.();
  stop = undefined;
  await server.close();
  rmSync(state, { recursive: true, force: true });
});

async function startServer(options: ApiServerOptions = {}): Promise<void> {
  server = await startApiServer({ nodes: NODES, ...options });
  server.writeKubeconfig(kubeconfig);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

/** One life of the exporter, as far as owners go, until it is synced. `stop` ends it. */
async function live(serviceRangesAgainMs = MINUTE_MS): Promise<OwnerRegistry> {
  const owners = new OwnerRegistry(['kubernetes']);
  const registry = new Registry();
  const store = new IpHistoryStore({ folder: state, owners, registry, log: SILENT });
  await store.start();
  const log = createLog('debug', (line) => {
    lines += line;
  });
  const access = { kind: 'kubeconfig', files: [kubeconfig] } as const;
  const backoff = { minMs: 5, maxMs: 40 };
  const source = owners.source('kubernetes');
  const kubernetes: Kubernetes = followKubernetes({
    access,
    owners: source,
    registry,
    log,
    backoff,
    serviceRangesAgainMs,
  });
  stop = async () => {
    await kubernetes.close();
    await store.close();
  };
  await until(() => owners.synced);
  return owners;
}

/** The exporter ends, something happens, and it is back. */
async function restart(meanwhile: () => void): Promise<{ owners: OwnerRegistry; backMs: number }> {
  await stop!();
  meanwhile();
  const backMs = Date.now();
  return { owners: await live(), backMs };
}

function who(owners: OwnerRegistry, ip: string, atMs: number): string {
  const found = owners.during(parseAddress(ip)!, 0, atMs, atMs + 1);
  return found.known === 'owner' ? found.owner.pod || found.owner.node : found.known;
}

const pod = (name: string, ip: string, startedMs: number, more: object = {}) => {
  return { namespace: 'ns', name, node: 'n1', ips: [ip], startedMs, ...more };
};

/** What a second can hold: Kubernetes writes whole ones. */
const second = (ms: number) => Math.floor(ms / 1000) * 1000;

describe('a restart with a state directory', () => {
  const t0 = second(Date.now() - 60 * MINUTE_MS);
  const at = (minutes: number) => t0 + minutes * MINUTE_MS;

  test('who was deleted before it, and during it, had the address until then; who lives has it all along', async () => {
    await startServer({ pods: [pod('early', '10.0.0.1', at(0)), pod('late', '10.0.0.2', at(1))] });
    server.putPod(pod('stays', '10.0.0.3', at(2)));
    const first = await live();
    server.deletePod('ns', 'early');
    await until(() => who(first, '10.0.0.1', Date.now()) === 'nobody');
    const goneMs = Date.now();
    const { owners, backMs } = await restart(() => server.deletePod('ns', 'late'));
    expect([at(0) - 1, at(0), at(5), goneMs].map((ms) => who(owners, '10.0.0.1', ms))).toEqual([
      'nobody',
      'early',
      'early',
      'nobody',
    ]);
    expect([at(1), backMs - 1, Date.now() + 1].map((ms) => who(owners, '10.0.0.2', ms))).toEqual([
      'late',
      'late',
      'nobody',
    ]);
    expect([at(2) - 1, at(2), Date.now()].map((ms) => who(owners, '10.0.0.3', ms))).toEqual([
      'nobody',
      'stays',
      'stays',
    ]);
    expect(owners.counts.pods).toBe(1);
  });

  test('an address that was given on meanwhile', async () => {
    await startServer({ pods: [pod('a', '10.0.0.1', at(0))] });
    await live();
    const { owners } = await restart(() => {
      server.deletePod('ns', 'a');
      server.putPod(pod('b', '10.0.0.1', at(30)));
    });
    expect([at(29), at(30), Date.now()].map((ms) => who(owners, '10.0.0.1', ms))).toEqual(['a', 'b', 'b']);
  });

  test('a Job that finished meanwhile, and is still in the API, ended when it says', async () => {
    await startServer({ pods: [pod('job', '10.0.0.1', at(0))] });
    await live();
    const { owners } = await restart(() =>
      server.putPod(pod('job', '10.0.0.1', at(0), { phase: 'Succeeded', finishedMs: at(40) })),
    );
    expect([at(39), at(41)].map((ms) => who(owners, '10.0.0.1', ms))).toEqual(['job', 'nobody']);
  });
});

describe('ranges of Services', () => {
  const put = (name: string, ...cidrs: unknown[]) =>
    server.put('servicecidrs', {
      kind: 'ServiceCIDR',
      apiVersion: 'networking.k8s.io/v1',
      metadata: { name },
      spec: { cidrs },
    });
  const ranges = (owners: OwnerRegistry) =>
    owners.clusterRanges.map(({ bytes, bits }) => `${formatAddress(bytes)}/${isV4(bytes) ? bits - 96 : bits}`);

  test('are the cluster’s, with those of nodes, from the first state on; what is no range is left out', async () => {
    await startServer();
    put('kubernetes', '198.51.100.0/24', 'fd00:10::/108', 'none', 7);
    const owners = await live();
    expect(ranges(owners)).toEqual(['203.0.113.0/26', '198.51.100.0/24', 'fd00:10::/108']);
    expect(lines).toContain('msg="Service ranges" ranges=2');
  });

  test('are read again, and a node that comes leaves them in place', async () => {
    await startServer();
    const owners = await live(20);
    expect(ranges(owners)).toEqual(['203.0.113.0/26']);
    put('more', '198.51.100.0/24');
    await until(() => owners.clusterRanges.length === 2);
    server.putNode({ name: 'n2', internalIps: ['192.168.0.2'], podCidrs: ['192.0.2.0/25'] });
    await until(() => owners.clusterRanges.length === 3);
    expect(ranges(owners)).toEqual(['192.0.2.0/25', '203.0.113.0/26', '198.51.100.0/24']);
  });

  test.each<[string, ApiServerOptions, (() => void) | undefined, string]>([
    [
      'not allowed',
      { rules: EXPORTER_RULES.slice(0, 2) },
      undefined,
      'resources: [\\"servicecidrs\\"], verbs: [\\"list\\"]',
    ],
    [
      'not there',
      {},
      () => {
        server.fault = ({ path }) =>
          path.endsWith('servicecidrs') ? { kind: 'status', code: 404, body: '404 page not found' } : undefined;
      },
      'this Kubernetes tells none (before 1.33)',
    ],
  ])('%s: one line says so, whatever else goes on', async (_, options, fault, line) => {
    await startServer(options);
    fault?.();
    const owners = await live(5);
    await until(() => server.seen('servicecidrs') >= 3);
    expect(ranges(owners)).toEqual(['203.0.113.0/26']);
    expect(lines).toContain(line);
    expect(lines.match(/Service ranges are not read/g)).toHaveLength(1);
  });

  test('a failure leaves those that are known', async () => {
    await startServer();
    put('kubernetes', '198.51.100.0/24');
    const owners = await live(5);
    server.fault = ({ path }) => (path.endsWith('servicecidrs') ? { kind: 'throttled', seconds: 0 } : undefined);
    await until(() => lines.includes('too many requests'));
    expect(ranges(owners)).toEqual(['203.0.113.0/26', '198.51.100.0/24']);
  });
});
