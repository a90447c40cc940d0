import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openNetfilterSource } from './conntrack/netfilter/source.ts';
import { PodTraffic } from './conntrack/pod-traffic.ts';
import type { ConntrackSource } from './conntrack/source.ts';
import { FlowTable } from './flow-table/flow-table.ts';
import { Reducer } from './reducer/reducer.ts';
import { TRACK_ALL, useConntrackNamespace } from './testing/conntrack-namespace.ts';

const run = promisify(execFile);
const TRACK_FORWARDED = 'nft add chain inet t f "{ type filter hook forward priority 0; ct state new accept; }"';
const RAW = 'nft add chain inet t raw "{ type filter hook prerouting priority raw; }"';
const FORWARD = 'sysctl -qw net.ipv4.ip_forward=1';
const {
  name: NAME,
  file: FILE,
  inside,
} = useConntrackNamespace('podtraffic', `${TRACK_ALL}\n${TRACK_FORWARDED}\n${RAW}\n${FORWARD}`);
const PODS = [1, 2].map((number) => ({ number, pod: `${NAME}-pod${number}` }));

let source: ConntrackSource;

beforeAll(async () => {
  for (const { number, pod } of PODS) {
    await run('ip', ['netns', 'add', pod]);
    await inside('ip', 'link', 'add', `veth${number}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod);
    await inside('ip', 'addr', 'add', `10.78.${number}.1/24`, 'dev', `veth${number}`);
    await inside('ip', 'link', 'set', `veth${number}`, 'up');
    const link = `addr add 10.78.${number}.2/24 dev eth0\nlink set eth0 up\nroute add default via 10.78.${number}.1`;
    await inside('sh', '-c', `echo '${link}' | ip -n ${pod} -batch -`);
  }
  source = await openNetfilterSource({ namespace: FILE });
});
afterAll(async () => {
  await source?.close();
  for (const { pod } of PODS) await run('ip', ['netns', 'del', pod]);
});

/** Looks with 60 MB each way between the pods in the first minute, by the clock of the test. */
async function follow(): Promise<boolean | undefined> {
  const podTraffic = new PodTraffic();
  const table = new FlowTable(1, BigInt(Date.now()) * 1_000_000n);
  const pairs = new Reducer({ maxPairs: 1000, seed: 1, originalDestination: false });
  let found: boolean | undefined;
  for (let minute = 0; minute < 7; minute++) {
    podTraffic.beginRead();
    const { complete } = await source.read((block) => table.apply(block, pairs));
    table.endRead(complete);
    podTraffic.endRead(table.innerBytes);
    found = podTraffic.look((await source.blindSpots!())!.podLinks);
    const flood = ['ping', '-q', '-f', '-s', '60000', '-c', '1000', '10.78.2.2'];
    if (minute === 0) await run('ip', ['netns', 'exec', PODS[0]!.pod, ...flood]);
  }
  return found;
}

test('what pods move past conntrack is found by the bytes of their links', async () => {
  expect(await follow()).toBe(false);
  await inside('nft', 'add', 'rule', 'inet', 't', 'raw', 'notrack');
  expect(await follow()).toBe(true);
});
