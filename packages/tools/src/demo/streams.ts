import { setTimeout as pause } from 'node:timers/promises';
import { type Daemons, readMetrics } from '@egressd/world/daemons/daemons';
import { sumOf } from '@egressd/world/daemons/metric-text';
import type { World } from '@egressd/world/network/world';

const ASK_AGAIN_MS = 50;
/** A collector that is refused once comes again within some seconds. */
const LIMIT_MS = 60_000;

/**
 * Waits until the exporter has a stream of every collector.
 * @returns seconds since the collectors were started
 * @throws Error where one does not come
 */
export async function waitForStreams(world: World, daemons: Daemons): Promise<number> {
  const { collectors, collectorsStartedMs } = daemons;
  for (;;) {
    const streams = sumOf(await readMetrics(world, 'exporter'), 'egressd_exporter_receiver_streams');
    const since = performance.now() - collectorsStartedMs;
    if (streams >= collectors.length) return since / 1000;
    if (since > LIMIT_MS) throw new Error(`${streams} ${missing(daemons)}`);
    await pause(ASK_AGAIN_MS);
  }
}

function missing({ exporter, collectors }: Daemons): string {
  const logs = [exporter, ...collectors].map(({ lastWords }) => lastWords).join('\n');
  return `of ${collectors.length} collectors stream ${LIMIT_MS / 1000} s after their start. The last lines of all:\n${logs}`;
}
