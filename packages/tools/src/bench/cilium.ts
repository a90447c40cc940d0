import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openBpfFolder } from '@egressd/world/cilium/bpf-maps';
import { CiliumNode, lifetimeIn, manyKeys } from '@egressd/world/cilium/cilium-node';
import { directedBytes } from '@egressd/world/cilium/entries';
import { Coprocess } from '@egressd/world/coprocess';
import { NODE } from '@egressd/world/daemons/daemon-command';
import { compile } from './connections.ts';
import { type SideBySide, sideBySide } from './side-by-side.ts';

/** As in `connections.ts`: 50 pods that talk to 1,000 others. */
const PODS = Array.from({ length: 50 }, (_, i) => `10.64.0.${i + 2}`);
const OTHERS = Array.from({ length: 1000 }, (_, i) => `10.64.${i >> 8}.${i & 255}`).map((a) =>
  a.replace('.64.', '.65.'),
);
const HOUR = 3600;
const ONE_PACKET_EACH_WAY = { rxPackets: 1, rxBytes: 1500, txPackets: 1, txBytes: 100 };

/** Reads maps of so many entries by turns in C and with the collector's own code. */
export async function benchCilium(count: number): Promise<SideBySide> {
  const bpf = await openBpfFolder();
  try {
    const node = new CiliumNode(bpf, { pods: PODS, maxEntries: 2 ** Math.ceil(Math.log2(count * 2)) });
    const keys = manyKeys(count, PODS, OTHERS);
    node.putMany(keys, directedBytes({ ...ONE_PACKET_EACH_WAY, lifetime: lifetimeIn('jiffies', HOUR) }));
    const folder = dirname(bpf.root);
    const keysFile = join(folder, 'keys');
    await writeFile(keysFile, keys);
    const map = join(bpf.globals, 'cilium_ct4_global');
    const mover = new Coprocess(await compile('map-move', folder, 'bpf'), [map, keysFile]);
    const floor = new Coprocess(await compile('map-floor', folder, 'bpf'), [map]);
    const cycle = new Coprocess(NODE[0]!, [
      ...NODE.slice(1),
      fileURLToPath(new URL('../../../collector/src/testing/cycle-process.ts', import.meta.url)),
      bpf.globals,
    ]);
    try {
      return await sideBySide(floor, cycle, async (share) => {
        await mover.ask(String(Math.floor(count * share)));
      });
    } finally {
      await mover.end();
    }
  } finally {
    await bpf.close();
  }
}
