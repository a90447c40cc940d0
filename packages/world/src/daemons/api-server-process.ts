/**
 * A stand-in for the API server of the cluster that the world would be: its nodes with zones and ranges, its pods with their
 * workloads, on loopback with TLS, a token, and no more rights for it than the exporter needs.
 *
 *   node api-server-process.ts KIND KUBECONFIG [RULES]     writes the file once it listens; certificates go beside it
 *
 * KIND is the world's. RULES, JSON, are what its one user may do. A line on stdin makes something happen: `ORDERS` has them. Ends
 * with stdin.
 */

import { renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { Bug } from '@egressd/flow/bug';
import type { Rule } from '../api-server/access.ts';
import { type ApiServer, startApiServer } from '../api-server/api-server.ts';
import type { Fault } from '../api-server/faults.ts';
import type { NodeDescription, PodDescription } from '../api-server/objects.ts';
import { CertificateFolder } from '../certificates.ts';
import { blueprintOf, isWorldKind, type WorldKind } from '../network/kinds.ts';
import { type Layout, listedAddresses, type Node, type Pod, podsOn } from '../network/layout.ts';

/** Where no others are given: what the exporter cannot do without. */
const RULES: readonly Rule[] = [{ apiGroups: [''], resources: ['nodes', 'pods'], verbs: ['list', 'watch'] }];
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

function podOf(layout: Layout, pod: Pod, node: string): PodDescription {
  const { name, namespace } = pod;
  const owner = { kind: 'ReplicaSet', name: `${name.replace(/-\d+$/, '')}-${TEMPLATE_HASH}` };
  return { name, namespace, node, ips: listedAddresses(layout, pod), owner };
}

/** All pods of the world. */
function podsOf(layout: Layout): PodDescription[] {
  return layout.nodes.flatMap((node) => podsOn(layout, node).map((pod) => podOf(layout, pod, node.name)));
}

/** Pods are reported again with other labels, a Job comes and the one before goes, and every watch breaks in the middle of a line. */
function disturb(server: ApiServer, pods: readonly PodDescription[], times: number): void {
  for (const pod of pods) server.putPod({ ...pod, labels: { changed: `${times}` } });
  server.deletePod(JOB.namespace, `report-${times - 1}`);
  server.putPod({ ...JOB, name: `report-${times}`, owner: { kind: 'Job', name: `report-${times}` } });
  server.watches.reset();
}

/** Which Secret, and where to. */
export interface SecretOrder {
  readonly namespace: string;
  readonly name: string;
  readonly file: string;
}

/** The file is there when it is whole. */
function writeSecret(server: ApiServer, { namespace, name, file }: SecretOrder): void {
  const secret = server.secret(namespace, name);
  if (secret === undefined) throw new Error(`there is no Secret ${namespace}/${name}`);
  writeFileSync(`${file}.new`, JSON.stringify(secret));
  renameSync(`${file}.new`, file);
}

type OrderHandler = (server: ApiServer, json: string, pods: readonly PodDescription[]) => unknown;

/** What it can be told: a word, and for some of them an object as JSON. */
const ORDERS: Readonly<Record<string, OrderHandler>> = {
  /** What happens in a cluster all the time. */
  disturb: (server, _, pods) => disturb(server, pods, ++times),
  /** Every connection is cut, new ones are refused. */
  away: (server) => server.away(),
  back: (server) => server.listen(),
  /** The past is forgotten and every watch is cut: who wants to go on from where he was gets 410. */
  compact: (server) => {
    server.compact();
    server.watches.reset();
  },
  /** Watches stay open and nothing comes by them. */
  silence: (server) => server.watches.silence(),
  /** Half of all requests get 429 or 500 until `healthy`. */
  ailing: (server) => {
    server.fault = () => AILMENTS[requests++ % AILMENTS.length];
  },
  healthy: (server) => {
    server.fault = () => undefined;
  },
  /** A Secret is written to a file, as a kubelet would read it. */
  secret: (server, json) => writeSecret(server, JSON.parse(json) as SecretOrder),
  pod: (server, json) => server.putPod(JSON.parse(json) as PodDescription),
  delete: (server, json) => {
    const { namespace, name } = JSON.parse(json) as PodDescription;
    server.deletePod(namespace, name);
  },
};
const AILMENTS: readonly (Fault | undefined)[] = [
  undefined,
  { kind: 'throttled', seconds: 1 },
  undefined,
  { kind: 'status', code: 500, body: 'etcdserver: leader changed' },
];
let times = 0;
let requests = 0;

async function main(kind: WorldKind, kubeconfig: string, rules: readonly Rule[]): Promise<void> {
  const { layout } = blueprintOf(kind);
  const pods = podsOf(layout);
  const certificates = new CertificateFolder(dirname(kubeconfig));
  const authority = certificates.authority('kubernetes-ca');
  const server = await startApiServer({
    tls: { own: certificates.certificate('apiserver', authority), authority },
    rules,
    bookmarkMs: BOOKMARK_MS,
    nodes: layout.nodes.map(nodeOf),
    pods,
  });
  server.writeKubeconfig(kubeconfig);
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const [, order = '', json = ''] = /^(\w+) ?(.*)$/.exec(line) ?? [];
      ORDERS[order]?.(server, json, pods);
    })
    .on('close', () => process.exit(0));
}

const [kind = '', kubeconfig, rules] = process.argv.slice(2);
if (!isWorldKind(kind)) throw new Bug(`no kind of world: ${kind}`);
if (kubeconfig === undefined) throw new Bug('no path for the kubeconfig');
await main(kind, kubeconfig, rules === undefined ? RULES : (JSON.parse(rules) as Rule[]));
