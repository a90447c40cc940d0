import { parseAddress } from '@egressd/flow/address';
import { beforeEach, expect, test } from '@jest/globals';
import { ClusterClock } from '../clock/cluster-clock.ts';
import type { NodeClocks } from '../clock/node-clocks.ts';
import { PodHandler } from '../kube/pods.ts';
import { OwnerRegistry } from '../owners/registry.ts';
import { checkSpan } from '../receiver/span-check.ts';
import { nodeClocks } from './clocks.ts';

const HOUR_S = 3600;
const TRUE_S = 1_700_000_000;
const IP = '10.1.0.7';

/** Seconds since the exporter's start. */
let at: number;
/** By whom: seconds by which the clock is off. */
let offBy: Record<string, number>;
let owners: OwnerRegistry;
let clocks: NodeClocks;
let clock: ClusterClock;
let pods: PodHandler;

const timeOf = (who: string, second: number) => (TRUE_S + second + (offBy[who] ?? 0)) * 1000;

beforeEach(() => {
  at = 0;
  offBy = {};
});

/** A pod as its kubelet, on n1, reports it: with the times of n1's clock as it was then. */
function pod(name: string, from: number, to?: number): object {
  const iso = (second: number) => new Date(timeOf('n1', second)).toISOString().replace(/\.\d+/, '');
  const state =
    to === undefined
      ? { running: { startedAt: iso(from) } }
      : { terminated: { startedAt: iso(from), finishedAt: iso(to) } };
  return {
    metadata: { uid: name, name, namespace: 'ns' },
    spec: { nodeName: 'n1' },
    status: {
      phase: to === undefined ? 'Running' : 'Succeeded',
      podIP: IP,
      startTime: iso(from),
      containerStatuses: [{ state }],
    },
  };
}

function start(nodes: readonly string[]): void {
  const wall = { now: () => timeOf('exporter', at), sinceBoot: () => (1000 + at) * 1000 };
  clock = new ClusterClock({ stepped() {}, corrected() {} }, wall);
  owners = new OwnerRegistry(['api']);
  clock.onMoved(({ byMs, learned }) => owners.shift(byMs, learned));
  clocks = nodeClocks(clock, owners);
  pods = new PodHandler(() => {}, clocks.aheadOf);
  const api = owners.source('api');
  pods.upsert(pod('a', -100), clock.now());
  const records = nodes.map((name) => ({ name, zone: '', region: '', addresses: [] }));
  api.replace({ nodes: records, pods: pods.records, clusterRanges: [] }, clock.now());
  pods.attach(api, clock.now());
}

const report = (node: string) => clocks.take(node, timeOf(node, at));

/** Who is found to have had the address between two seconds, by a batch of n1 that comes now. */
function ownerIn(from: number, to: number): string {
  const reported = { number: 1, fromMs: timeOf('n1', from), toMs: timeOf('n1', to) };
  const { span } = checkSpan(reported, clock.now(), { sinceWelcomeMs: 0, aheadMs: clocks.aheadOf('n1') });
  const found = owners.ownerBetween(parseAddress(IP)!, 0, span.fromMs, span.toMs);
  return found.known === 'owner' ? found.owner.pod : found.known;
}

/** `a` ends at 60, `b` begins at 70 with the same address; both are known a second later. @param set clocks that are set, by second */
function live(nodes: readonly string[], set: Readonly<Record<number, Record<string, number>>>): string[] {
  const found: string[] = [];
  for (at = 1; at <= 110; at++) {
    if (set[at] !== undefined) {
      Object.assign(offBy, set[at]);
      clock.now();
      for (const node of nodes) if (node in set[at]!) report(node);
    }
    if (at === 2) for (const node of nodes) report(node);
    if (at === 61) pods.upsert(pod('a', -100, 60), clock.now());
    if (at === 71) pods.upsert(pod('b', 70), clock.now());
    if (at === 3) found.push(ownerIn(-150, -120), ownerIn(-50, -40));
    if ([50, 59, 68, 75, 110].includes(at)) found.push(ownerIn(at - 4, at));
  }
  return found;
}

const RIGHT = ['none', 'a', 'a', 'a', 'none', 'b', 'b'];
const THREE = ['n1', 'n2', 'n3'];

test.each<[string, Record<string, number>, Record<number, Record<string, number>>, string[]]>([
  ['all right', {}, {}, THREE],
  ["the exporter's, ahead for good", { exporter: HOUR_S }, {}, THREE],
  ["the exporter's, behind for good", { exporter: -HOUR_S }, {}, THREE],
  ["the exporter's, ahead, put right", { exporter: HOUR_S }, { 30: { exporter: 0 } }, THREE],
  ["the exporter's, behind, put right", { exporter: -HOUR_S }, { 65: { exporter: 0 } }, THREE],
  ["the exporter's, set ahead", {}, { 30: { exporter: HOUR_S } }, THREE],
  ["the exporter's, set back", {}, { 30: { exporter: -HOUR_S } }, THREE],
  [
    "the exporter's, set ahead and back with one node",
    {},
    { 30: { exporter: HOUR_S }, 65: { exporter: -HOUR_S } },
    ['n1'],
  ],
  ["the exporter's, ahead for good with one node", { exporter: HOUR_S }, {}, ['n1']],
  ["the exporter's, behind for good with one node", { exporter: -HOUR_S }, {}, ['n1']],
  ["the node's and its kubelet's, ahead for good", { n1: HOUR_S }, {}, THREE],
  ["the node's and its kubelet's, behind for good", { n1: -HOUR_S }, {}, THREE],
  ["the node's, with the exporter on it, ahead for good", { n1: HOUR_S, exporter: HOUR_S }, {}, THREE],
  ["the node's, with the exporter on it, behind for good", { n1: -HOUR_S, exporter: -HOUR_S }, {}, THREE],
  ["the node's, set ahead", {}, { 30: { n1: HOUR_S } }, THREE],
  ["the node's, set back", {}, { 65: { n1: -HOUR_S } }, THREE],
  ['of all, set ahead', {}, { 30: { n1: HOUR_S, n2: HOUR_S, n3: HOUR_S, exporter: HOUR_S } }, THREE],
  ['of all, set back', {}, { 65: { n1: -HOUR_S, n2: -HOUR_S, n3: -HOUR_S, exporter: -HOUR_S } }, THREE],
])('bytes get the pod that moved them, whatever the clock: %s', (_, offAtStart, set, nodes) => {
  offBy = { ...offAtStart };
  start(nodes);
  expect(live(nodes, set)).toEqual(RIGHT);
});
