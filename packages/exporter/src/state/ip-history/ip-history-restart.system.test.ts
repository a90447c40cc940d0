import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SILENT } from '@egressd/daemon/log';
import { parseAddress } from '@egressd/flow/address';
import { type ApiServer, type ApiServerOptions, startApiServer } from '@egressd/world/api-server/api-server';
import { CertificateFolder } from '@egressd/world/certificates';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
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
let stop: (() => Promise<void>) | undefined;

afterAll(() => files[Symbol.dispose]());

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

/** The owners of an exporter process and their history, from the start until they are synced. `stop` ends them. */
async function start(): Promise<OwnerRegistry> {
  const owners = new OwnerRegistry(['kubernetes']);
  const registry = new Registry();
  const store = new IpHistoryStore({ folder: state, owners, registry, log: SILENT });
  await store.start();
  const access = { kind: 'kubeconfig', files: [kubeconfig] } as const;
  const backoff = { minMs: 5, maxMs: 40 };
  const source = owners.source('kubernetes');
  const kubernetes: Kubernetes = followKubernetes({ access, owners: source, registry, log: SILENT, backoff });
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
  return { owners: await start(), backMs };
}

function who(owners: OwnerRegistry, ip: string, atMs: number): string {
  const found = owners.ownerBetween(parseAddress(ip)!, 0, atMs, atMs + 1);
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

  test('pods deleted before and during it owned their address until then, one that lives owns it all along', async () => {
    await startServer({ pods: [pod('early', '10.0.0.1', at(0)), pod('late', '10.0.0.2', at(1))] });
    server.putPod(pod('stays', '10.0.0.3', at(2)));
    const first = await start();
    server.deletePod('ns', 'early');
    await until(() => who(first, '10.0.0.1', Date.now()) === 'none');
    const goneMs = Date.now();
    const { owners, backMs } = await restart(() => server.deletePod('ns', 'late'));
    expect([at(0) - 1, at(0), at(5), goneMs].map((ms) => who(owners, '10.0.0.1', ms))).toEqual([
      'none',
      'early',
      'early',
      'none',
    ]);
    expect([at(1), backMs - 1, Date.now() + 1].map((ms) => who(owners, '10.0.0.2', ms))).toEqual([
      'late',
      'late',
      'none',
    ]);
    expect([at(2) - 1, at(2), Date.now()].map((ms) => who(owners, '10.0.0.3', ms))).toEqual(['none', 'stays', 'stays']);
    expect(owners.counts.pods).toBe(1);
  });

  test('an address that another pod got meanwhile', async () => {
    await startServer({ pods: [pod('a', '10.0.0.1', at(0))] });
    await start();
    const { owners } = await restart(() => {
      server.deletePod('ns', 'a');
      server.putPod(pod('b', '10.0.0.1', at(30)));
    });
    expect([at(29), at(30), Date.now()].map((ms) => who(owners, '10.0.0.1', ms))).toEqual(['a', 'b', 'b']);
  });

  test('a Job that finished meanwhile, and is still in the API, ended when it says', async () => {
    await startServer({ pods: [pod('job', '10.0.0.1', at(0))] });
    await start();
    const { owners } = await restart(() =>
      server.putPod(pod('job', '10.0.0.1', at(0), { phase: 'Succeeded', finishedMs: at(40) })),
    );
    expect([at(39), at(41)].map((ms) => who(owners, '10.0.0.1', ms))).toEqual(['job', 'none']);
  });
});
