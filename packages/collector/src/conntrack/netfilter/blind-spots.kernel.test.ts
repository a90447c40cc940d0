import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { TRACK_ALL, useConntrackNamespace } from '../../testing/conntrack-namespace.ts';
import { recordFields } from '../record-fields.ts';
import type { ConntrackSource } from '../source.ts';
import { openNetfilterSource } from './source.ts';

const run = promisify(execFile);
const BRIDGE = 'ip link add pods type bridge && ip link set pods up && ip addr add 10.79.0.254/24 dev pods';
const GATEWAY_V6 = ['addr', 'add', 'fd00:79::fe/64', 'dev', 'pods', 'nodad'];
const { name: NAME, file: FILE, inside } = useConntrackNamespace('blind', `${BRIDGE}\n${TRACK_ALL}`);
const PODS = [1, 2].map((number) => ({ number, name: `${NAME}-pod${number}` }));

let source: ConntrackSource;

beforeAll(async () => {
  for (const { name } of PODS) await run('ip', ['netns', 'add', name]);
  source = await openNetfilterSource({ namespace: FILE });
});
afterAll(async () => {
  await source?.close();
  for (const { name } of PODS) await run('ip', ['netns', 'del', name]);
});

const bridge = async () => (await source.blindSpots!())!.spots.bridge;
const callNetfilter = (value: 0 | 1, tables = 'iptables') =>
  inside('sysctl', '-qw', `net.bridge.bridge-nf-call-${tables}=${value}`);

async function addPod({ number, name }: (typeof PODS)[number]): Promise<void> {
  await inside('ip', 'link', 'add', `veth${number}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  await inside('ip', 'link', 'set', `veth${number}`, 'master', 'pods', 'up');
  await run('ip', ['-n', name, 'addr', 'add', `10.79.0.${number}/24`, 'dev', 'eth0']);
  await run('ip', ['-n', name, 'link', 'set', 'eth0', 'up']);
}

/** Sends from one pod to the other. @returns whether conntrack has an entry of it */
async function isTracked(): Promise<boolean> {
  await run('ip', ['netns', 'exec', PODS[0]!.name, 'ping', '-c', '1', '-W', '5', '10.79.0.2']);
  const sources: string[] = [];
  await source.read((block) => {
    for (let i = 0; i < block.count; i++) sources.push(recordFields(block, i).originalSource);
  });
  return sources.includes('10.79.0.1');
}

test('pods on a bridge are a blind spot where their packets do not pass netfilter', async () => {
  await callNetfilter(0);
  expect(await bridge()).toEqual([]);
  await addPod(PODS[0]!);
  // A veth pair within the node is no pod.
  await inside('ip', 'link', 'add', 'inner', 'type', 'veth', 'peer', 'name', 'outer');
  await inside('ip', 'link', 'set', 'inner', 'master', 'pods', 'up');
  expect(await bridge()).toEqual([]);

  await addPod(PODS[1]!);
  expect(await bridge()).toEqual(['pods/ipv4']);
  expect(await isTracked()).toBe(false);

  await callNetfilter(1);
  expect(await bridge()).toEqual([]);
  expect(await isTracked()).toBe(true);

  await callNetfilter(0);
  expect(await bridge()).toEqual(['pods/ipv4']);
  await inside('ip', 'link', 'set', 'pods', 'type', 'bridge', 'nf_call_iptables', '1');
  expect(await bridge()).toEqual([]);
});

test('so are those with IPv6, by the switch of their own', async () => {
  await callNetfilter(1);
  await callNetfilter(0, 'ip6tables');
  expect(await bridge()).toEqual([]);
  await inside('ip', ...GATEWAY_V6);
  expect(await bridge()).toEqual(['pods/ipv6']);
  await inside('ip', 'link', 'set', 'pods', 'type', 'bridge', 'nf_call_ip6tables', '1');
  expect(await bridge()).toEqual([]);
  await inside('ip', 'link', 'set', 'pods', 'type', 'bridge', 'nf_call_ip6tables', '0');
  await callNetfilter(1, 'ip6tables');
  expect(await bridge()).toEqual([]);
});

test('the kernel answers that there is no flowtable', async () => {
  expect((await source.blindSpots!())!.spots.flowtable).toEqual([]);
});

test('a node without ip_vs has no blind spot there', async () => {
  expect((await source.blindSpots!())!.spots.ipvs).toEqual([]);
});
