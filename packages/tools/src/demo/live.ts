import { setTimeout as pause } from 'node:timers/promises';
import type { Daemons } from '@egressd/world/daemons/daemons';
import type { World } from '@egressd/world/network/world';
import { anyStep, carryOut } from '@egressd/world/traffic/plan';
import { seededRandom } from '@egressd/world/traffic/random';
import { drawLive, type LiveRow } from './live-view.ts';

/** Somewhat more than a line can be read in. */
const REDRAW_MS = 2000;
/** Transfers at a time, and the longest rest between two of them: enough to see, little enough for a laptop. */
const PARALLEL = 3;
const MAX_REST_MS = 700;

const ENDS =
  'src_namespace,src_pod,src_node,src_ip,src_zone,dst_namespace,dst_pod,dst_node,dst_ip,dst_zone,proto,scope';
const TOTALS = `sum by (${ENDS}) (egressd_transmit_bytes_total)`;
const RECEIVED = `sum by (${ENDS}) (egressd_received_bytes_total)`;
const RATES = `sum by (${ENDS}) (rate(egressd_transmit_bytes_total[10s]))`;

/** The answer to an instant query: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries */
interface Answer {
  readonly data: {
    readonly result: readonly { readonly metric: Readonly<Record<string, string>>; readonly value: [number, string] }[];
  };
}

async function ask(daemons: Daemons, query: string): Promise<Answer['data']['result']> {
  const body = await daemons.query(`/api/v1/query?nocache=1&query=${encodeURIComponent(query)}`);
  return (JSON.parse(body) as Answer).data.result;
}

/** By labels, one number. */
async function askByEnds(daemons: Daemons, query: string): Promise<Map<string, number>> {
  const result = await ask(daemons, query);
  return new Map(result.map(({ metric, value }) => [JSON.stringify(metric), Number(value[1])]));
}

/** What the database knows now. */
async function readRows(daemons: Daemons): Promise<LiveRow[]> {
  const rates = await askByEnds(daemons, RATES);
  const received = await askByEnds(daemons, RECEIVED);
  const sent = await askByEnds(daemons, TOTALS);
  return [...sent].map(([ends, total]) => ({
    labels: JSON.parse(ends) as Record<string, string>,
    total,
    rate: rates.get(ends) ?? 0,
    received: received.get(ends) ?? 0,
  }));
}

/** Random traffic until `stop`. */
export async function makeTraffic(world: World, seed: number, stop: AbortSignal): Promise<void> {
  const random = seededRandom(seed);
  const row = async () => {
    while (!stop.aborted) {
      await carryOut([anyStep(random, world.layout)], world.agent, 1);
      await pause(random.between(0, MAX_REST_MS));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, row));
}

/**
 * Draws who sends what to whom, until `stop`: over and over in the same place on a terminal, else as one table after the other.
 */
export async function runLive(world: World, daemons: Daemons, seed: number, stop: AbortSignal): Promise<void> {
  const ended = new AbortController();
  const stopped = AbortSignal.any([stop, ended.signal]);
  const traffic = makeTraffic(world, seed, stopped);
  const drawing = async () => {
    process.stderr.write('waiting for the first numbers to arrive in the database\n');
    while (!stop.aborted) {
      const rows = await readRows(daemons);
      if (rows.length > 0) process.stdout.write(drawLive(rows, process.stdout.isTTY ? process.stdout : undefined));
      await pause(REDRAW_MS, undefined, { signal: stop }).catch(() => {});
    }
  };
  try {
    // Traffic ends when it fails, or at `stop`: then the drawing ends too.
    await Promise.race([daemons.failed, Promise.all([traffic, drawing()])]);
  } finally {
    ended.abort();
  }
}
