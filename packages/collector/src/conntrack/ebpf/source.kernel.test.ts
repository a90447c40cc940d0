import { execFileSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { INTERNET, NODE_A, PODS, TCP_PORT, UDP_PORT } from '@egressd/world/network/layout';
import { openWorld, type World } from '@egressd/world/network/world';
import { loadReference, readReference } from '@egressd/world/reference/reference';
import { transferKey } from '@egressd/world/reference/transfers';
import type { TrafficOrder } from '@egressd/world/traffic/orders';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { recordFields } from '../record-fields.ts';
import type { ConntrackSource } from '../source.ts';
import { cleanUp, type EbpfOptions, openEbpfSource } from './source.ts';

const [TCP, UDP, ICMP] = [6, 17, 1];
const KB = 1000;
const address = (name: string, family: 'v4' | 'v6' = 'v4') => PODS.find((pod) => pod.name === name)!.address[family];

let world: World;
const sources: ConntrackSource[] = [];

beforeAll(async () => {
  world = await openWorld({ cgroups: true });
  for (const { name } of world.layout.nodes) await loadReference(world, name);
}, 60_000);

afterAll(() => world.close(), 30_000);

afterEach(async () => {
  for (const source of sources.splice(0)) await source.close();
});

async function open(options: Partial<EbpfOptions> = {}): Promise<ConntrackSource> {
  const { folders, bpfFolder } = world.cgroups!;
  const source = await openEbpfSource({
    cgroup: folders.get(NODE_A.name),
    bpfFolder,
    maxPairs: 1024,
    unit: 'super',
    ...options,
  });
  sources.push(source);
  return source;
}

type Counts = Readonly<Record<'bytes' | 'packets', number>>;

/** What a read delivers, by direction, as the reference has it. */
async function readAll(source: ConntrackSource) {
  const counts = new Map<string, Counts>();
  const add = (key: string, bytes: bigint, packets: bigint) =>
    counts.set(key, { bytes: Number(bytes), packets: Number(packets) });
  const report = await source.read((block) => {
    for (let i = 0; i < block.count; i++) {
      const { originalSource, replySource, protocol, ...record } = recordFields(block, i);
      add(transferKey(originalSource, replySource, protocol), record.originalBytes, record.originalPackets);
      add(transferKey(replySource, originalSource, protocol), record.replyBytes, record.replyPackets);
    }
  });
  return { report, counts };
}

async function kernelCounts() {
  const { counted } = await readReference(world, NODE_A.name);
  return counted;
}

/** What passes while an order is carried out: as nftables counts it, and as the source does. */
async function passing(
  source: ConntrackSource,
  from: string,
  order: TrafficOrder,
  to = order.to,
  source_ = address(from),
) {
  const key = (one: string, other: string) => transferKey(one, other, protocolOf(order, to));
  const keys = [key(source_, to), key(to, source_)];
  const [before, kernelBefore] = [(await readAll(source)).counts, await kernelCounts()];
  await world.agent(from).order(order);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const [after, kernelAfter] = [(await readAll(source)).counts, await kernelCounts()];
  const NONE: Counts = { bytes: 0, packets: 0 };
  const since = (now: ReadonlyMap<string, Counts>, then: ReadonlyMap<string, Counts>) =>
    keys.map((each) => ({
      bytes: (now.get(each) ?? NONE).bytes - (then.get(each) ?? NONE).bytes,
      packets: (now.get(each) ?? NONE).packets - (then.get(each) ?? NONE).packets,
    }));
  return { counted: since(after, before), kernel: since(kernelAfter, kernelBefore) };
}

function protocolOf({ do: what }: TrafficOrder, to: string): number {
  if (what === 'udp') return UDP;
  if (what === 'ping') return to.includes(':') ? 58 : ICMP;
  return TCP;
}

const tcp = (to: string, part = {}): TrafficOrder => ({
  ...{ do: 'tcp', to, port: TCP_PORT, up: 700 * KB, down: 3000 * KB, connections: 4, parallel: 2 },
  ...part,
});
const udp = (to: string, part = {}): TrafficOrder => ({
  ...{ do: 'udp', to, port: UDP_PORT, datagrams: 200, size: 1100, answer: 300 },
  ...part,
});

describe('what nftables counts on the node, to the byte', () => {
  test.each<[string, string, TrafficOrder]>([
    ['TCP within the node', 'web-1', tcp(address('cart-1'))],
    ['TCP to another node', 'web-1', tcp(address('web-2'))],
    ['TCP to the internet', 'web-1', tcp(INTERNET.address.v4)],
    ['TCP over IPv6', 'web-1', tcp(address('cart-1', 'v6'))],
    ['TCP over IPv6 to another node', 'db-1', tcp(address('web-2', 'v6'))],
    [
      'a thousand short connections',
      'web-1',
      tcp(address('cart-1'), { up: 300, down: 500, connections: 1000, parallel: 8 }),
    ],
    ['UDP within the node', 'web-1', udp(address('db-1'))],
    ['UDP over IPv6', 'web-1', udp(address('web-2', 'v6'))],
    ['UDP in fragments', 'web-1', udp(address('cart-1'), { size: 9000, datagrams: 50 })],
    ['UDP in fragments over IPv6', 'web-1', udp(address('web-2', 'v6'), { size: 9000, datagrams: 50 })],
  ])('%s', async (_, from, order) => {
    const source = await open();
    const family = order.to.includes(':') ? 'v6' : 'v4';
    const { counted, kernel } = await passing(source, from, order, order.to, address(from, family));
    expect(kernel[0]!.packets).toBeGreaterThan(4);
    expect(counted).toEqual(kernel);
  });
});

describe('what the kernel answers without a socket', () => {
  test('a refused connection: no socket receives the SYN or sends the reset, but those of the other end do', async () => {
    const source = await open();
    const refused: TrafficOrder = { do: 'refused', to: address('cart-1'), port: 81 };
    const { counted, kernel } = await passing(source, 'web-1', refused);
    expect(counted[0]).toEqual(kernel[0]);
    expect(kernel[1]).toEqual({ bytes: 40, packets: 1 });
    expect(counted[1]).toEqual(kernel[1]);
  });

  test.each<[string, 'v4' | 'v6']>([
    ['echo', 'v4'],
    ['echo over IPv6', 'v6'],
  ])('%s: as it was sent by a socket, and answers as that socket received them', async (_, family) => {
    const source = await open();
    const ping: TrafficOrder = { do: 'ping', to: address('web-2', family), count: 5, size: 100 };
    const { counted, kernel } = await passing(source, 'web-1', ping, ping.to, address('web-1', family));
    expect(kernel[0]!.packets).toBe(5);
    expect(counted).toEqual(kernel);
  });
});

describe('nothing is lost', () => {
  const order = tcp(address('cart-1'), { up: 200 * KB, down: 200 * KB, connections: 400, parallel: 4, perSecond: 400 });

  test('while collectors end, come again, and are two', async () => {
    const source = await open();
    const restarts = (async () => {
      for (let i = 0; i < 10; i++) {
        const other = await open();
        await readAll(other);
        sources.splice(sources.indexOf(other), 1);
        await other.close();
      }
    })();
    const { counted, kernel } = await passing(source, 'web-1', order);
    await restarts;
    expect(counted).toEqual(kernel);
  });

  test('while no collector runs', async () => {
    const before = await open();
    const first = (await readAll(before)).counts;
    const kernelFirst = await kernelCounts();
    sources.length = 0;
    await before.close();
    await world.agent('web-1').order(order);
    const source = await open();
    const key = transferKey(address('web-1'), address('cart-1'), TCP);
    const moved = (await readAll(source)).counts.get(key)!.bytes - first.get(key)!.bytes;
    expect(moved).toBe((await kernelCounts()).get(key)!.bytes - kernelFirst.get(key)!.bytes);
    expect(moved).toBeGreaterThan(400 * 200 * KB);
  });
});

describe('the map', () => {
  /** Programs of another unit have a map of their own: a small one. */
  const small = (part: Partial<EbpfOptions> = {}) => open({ unit: 'wire', maxPairs: 2, ...part });
  const ping = (to: string): TrafficOrder => ({ do: 'udp', to, port: UDP_PORT, datagrams: 10, size: 72, answer: 100 });

  test('full: what finds no room is counted as such, and pairs that are there go on', async () => {
    const source = await small();
    for (const to of ['cart-1', 'db-1', 'web-2', 'cart-2']) await world.agent('web-1').order(ping(address(to)));
    await world.agent('web-1').order(ping(address('cart-1')));
    const { report, counts } = await readAll(source);
    expect(report.entries).toBe(2);
    expect(counts.get(transferKey(address('web-1'), address('cart-1'), UDP))).toEqual({ bytes: 2000, packets: 20 });
    // On this node cart-1 and db-1 hear and answer, the others do not; web-1 sends to two without room, and hears them.
    expect(report.uncounted).toEqual({
      fullPackets: 40,
      fullBytes: 20 * 100 + 20 * 128,
      malformed: 0,
      pairs: 2,
      maxPairs: 2,
    });
  });

  test('an idle pair goes once it was read, and is another when it comes again', async () => {
    const source = await open({ idleSeconds: 1 });
    await world.agent('web-1').order(ping(address('cart-1')));
    const identities = new Set<string>();
    const collect = async () => {
      const found: string[] = [];
      await source.read(({ words, count }) => {
        for (let i = 0; i < count; i++) found.push(`${words[i * 32 + 10]} ${words[i * 32 + 11]}`);
      });
      return found;
    };
    for (const identity of await collect()) identities.add(identity);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await world.agent('db-1').order(ping(address('cart-1')));
    await collect();
    // Those that are idle are delivered twice: as they were read, and as they were taken out.
    expect((await collect()).length).toBe(identities.size * 2 + 1);
    expect((await collect()).length).toBe(1);
    await world.agent('web-1').order(ping(address('cart-1')));
    const again = (await collect()).filter((identity) => !identities.has(identity));
    expect(again).toHaveLength(2);
  });

  test('is of one unit: the other has another, and its programs go', async () => {
    const { bpfFolder } = world.cgroups!;
    await open();
    const names = await readdir(`${bpfFolder}/egressd`);
    expect(names).toEqual([expect.stringMatching(/^pairs-1-super-\d+$/)]);
  });

  test('and all else goes with -cleanup', async () => {
    const { bpfFolder } = world.cgroups!;
    expect(cleanUp({ bpfFolder })).toEqual([expect.stringMatching(/\/egressd\/pairs-1-super-\d+$/)]);
    expect(await readdir(bpfFolder)).not.toContain('egressd');
    expect(cleanUp({ bpfFolder })).toEqual([]);
  });
});

test('super-packets, as the wire carries them', async () => {
  const source = await open({ unit: 'wire' });
  const { counted, kernel } = await passing(source, 'web-1', tcp(address('web-2'), { up: 2000 * KB, connections: 1 }));
  const [sent, asSuper] = [counted[0]!, kernel[0]!];
  // Each packet more has a header of its own: 20 bytes of IP and 32 of TCP with timestamps.
  expect(sent.packets).toBeGreaterThan(asSuper.packets * 2);
  expect(sent.bytes - asSuper.bytes).toBe((sent.packets - asSuper.packets) * 52);
});

describe('where it cannot be', () => {
  test('no cgroup, no BPF file system: what to mount', async () => {
    await expect(open({ cgroup: '/tmp' })).rejects.toMatchObject({
      code: 'mount',
      message: expect.stringContaining('/tmp'),
    });
    await expect(open({ bpfFolder: '/tmp' })).rejects.toMatchObject({
      code: 'mount',
      message: expect.stringContaining('mount -t bpf'),
    });
  });

  test('a program that is refused: what the verifier says', async () => {
    const object = join(world.folder, 'refused.bpf.o');
    const headers = `-I/usr/include/${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-gnu`;
    const flags = ['-target', 'bpf', headers, '-O2', '-g', '-x', 'c', '-', '-c', '-o', object];
    execFileSync('clang', flags, { input: REFUSED });
    await expect(open({ object })).rejects.toMatchObject({
      code: 'system',
      message: expect.stringMatching(/cannot load a BPF program: \w+; the verifier's last lines:\n(.*\n)*.*invalid /),
    });
  });
});

/** Looks into the packet without asking how long it is. */
const REFUSED = `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1); __uint(key_size, 40); __uint(value_size, 80); } pairs SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 3); __uint(key_size, 4); __uint(value_size, 8); } events SEC(".maps");
SEC("cgroup_skb/egress") int sent(struct __sk_buff *skb) { return *(char *)(long)skb->data; }
SEC("cgroup_skb/ingress") int received(struct __sk_buff *skb) { return 1; }
char LICENSE[] SEC("license") = "GPL";
`;
