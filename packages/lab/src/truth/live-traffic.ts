import { setTimeout as pause } from 'node:timers/promises';
import type { TcpOrder } from '../traffic/orders.ts';
import { anyStep, carryOut, type Step } from '../traffic/plan.ts';
import { type Random, seededRandom } from '../traffic/random.ts';
import type { World } from '../world/world.ts';

/** What the traffic of a row is; not set: a few transfers at a time, of every kind. */
export interface TrafficOptions {
  /** Rows of transfers beside each other. */
  readonly parallel?: number;
  /** Longest rest between two transfers of a row. */
  readonly maxRestMs?: number;
  /** Draws the next transfer. */
  readonly step?: (random: Random) => Step;
}

/** Two cores carry this with daemons, database and kernel beside it. */
const PARALLEL = 3;
const MAX_REST_MS = 500;
/** Seeds of the rows of one run lie this far apart. */
const STRIDE = 7919;

/** Traffic that goes on until it is told to stop. */
export interface LiveTraffic {
  /** Transfers that have ended. */
  readonly done: number;
  /** Connections of lenient transfers that were not made, or broke. */
  readonly failed: number;
  /** Rejects when a transfer fails. */
  readonly broken: Promise<never>;
  /** Lets what is under way end. */
  stop(): Promise<void>;
}

/** Starts the traffic. @param seed the same one draws the same transfers for each row */
export function startTraffic(world: World, seed: number, options: TrafficOptions = {}): LiveTraffic {
  const { parallel = PARALLEL, maxRestMs = MAX_REST_MS, step = anyStep } = options;
  const { promise: broken, reject } = Promise.withResolvers<never>();
  broken.catch(() => {}); // whoever waits for something races it
  const count = { done: 0, failed: 0 };
  let stopped = false;
  const row = async (random: Random) => {
    while (!stopped) {
      const { failed = 0 } = await carryOut([step(random)], world.agent, 1);
      count.done++;
      count.failed += failed;
      await pause(random.between(0, maxRestMs));
    }
  };
  const rows = Promise.all(Array.from({ length: parallel }, (_, i) => row(seededRandom(seed + i * STRIDE))));
  rows.catch(reject);
  return {
    get done() {
      return count.done;
    },
    get failed() {
      return count.failed;
    },
    broken,
    async stop() {
      stopped = true;
      await rows;
    },
  };
}

/** Short connections, one after the other. */
export function shortConnections(from: string, to: string, order: Partial<TcpOrder>): Step {
  return { from, order: { do: 'tcp', to, port: 0, up: 100, down: 300, connections: 1, parallel: 1, ...order } };
}
