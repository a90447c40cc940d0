/**
 * A stand-in for the API server of the cluster that the world would be: its nodes with zones and ranges, its pods with their
 * workloads, on loopback with TLS, a token, and no more rights for it than the exporter needs.
 *
 *   node api-server-process.ts KIND KUBECONFIG [RULES]     writes the file once it listens; certificates go beside it
 *
 * KIND is the world's. RULES, JSON, are the rights of its one user. A line on stdin is a command: `COMMANDS` has them. Ends with stdin.
 */

import { renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { Bug } from '@egressd/flow/bug';
import type { Rule } from '../api-server/access.ts';
import { type ApiServer, startApiServer } from '../api-server/api-server.ts';
import type { RequestFault } from '../api-server/faults.ts';
import type { NodeDescription, PodDescription } from '../api-server/objects.ts';
import { CertificateFolder } from '../certificates.ts';
import { blueprintOf, isWorldKind, type WorldKind } from '../network/kinds.ts';
import { type Layout, listedAddresses, type Node, type Pod, podsOn } from '../network/layout.ts';

/** The default: the least that the exporter needs. */
const RULES: readonly Rule[] = [{ apiGroups: [''], resources: ['nodes', 'pods'], verbs: ['list', 'watch'] }];
/** The hash of the pod template that all pods of the stand-in have. */
const TEMPLATE_HASH = '5d4f8c7b9c';
const BOOKMARK_MS = 1000;
/** Ends and comes back with another name and the same address, which no pod uses. */
const JOB = { namespace: 'data', node: 'node-a', ips: ['10.10.1.200', 'fd00:10:1::200'] };

function nodeOf({ families }: Layout, { name, zone, region, address, podRange }: Node): NodeDescription {
  return {
    name,
    zone,
    region,
    internalIps: [address.v4, address.v6],
    podCidrs: families.map((family) => podRange[family]),
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

/** Of `secret`: which one, and where to write it. */
export interface SecretCommand {
  readonly namespace: string;
  readonly name: string;
  readonly file: string;
}

/** The file is there when it is whole. */
function writeSecret(server: ApiServer, { namespace, name, file }: SecretCommand): void {
  const secret = server.secret(namespace, name);
  if (secret === undefined) throw new Error(`there is no Secret ${namespace}/${name}`);
  writeFileSync(`${file}.new`, JSON.stringify(secret));
  renameSync(`${file}.new`, file);
}

type CommandHandler = (server: ApiServer, json: string, pods: readonly PodDescription[]) => unknown;

/** Its commands: a word, and for some of them an object as JSON. */
const COMMANDS: Readonly<Record<string, CommandHandler>> = {
  /** The usual changes of a cluster. */
  disturb: (server, _, pods) => disturb(server, pods, ++times),
  /** Every connection is dropped, new ones are refused, until `up`. */
  down: (server) => server.disconnect(),
  up: (server) => server.listen(),
  /** It restarts: 403 and 429 for a moment, and a client that continues from its version gets 410. */
  restart: (server) => server.restart(),
  /** Watches stay open and nothing arrives on them. */
  stall: (server) => server.watches.stall(),
  /** Half of all requests get 429 or 500 until `healthy`. */
  failing: (server) => {
    server.fault = () => FAULTS[requests++ % FAULTS.length];
  },
  healthy: (server) => {
    server.fault = () => undefined;
  },
  /** A Secret is written to a file, as a kubelet would read it. */
  secret: (server, json) => writeSecret(server, JSON.parse(json) as SecretCommand),
  pod: (server, json) => server.putPod(JSON.parse(json) as PodDescription),
  delete: (server, json) => {
    const { namespace, name } = JSON.parse(json) as PodDescription;
    server.deletePod(namespace, name);
  },
};
const FAULTS: readonly (RequestFault | undefined)[] = [
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
    nodes: layout.nodes.map((node) => nodeOf(layout, node)),
    pods,
  });
  server.writeKubeconfig(kubeconfig);
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const [, command = '', json = ''] = /^(\w+) ?(.*)$/.exec(line) ?? [];
      COMMANDS[command]?.(server, json, pods);
    })
    .on('close', () => process.exit(0));
}

const [kind = '', kubeconfig, rules] = process.argv.slice(2);
if (!isWorldKind(kind)) throw new Bug(`no kind of world: ${kind}`);
if (kubeconfig === undefined) throw new Bug('no path for the kubeconfig');
await main(kind, kubeconfig, rules === undefined ? RULES : (JSON.parse(rules) as Rule[]));
