/**
 * What one turn of the collector costs up to the rows of a batch: reading, decoding, flow table, reducer. Reads the conntrack table of its
 * namespace, or with a folder as argument the maps of Cilium that are pinned there, or with `ebpf CGROUP BPF_FOLDER` what the sockets of
 * a cgroup move. For each line on stdin one turn; for each turn one
 * line on stdout:
 *     wall_ns cpu_ns connections_that_moved rows bytes_of_the_batch bytes_that_the_sources_sent
 * CPU is that of all threads. Encoding the batch is not in the times.
 */
import { createInterface } from 'node:readline';
import { encodeBatch } from '@egressd/flow/batch-encode';
import { MESSAGE_BYTES } from '@egressd/flow/service';
import { openCiliumSource } from '../conntrack/cilium/source.ts';
import { openEbpfSource } from '../conntrack/ebpf/source.ts';
import { openNetfilterSource } from '../conntrack/netfilter/source.ts';
import { FlowTable } from '../flow-table/flow-table.ts';
import { Reducer } from '../reducer/reducer.ts';

const SEED = 1;
const [, , folder, cgroup, bpfFolder] = process.argv;
const source = await open();
const table = new FlowTable(SEED, 0n);
const reducer = new Reducer({ maxPairs: 262_144, seed: SEED, originalDestination: false });

for await (const _ of createInterface({ input: process.stdin })) {
  const cpu = process.cpuUsage();
  const began = process.hrtime.bigint();
  const report = await source.read((block) => table.apply(block, reducer));
  table.settleZones(report.complete, reducer);
  const moved = table.endRead(report.complete);
  const rows = reducer.freeze();
  const wall = process.hrtime.bigint() - began;
  const { user, system } = process.cpuUsage(cpu);
  if (!report.complete)
    throw new Error('the table changed while it was read: no other traffic may be in the namespace');
  const messages = encodeBatch({ number: 1, fromMs: 0, toMs: 1 }, rows, MESSAGE_BYTES);
  const bytes = messages.reduce((sum, message) => sum + message.length, 0);
  const sent = rows.txBytes.reduce((sum, each) => sum + each, 0);
  console.log(`${wall} ${(user + system) * 1000} ${moved} ${rows.rows} ${bytes} ${sent}`);
}
await source.close();

function open() {
  if (folder === undefined) return openNetfilterSource();
  if (folder !== 'ebpf') return openCiliumSource({ folder, forced: true });
  return openEbpfSource({ cgroup, bpfFolder, maxPairs: 131_072, unit: 'super' });
}
