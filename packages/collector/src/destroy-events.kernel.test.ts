/** Connections that no read sees, from the kernel to what the reducer would get. */
import { beforeEach, expect, test } from '@jest/globals';
import { openNetfilterSource } from './conntrack/netfilter/source.ts';
import type { EventLossReport } from './conntrack/source.ts';
import { FlowTable, type Pairs } from './flow-table/flow-table.ts';
import type { Moved } from './flow-table/moved.ts';
import { useConntrackNamespace } from './testing/conntrack-namespace.ts';

/** Every packet passes the output of loopback once, behind conntrack: the counter is what all connections together must have moved. */
const SETUP = `
  nft 'add table inet t; add counter inet t moved; add chain inet t c { type filter hook output priority 0; }; add rule inet t c ct state new,established counter name moved'
  sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_close=1 net.netfilter.nf_conntrack_tcp_timeout_time_wait=1`;

const { file: FILE, inside } = useConntrackNamespace('destroy', SETUP);
const script = (code: string) => inside(process.execPath, '-e', code);
const sysctls = (...settings: string[]) => inside('sysctl', '-qw', ...settings.map((one) => `net.netfilter.${one}`));

beforeEach(async () => {
  await inside('conntrack', '-F');
  await inside('nft', 'reset', 'counters');
  await sysctls('nf_conntrack_timestamp=1');
});

/** What all connections moved, of both directions: as the packets' counter has it. */
class Sum implements Pairs {
  bytes = 0;
  packets = 0;
  pairOf(): number {
    return 1;
  }
  add({ count, counters }: Moved): void {
    for (let i = 0; i < count * 4; i += 2) {
      this.bytes += counters[i]!;
      this.packets += counters[i + 1]!;
    }
  }
}

async function count() {
  const source = await openNetfilterSource({ namespace: FILE, events: 'on' });
  const table = new FlowTable(1, BigInt(Date.now()) * 1_000_000n);
  const sum = new Sum();
  const reports: EventLossReport[] = [];
  source.subscribe!({
    onDestroy: (block) => table.applyDestroyed(block, sum),
    onEventLoss: (report) => void reports.push(report),
  });
  const read = async () => {
    const report = await source.read((block) => table.apply(block, sum));
    table.endRead(report.complete);
    return report;
  };
  await read();
  return { source, table, sum, reports, read };
}

/** What the packets' counter has. */
async function truth(): Promise<{ bytes: number; packets: number }> {
  const { stdout } = await inside('nft', '-j', 'list', 'counters');
  const { nftables } = JSON.parse(stdout) as { nftables: { counter?: { bytes: number; packets: number } }[] };
  const { bytes, packets } = nftables.find(({ counter }) => counter !== undefined)!.counter!;
  return { bytes, packets };
}

/** Connections of a few datagrams, one after the other, that end with a reset: 20 at a time. */
const SHORT = 4000;
const SHORT_CONNECTIONS = `
  const net = require('node:net');
  const server = net.createServer((socket) => socket.on('error', () => {}).on('data', () => socket.write('y'.repeat(700))));
  server.listen(0, '10.77.0.2', async () => {
    let left = ${SHORT};
    const one = () => new Promise((done) => {
      const socket = net.connect({ host: '10.77.0.2', port: server.address().port, localAddress: '10.77.0.1' }, () => socket.write('x'.repeat(300)));
      socket.on('data', () => { socket.resetAndDestroy(); done(); });
    });
    const row = async () => { while (left-- > 0) await one(); };
    await Promise.all(Array.from({ length: 20 }, row));
    process.exit();
  });
`;

test(`${SHORT} short connections as fast as they go: every byte arrives, though no read sees them`, async () => {
  const { source, sum, reports, read } = await count();
  await script(SHORT_CONNECTIONS);
  // A dump brings what has expired to its end at once.
  await new Promise((done) => setTimeout(done, 1500));
  expect((await read()).entries).toBe(0);
  await read();
  expect({ bytes: sum.bytes, packets: sum.packets }).toEqual(await truth());
  expect(sum.bytes).toBeGreaterThan(SHORT * 1000);
  expect(reports).toEqual([]);
  await source.close();
});

/** The same ports again and again: the kernel uses the memory of the entry, and so its id, again. */
const AGAIN = 2000;
const THE_SAME_AGAIN = `
  const net = require('node:net');
  const one = (left) => {
    if (left === 0) process.exit();
    net.connect({ host: '10.77.0.2', port: 81, localAddress: '10.77.0.1', localPort: 40404 }).on('error', () => one(left - 1));
  };
  one(${AGAIN});
`;

test.each(['with', 'without'])('the same tuple %s a start time, again and again, while reads go on', async (how) => {
  if (how === 'without') await sysctls('nf_conntrack_timestamp=0');
  const { source, sum, reports, read } = await count();
  const sent = script(THE_SAME_AGAIN);
  let going = true;
  void sent.finally(() => {
    going = false;
  });
  while (going) await read();
  await sent;
  await read();
  await read();
  const { bytes, packets } = await truth();
  expect({ bytes: sum.bytes, packets: sum.packets }).toEqual({ bytes, packets });
  expect(packets).toBe(2 * AGAIN);
  expect(reports).toEqual([]);
  await source.close();
});
