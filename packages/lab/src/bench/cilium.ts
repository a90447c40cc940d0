import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openBpfFolder } from '../cilium/bpf-maps.ts';
import { CiliumNode, lifetimeIn, manyKeys } from '../cilium/cilium-node.ts';
import { directedBytes } from '../cilium/entries.ts';
import { NODE } from '../daemon-command.ts';
import { Answering } from './answering.ts';
import { compile } from './connections.ts';
import { type SideBySide, sideBySide } from './side-by-side.ts';

/** As the connections of the other reading: 50 pods that talk to 1,000 others. */
const PODS = Array.from({ length: 50 }, (_, i) => `10.64.0.${i + 2}`);
const OTHERS = Array.from({ length: 1000 }, (_, i) => `10.64.${i >> 8}.${i & 255}`).map((a) =>
  a.replace('.64.', '.65.'),
);
const HOUR = 3600;

/** Reads maps of so many entries by turns in C and with the collector's own rooms. */
export async function benchCilium(count: number): Promise<SideBySide> {
  const bpf = await openBpfFolder();
  try {
    const node = new CiliumNode(bpf, { pods: PODS, maxEntries: 2 ** Math.ceil(Math.log2(count * 2)) });
    const keys = manyKeys(count, PODS, OTHERS);
    let packets = 0;
    const move = (share: number) => {
      packets++;
      const counters = { rxPackets: packets, rxBytes: 1500 * packets, txPackets: packets, txBytes: 100 * packets };
      const value = directedBytes({ ...counters, lifetime: lifetimeIn('jiffies', HOUR) });
      node.putMany(keys.subarray(0, Math.floor(count * share) * 14), value);
    };
    const floor = new Answering(await compile('map-floor', dirname(bpf.root), 'bpf'), [
      join(bpf.globals, 'cilium_ct4_global'),
    ]);
    const cycle = new Answering(NODE[0]!, [
      ...NODE.slice(1),
      fileURLToPath(new URL('./cycle-process.ts', import.meta.url)),
      bpf.globals,
    ]);
    return await sideBySide(floor, cycle, move);
  } finally {
    await bpf.close();
  }
}
