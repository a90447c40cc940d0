import { setTimeout as pause } from 'node:timers/promises';
import { type BpfFolder, openBpfFolder } from '@egressd/world/cilium/bpf-maps';
import { CiliumNode } from '@egressd/world/cilium/cilium-node';
import { mirrorOf } from '@egressd/world/cilium/mirror';
import { isExact } from '@egressd/world/daemons/comparison';
import { type Daemons, startDaemons } from '@egressd/world/daemons/daemons';
import { readRows, waitForStandstill } from '@egressd/world/daemons/standstill';
import { NODES } from '@egressd/world/network/layout';
import { openWorld, type World } from '@egressd/world/network/world';
import { loadReference } from '@egressd/world/reference/reference';
import { carryOut, lastingPlan } from '@egressd/world/traffic/plan';
import { seededRandom } from '@egressd/world/traffic/random';
import { afterEach, expect, test } from '@jest/globals';

const SEED = 20_262;
const LIMIT_MS = 180_000;
const MIRROR_INTERVAL_MS = 300;

let world: World | undefined;
let daemons: Daemons | undefined;
const folders: BpfFolder[] = [];

afterEach(async () => {
  await daemons?.stop();
  await world?.close();
  for (const folder of folders.splice(0)) await folder.close();
});

/** A connection that is there before all traffic, between no hosts of the world: it shows that Cilium is active. */
const BEFORE =
  'udp 17 29 src=192.0.2.1 dst=192.0.2.2 sport=5 dport=6 packets=2 bytes=90 src=192.0.2.2 dst=192.0.2.1 sport=6 dport=5 packets=1 bytes=45';

/** Keeps Cilium's maps of every node as Cilium would, until it is stopped. */
async function keepMirroring(there: World, maps: ReadonlyMap<string, CiliumNode>, stopping: AbortSignal) {
  while (!stopping.aborted) {
    for (const node of NODES) {
      const entries = mirrorOf(await there.run(node.name, 'conntrack', ['-L']), node);
      if (entries.length > 0) maps.get(node.name)!.put(entries);
    }
    await pause(MIRROR_INTERVAL_MS);
  }
}

test(
  "the world's traffic in maps of the old layout arrives in the database to the byte, without -ct-mode",
  async () => {
    const there = await openWorld();
    world = there;
    const maps = new Map<string, CiliumNode>();
    const roots = new Map<string, string>();
    for (const node of NODES) {
      await loadReference(there, node.name);
      const folder = await openBpfFolder();
      folders.push(folder);
      roots.set(node.name, folder.root);
      const pods = [...node.pods.flatMap(({ address }) => [address.v4, address.v6]), '192.0.2.2'];
      const cilium = new CiliumNode(folder, { pods, host: [node.address.v4, node.address.v6], maxEntries: 16_384 });
      cilium.put(
        mirrorOf(BEFORE, { ...node, pods: [{ name: 'x', namespace: 'x', address: { v4: '192.0.2.2', v6: '' } }] }),
      );
      maps.set(node.name, cilium);
    }
    // `ip netns exec` gives each process mounts of its own: there the node's file system of BPF maps is where it belongs.
    const inNode = (node: string) => ['sh', '-c', 'mount --bind "$0" /sys/fs/bpf && exec "$@"', roots.get(node)!];
    const running = await startDaemons(there, { owners: 'inventory', collectorStarter: inNode });
    daemons = running;
    const stopping = new AbortController();
    const mirroring = keepMirroring(there, maps, stopping.signal);
    mirroring.catch(() => {});
    try {
      await Promise.race([running.failed, mirroring, carryOut(lastingPlan(seededRandom(SEED)), there.agent)]);
      const read = () => readRows(there, running, false);
      const still = waitForStandstill(there, running, { read });
      const rows = await Promise.race([running.failed, mirroring.then(() => []), still]);
      expect(rows.filter((row) => !isExact(row))).toEqual([]);
      expect(rows.length).toBeGreaterThan(60);
    } finally {
      stopping.abort();
      await mirroring;
    }
    for (const { name } of NODES) {
      const metrics = await there.agent(name).order({ do: 'http', url: 'http://127.0.0.1:8008/metrics' });
      expect(metrics.body).toMatch(/^egressd_collector_source_active\{.*source="cilium".*\} 1$/m);
      expect(metrics.body).not.toMatch(/^egressd_collector_source_unusable\{/m);
    }
  },
  LIMIT_MS,
);
