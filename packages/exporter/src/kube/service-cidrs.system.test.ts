import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog } from '@egressd/daemon/log';
import { formatAddress, isV4 } from '@egressd/flow/address';
import { EXPORTER_RULES } from '@egressd/world/api-server/access';
import { type ApiServer, type ApiServerOptions, startApiServer } from '@egressd/world/api-server/api-server';
import { CertificateFolder } from '@egressd/world/certificates';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { OwnerRegistry } from '../owners/registry.ts';
import { followKubernetes, type Kubernetes } from './kubernetes.ts';

const MINUTE_MS = 60_000;
const NODES = [{ name: 'n1', zone: 'z1', internalIps: ['192.168.0.1'], podCidrs: ['203.0.113.0/26'] }];

const files = new CertificateFolder();
const kubeconfig = join(files.folder, 'kubeconfig');
let server: ApiServer;
let kubernetes: Kubernetes | undefined;
let lines = '';

afterAll(() => files[Symbol.dispose]());

beforeEach(() => {
  lines = '';
});

afterEach(async () => {
  await kubernetes?.close();
  kubernetes = undefined;
  await server.close();
});

async function startServer(options: ApiServerOptions = {}): Promise<void> {
  server = await startApiServer({ nodes: NODES, ...options });
  server.writeKubeconfig(kubeconfig);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

/** Follows Kubernetes until the owners are synced. */
async function follow(serviceCidrsIntervalMs = MINUTE_MS): Promise<OwnerRegistry> {
  const owners = new OwnerRegistry(['kubernetes']);
  const log = createLog('debug', (line) => {
    lines += line;
  });
  kubernetes = followKubernetes({
    access: { kind: 'kubeconfig', files: [kubeconfig] },
    owners: owners.source('kubernetes'),
    registry: new Registry(),
    log,
    backoff: { minMs: 5, maxMs: 40 },
    serviceCidrsIntervalMs,
  });
  await until(() => owners.synced);
  return owners;
}

describe('ServiceCIDRs', () => {
  const put = (name: string, ...cidrs: unknown[]) =>
    server.put('servicecidrs', {
      kind: 'ServiceCIDR',
      apiVersion: 'networking.k8s.io/v1',
      metadata: { name },
      spec: { cidrs },
    });
  const ranges = (owners: OwnerRegistry) =>
    owners.clusterRanges.map(({ bytes, bits }) => `${formatAddress(bytes)}/${isV4(bytes) ? bits - 96 : bits}`);

  test('are cluster ranges beside those of nodes, from the first state on; what is no range is skipped', async () => {
    await startServer();
    put('kubernetes', '198.51.100.0/24', 'fd00:10::/108', 'none', 7);
    const owners = await follow();
    expect(ranges(owners)).toEqual(['203.0.113.0/26', '198.51.100.0/24', 'fd00:10::/108']);
    expect(lines).toContain('msg="ServiceCIDRs read" resource=servicecidrs ranges=2');
  });

  test('one odd object never stops the rest', async () => {
    await startServer();
    for (const [i, spec] of [null, 7, {}, { cidrs: 7 }, { cidrs: [{}, null, '10.0.0.0/99'] }].entries())
      server.put('servicecidrs', {
        ...{ kind: 'ServiceCIDR', apiVersion: 'networking.k8s.io/v1', metadata: { name: `odd-${i}` } },
        spec,
      });
    put('zz-last', '198.51.100.0/24');
    const owners = await follow();
    expect(ranges(owners)).toEqual(['203.0.113.0/26', '198.51.100.0/24']);
  });

  test('are read again, and a node that comes leaves them in place', async () => {
    await startServer();
    const owners = await follow(20);
    expect(ranges(owners)).toEqual(['203.0.113.0/26']);
    put('more', '198.51.100.0/24');
    await until(() => owners.clusterRanges.length === 2);
    server.putNode({ name: 'n2', internalIps: ['192.168.0.2'], podCidrs: ['192.0.2.0/25'] });
    await until(() => owners.clusterRanges.length === 3);
    expect(ranges(owners)).toEqual(['192.0.2.0/25', '203.0.113.0/26', '198.51.100.0/24']);
  });

  test.each<[string, ApiServerOptions, (() => void) | undefined, string]>([
    ['not allowed', { rules: EXPORTER_RULES.slice(0, 2) }, undefined, 'resource=servicecidrs reason=forbidden'],
    [
      'not there',
      {},
      () => {
        server.fault = ({ path }) =>
          path.endsWith('servicecidrs')
            ? { kind: 'status', code: 404, body: '404 page not found\n', type: 'text/plain; charset=utf-8' }
            : undefined;
      },
      'resource=servicecidrs reason=not_found',
    ],
  ])('%s: one line is logged, and all else works', async (_, options, fault, line) => {
    await startServer(options);
    fault?.();
    const owners = await follow(5);
    await until(() => server.seen('servicecidrs') >= 3);
    expect(ranges(owners)).toEqual(['203.0.113.0/26']);
    expect(lines).toContain(line);
    expect(lines.match(/ServiceCIDRs cannot be read/g)).toHaveLength(1);
  });

  test('a failure leaves those that are known', async () => {
    await startServer();
    put('kubernetes', '198.51.100.0/24');
    const owners = await follow(5);
    server.fault = ({ path }) => (path.endsWith('servicecidrs') ? { kind: 'throttled', seconds: 0 } : undefined);
    await until(() => lines.includes('resource=servicecidrs reason=throttled'));
    expect(ranges(owners)).toEqual(['203.0.113.0/26', '198.51.100.0/24']);
  });
});
