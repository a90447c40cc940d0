import { fileURLToPath } from 'node:url';
import { Coprocess } from '@egressd/world/coprocess';
import { NODE } from '@egressd/world/daemons/daemon-command';
import { type Connections, compile } from './connections.ts';
import { type SideBySide, sideBySide } from './side-by-side.ts';

/** Reads the connections by turns with the floor and with the collector's own code. */
export async function benchConntrack(connections: Connections): Promise<SideBySide> {
  const enter = ['netns', 'exec', connections.namespace];
  const floor = new Coprocess('ip', [...enter, await compile('floor', connections.folder)]);
  const cycle = new Coprocess('ip', [
    ...enter,
    ...NODE,
    fileURLToPath(new URL('../../../collector/src/testing/cycle-process.ts', import.meta.url)),
  ]);
  return sideBySide(floor, cycle, (share) => connections.send(share));
}
