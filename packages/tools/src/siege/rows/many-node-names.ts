import { helloBytes } from '@egressd/world/raw-stream';
import type { Row } from '../row.ts';
import { PORTS } from '../sockets.ts';
import { openStream, streamAfterStream } from '../streams.ts';

const NAMES = { quick: 2_000, full: 25_000 };

/** Row 8. */
export const MANY_NODE_NAMES: Row = {
  name: 'many-node-names',
  does: 'A collector that was taken over says Hello with one invented name of a node after the other.',
  seconds: { quick: 10, full: 120 },
  daemons: { stateDirectories: true },
  async attack({ exporter, quick }, stop) {
    const hello = (number: number) => [helloBytes({ node: `invented-${number}`, epoch: `epoch-${number}` })];
    const limits = { count: NAMES[quick ? 'quick' : 'full'], parallel: 8, until: 'answered' } as const;
    return {
      hellos: await streamAfterStream((i) => openStream(`${exporter}:${PORTS.stream}`, hello(i)), limits, stop),
    };
  },
  isProof: ({ hellos = 0 }) => hellos > 100,
  async after({ restartExporter, streams }) {
    const wrong = await restartExporter();
    return wrong ?? ((await streams(2)) ? undefined : 'the collectors were not accepted again after a restart');
  },
};
