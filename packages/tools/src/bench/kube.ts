import { spawn } from 'node:child_process';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type ApiServer, startApiServer } from '@egressd/world/api-server/api-server';
import { podObject } from '@egressd/world/api-server/objects';
import { CertificateFolder } from '@egressd/world/certificates';
import { daemonCommand } from '@egressd/world/daemons/daemon-command';
import { stopProcess } from '@egressd/world/network/commands';
import { listeningPorts, type Resident, residentOf } from './exporter-process.ts';

const PODS = 20_000;
const PODS_PER_NODE = 100;
/** What is garbage by then is collected, or counts. */
const SETTLE_MS = 3000;
const START_LIMIT_MS = 60_000;

/** What the pods of a large cluster cost the exporter. */
interface KubeResult {
  readonly pods: number;
  /** Of JSON, a pod. */
  readonly bytesPerPod: number;
  /** Without any source of pods. */
  readonly none: Resident;
  /** With all pods listed and watched. */
  readonly listed: Resident;
  /** After a second list, as after a long time without the API server. */
  readonly relisted: Resident;
  /** From the process's start to all pods known. */
  readonly readyMs: number;
}

/** A real exporter with a stand-in API server of 20,000 pods, against one without owners. */
export async function benchKube(): Promise<KubeResult> {
  const folder = await mkdtemp(join(tmpdir(), 'egressd-bench-'));
  using certificates = new CertificateFolder();
  const authority = certificates.authority('kubernetes-ca');
  const server = await startApiServer({ tls: { own: certificates.certificate('apiserver', authority), authority } });
  try {
    const bytesPerPod = fill(server);
    await writeFile(join(folder, 'token'), server.access.tokens[0]!);
    await copyFile(authority.cert, join(folder, 'ca.crt'));
    const none = await withExporter(undefined, (port, pid) => settled(port, pid, 0));
    const began = performance.now();
    return await withExporter({ folder, server: new URL(server.url) }, async (port, pid) => {
      await known(port, PODS);
      const readyMs = performance.now() - began;
      const listed = await settled(port, pid, PODS);
      await relist(server);
      const relisted = await settled(port, pid, PODS);
      return { pods: PODS, bytesPerPod, none, listed, relisted, readyMs };
    });
  } finally {
    await server.close();
    await rm(folder, { recursive: true });
  }
}

/** @returns bytes of JSON a pod */
function fill(server: ApiServer): number {
  for (let n = 0; n < PODS / PODS_PER_NODE; n++) {
    const node = `node-${n}`;
    const podCidrs = [`10.${n >> 6}.${(n & 63) << 2}.0/22`];
    server.putNode({ name: node, zone: `zone-${n % 3}`, region: 'region', internalIps: [`192.168.${n}.1`], podCidrs });
    for (let p = 0; p < PODS_PER_NODE; p++) {
      const name = `service-${p % 40}-5d4f8c7b9c-${n.toString(36)}x${p.toString(36)}`;
      const owner = { kind: 'ReplicaSet', name: `service-${p % 40}-5d4f8c7b9c` };
      const ips = [`10.${n >> 6}.${(n & 63) << 2}.${p + 1}`, `fd00:${n}::${p + 1}`];
      server.putPod({ namespace: `team-${n % 50}`, name, node, ips, owner });
    }
  }
  return JSON.stringify(podObject({ namespace: 'team-1', name: 'service-1-5d4f8c7b9c-x', node: 'node-1' })).length;
}

/** The server is down, and has forgotten its history when it is back. Resolves when all pods were listed again. */
async function relist(server: ApiServer): Promise<void> {
  const pages = server.seen('/pods?limit');
  const limit = Date.now() + START_LIMIT_MS;
  await server.disconnect();
  server.putNode({ name: 'node-0', zone: 'zone-0', region: 'region', internalIps: ['192.168.0.1'] });
  server.forgetChanges();
  await server.listen();
  while (server.seen('/pods?limit') < 2 * pages) {
    if (Date.now() > limit) throw new Error('the exporter did not list again in time');
    await pause(100);
  }
}

/** As a pod of the cluster: the service account's files are where a pod has them, in a mount namespace of the process. */
interface InCluster {
  readonly folder: string;
  readonly server: URL;
}

const AS_A_POD = `set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/secrets/kubernetes.io/serviceaccount
cp "$0"/* /run/secrets/kubernetes.io/serviceaccount
exec "$@"`;

async function withExporter<T>(
  cluster: InCluster | undefined,
  work: (port: number, pid: number) => Promise<T>,
): Promise<T> {
  const { KUBECONFIG: _, KUBERNETES_SERVICE_HOST: __, ...rest } = process.env;
  const daemon = [...daemonCommand('exporter'), '-log-level=info', '-http-listen-port=0', '-grpc-listen-port=0'];
  const [command = '', ...words] =
    cluster === undefined ? daemon : ['unshare', '--mount', 'sh', '-c', AS_A_POD, cluster.folder, ...daemon];
  const address = { KUBERNETES_SERVICE_HOST: cluster?.server.hostname, KUBERNETES_SERVICE_PORT: cluster?.server.port };
  const env = cluster === undefined ? rest : { ...rest, ...address };
  const child = spawn(command, words, { stdio: ['ignore', 'ignore', 'pipe'], env });
  try {
    return await work((await listeningPorts(child)).http, child.pid!);
  } finally {
    await stopProcess(child, 12_000);
  }
}

async function known(port: number, pods: number): Promise<void> {
  const limit = Date.now() + START_LIMIT_MS;
  while (Date.now() < limit) {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    if (new RegExp(`^egressd_exporter_pods ${pods}$`, 'm').test(text)) return;
    await pause(100);
  }
  throw new Error(`the exporter does not know ${pods} pods in time`);
}

async function settled(port: number, pid: number, pods: number): Promise<Resident> {
  await pause(SETTLE_MS);
  await known(port, pods);
  return residentOf(pid);
}
