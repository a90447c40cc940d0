import { KubeFailure } from '@egressd/exporter/kube/failure';
import { linesOf } from '@egressd/exporter/kube/lines';
import { ListItems } from '@egressd/exporter/kube/list-items';
import { readNode } from '@egressd/exporter/kube/node-record';
import { NodeHandler } from '@egressd/exporter/kube/nodes';
import { resourceVersionOf } from '@egressd/exporter/kube/object-parts';
import { readPod } from '@egressd/exporter/kube/pod-record';
import { PodHandler } from '@egressd/exporter/kube/pods';
import { bytesOf, must, mustEqual, type Target, textOf } from '../target.ts';

const POD = {
  kind: 'Pod',
  metadata: {
    uid: 'u1',
    name: 'web-1',
    namespace: 'shop',
    resourceVersion: '7',
    ownerReferences: [{ kind: 'ReplicaSet', name: 'web-5d8f', controller: true }],
    labels: { 'pod-template-hash': '5d8f' },
  },
  spec: { nodeName: 'node-a', hostNetwork: false },
  status: {
    phase: 'Running',
    startTime: '2026-01-01T00:00:00Z',
    podIPs: [{ ip: '10.1.0.7' }, { ip: 'fd00::7' }],
    conditions: [{ type: 'PodReadyToStartContainers', status: 'True', lastTransitionTime: '2026-01-01T00:00:02Z' }],
    containerStatuses: [{ state: { terminated: { finishedAt: '2026-01-01T00:10:00Z' } } }],
  },
};
const NODE = {
  kind: 'Node',
  metadata: { name: 'node-a', labels: { 'topology.kubernetes.io/zone': 'z', 'topology.kubernetes.io/region': 'r' } },
  spec: { podCIDRs: ['10.1.0.0/24'] },
  status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] },
};
const LIST = {
  kind: 'PodList',
  metadata: { resourceVersion: '9', continue: 'x' },
  items: [POD, POD, { a: ['}', '"'] }],
};

const JSON_WORDS = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  'null',
  'true',
  '1e400',
  '\\',
  '\\"',
  '\\u0000',
  '"items":[',
  '\n',
  '{}',
];
const words = [...JSON_WORDS, ...new Set(JSON.stringify([POD, NODE]).match(/"\w+"/g))];
const NOW_MS = Date.parse('2026-01-02T00:00:00Z');

/** Parts of every length that the network may cut an answer into. */
function cuts(input: Uint8Array, size: number): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < input.length; at += size) parts.push(Buffer.from(input.subarray(at, at + size)));
  return parts;
}

/** The body of a list. */
export const KUBERNETES_LIST: Target = {
  name: 'kubernetes-list',
  about: 'a list of the Kubernetes API, in pieces as the network brings it',
  seeds: () => [LIST, { ...LIST, items: [] }, { items: null }, NODE].map((object) => bytesOf(JSON.stringify(object))),
  words,
  run(input) {
    const [whole, ...others] = [input.length || 1, 1, 7].map((size) => itemsOf(cuts(input, size)));
    for (const other of others) mustEqual(other, whole, 'in other pieces, a list says something else');
    const list = parsed(textOf(input)) as { items?: unknown } | undefined;
    if (whole === undefined || !Array.isArray(list?.items) || !list.items.every(isObject)) return;
    // Two keys of the same name: JSON.parse takes the last, a streaming reader has handed on the first.
    if (textOf(input).split('items').length > 2) return;
    mustEqual(whole.items.map(parsed), list.items, 'a list has other items');
  },
};

function itemsOf(chunks: readonly Buffer[]): { items: string[]; rest: string } | undefined {
  const list = new ListItems();
  try {
    const items = chunks.flatMap((chunk) => list.push(chunk));
    return { items, rest: list.end() };
  } catch (error) {
    if (error instanceof KubeFailure) return undefined;
    throw error;
  }
}

/** Lines of a watch with objects in them. */
export const KUBERNETES_OBJECT: Target = {
  name: 'kubernetes-object',
  about: 'pods and nodes of the Kubernetes API, as a watch sends them',
  seeds: () => [POD, NODE].map((object) => bytesOf(JSON.stringify(object))),
  words: [...words, '"2026-13-45T99:99:99Z"', '"Succeeded"', '"::"', '"10.0.0.0/99"'],
  run(input) {
    const object = parsed(textOf(input));
    if (object === undefined) return;
    resourceVersionOf(object);
    const pod = readPod(object);
    must(pod?.pod.addresses.every((bytes) => bytes.length === 16) ?? true, 'an address that has not 16 bytes');
    must(Number.isFinite(pod?.endedMs ?? 0), 'an end that is no time');
    must(readNode(object)?.node.addresses.every((bytes) => bytes.length === 16) ?? true, 'a node without an address');
    for (const handler of [new PodHandler(() => {}), new NodeHandler(() => {})]) {
      handler.beginList();
      handler.upsert(object, NOW_MS);
      handler.endList(NOW_MS);
      handler.delete(object, NOW_MS);
    }
  },
};

/** The lines of a watch, in pieces. */
export const KUBERNETES_WATCH: Target = {
  name: 'kubernetes-watch',
  about: 'the lines of a watch, in pieces as the network brings them',
  seeds: () => [bytesOf(`${JSON.stringify({ type: 'ADDED', object: POD })}\n\n{"type":"BOOKMARK"}\nhalf a li`)],
  words: ['\n', '\n\n', '\r\n'],
  async run(input) {
    const expected = Buffer.from(input)
      .toString('latin1')
      .split('\n')
      .slice(0, -1)
      .filter((line) => line !== '')
      .map((line) => Buffer.from(line, 'latin1').toString('utf8'));
    for (const size of [input.length || 1, 1, 5]) {
      const lines: (string | undefined)[] = [];
      for await (const line of linesOf(oneByOne(cuts(input, size)))) lines.push(line);
      mustEqual(lines, expected, `in pieces of ${size} bytes, a watch has other lines`);
    }
  },
};

async function* oneByOne(chunks: readonly Buffer[]): AsyncGenerator<Buffer, void> {
  yield* chunks;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
