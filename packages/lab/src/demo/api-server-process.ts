/**
 * A stand-in for the API server of the cluster that the world would be: its nodes with zones and ranges, its pods with their
 * workloads, on loopback with TLS, a token, and no more rights for it than the exporter needs.
 *
 *   node api-server-process.ts KUBECONFIG     writes the file once it listens; certificates go beside it
 *
 * Every line on stdin makes some of what happens in a cluster all the time happen: `disturb` has the cases. Ends with stdin.
 */
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { type ApiServer, startApiServer } from '../api-server/api-server.ts';
import type { NodeDescription, PodDescription } from '../api-server/objects.ts';
import { CertificateFolder } from '../certificates.ts';
import { NODES, type Node, type Pod } from '../world/layout.ts';

/** What the exporter cannot do without. */
const RULES = [{ apiGroups: [''], resources: ['nodes', 'pods'], verbs: ['list', 'watch'] }];
/** The hash of the pod template that all pods of the stand-in have. */
const TEMPLATE_HASH = '5d4f8c7b9c';
const BOOKMARK_MS = 1000;
/** Ends and comes back with another name and the same address, which nobody uses. */
const JOB = { namespace: 'data', node: 'node-a', ips: ['10.10.1.200', 'fd00:10:1::200'] };

function nodeOf({ name, zone, region, address, podRange }: Node): NodeDescription {
  return {
    name,
    zone,
    region,
    internalIps: [address.v4, address.v6],
    podCidrs: [podRange.v4, podRange.v6],
  };
}

function podOf({ name, namespace, address }: Pod, node: string): PodDescription {
  const owner = { kind: 'ReplicaSet', name: `${name.replace(/-\d+$/, '')}-${TEMPLATE_HASH}` };
  return { name, namespace, node, ips: [address.v4, address.v6], owner };
}

/** Pods are reported again with other labels, a Job comes and the one before goes, and every watch breaks in the middle of a line. */
function disturb(server: ApiServer, times: number): void {
  for (const node of NODES)
    for (const pod of node.pods) server.putPod({ ...podOf(pod, node.name), labels: { changed: `${times}` } });
  server.deletePod(JOB.namespace, `report-${times - 1}`);
  server.putPod({ ...JOB, name: `report-${times}`, owner: { kind: 'Job', name: `report-${times}` } });
  server.watches.reset();
}

async function main(kubeconfig: string): Promise<void> {
  const certificates = new CertificateFolder(dirname(kubeconfig));
  const authority = certificates.authority('kubernetes-ca');
  const server = await startApiServer({
    tls: { own: certificates.certificate('apiserver', authority), authority },
    rules: RULES,
    bookmarkMs: BOOKMARK_MS,
    nodes: NODES.map(nodeOf),
    pods: NODES.flatMap((node) => node.pods.map((pod) => podOf(pod, node.name))),
  });
  server.writeKubeconfig(kubeconfig);
  let times = 0;
  createInterface({ input: process.stdin })
    .on('line', () => disturb(server, ++times))
    .on('close', () => process.exit(0));
}

const [kubeconfig] = process.argv.slice(2);
if (kubeconfig === undefined) throw new Error('BUG: no path for the kubeconfig');
await main(kubeconfig);
