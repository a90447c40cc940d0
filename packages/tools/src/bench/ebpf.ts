import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Coprocess } from '@egressd/world/coprocess';
import { NODE } from '@egressd/world/daemons/daemon-command';
import { openNodeCgroups } from '@egressd/world/network/cgroups';
import { runCommand } from '@egressd/world/network/commands';
import { makeRunFolder, newRunName, removeRunFolder } from '@egressd/world/network/runs';
import { compile, DESTINATIONS, makeConnections, SOURCES } from './connections.ts';
import { benchMemory, type MemoryResult } from './memory.ts';
import { type PacketCost, packetCost } from './packet-cost.ts';
import { type SideBySide, sideBySide } from './side-by-side.ts';

const CYCLE = fileURLToPath(new URL('../../../collector/src/testing/cycle-process.ts', import.meta.url));
/** Starts what follows in a cgroup. */
const IN_CGROUP = ['sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"'] as const;

/** Costs of counting by eBPF. */
interface EbpfCost {
  /** Reading so many pairs, beside netlink's dump of as many connections. */
  readonly read: SideBySide;
  /** Of a collector that reads them and dumps that table for names, MiB. */
  readonly memory: MemoryResult;
  readonly packets: PacketCost;
}

/** Counts pairs at sockets and reads them, by turns with a dump of the conntrack table that has a connection for each. */
export async function benchEbpf(pairs: number): Promise<EbpfCost> {
  const connections = await makeConnections(pairs);
  const run = await newRunName();
  const folder = await makeRunFolder(run);
  const cgroups = await openNodeCgroups(run, folder);
  try {
    const cgroup = await cgroups.of('bench');
    const enter = ['netns', 'exec', connections.namespace];
    const floor = new Coprocess('ip', [...enter, await compile('floor', connections.folder)]);
    const cycle = new Coprocess(NODE[0]!, [...NODE.slice(1), CYCLE, 'ebpf', cgroup, cgroups.bpfFolder]);
    const [shell, ...words] = [...IN_CGROUP, cgroup, 'ip', ...enter, join(connections.folder, 'fill')];
    const send = (share: number) => {
      const counts = [Math.floor(pairs * share), SOURCES, DESTINATIONS].map(String);
      return runCommand(shell!, [...words, ...counts]).then(() => undefined);
    };
    const read = await sideBySide(floor, cycle, send);
    const environment = {
      EGRESSD_CT_MODE: 'ebpf',
      EGRESSD_EBPF_CGROUP: cgroup,
      EGRESSD_EBPF_BPF_FS: cgroups.bpfFolder,
    };
    const memory = await benchMemory({ namespace: connections.namespace, send }, environment);
    return { read, memory, packets: await packetCost(run, folder, cgroup) };
  } finally {
    await cgroups.close();
    await connections.remove();
    await removeRunFolder(folder);
  }
}
