import { setTimeout as pause } from 'node:timers/promises';
import { type Layout, TCP_PORT } from '@egressd/world/network/layout';
import type { World } from '@egressd/world/network/world';
import type { TcpOrder } from '@egressd/world/traffic/orders';
import { anyStep, carryOut, type Step } from '@egressd/world/traffic/plan';
import { type Random, seededRandom } from '@egressd/world/traffic/random';

/** What the traffic of a row is; not set: a few transfers at a time, of every kind. */
export interface TrafficOptions {
  /** Rows of transfers beside each other. */
  readonly parallel?: number;
  /** Longest rest between two transfers of a row. */
  readonly maxRestMs?: number;
  /** Draws the next transfer. @param row from zero */
  readonly step?: (random: Random, row: number, layout: Layout) => Step;
}

/** Two cores carry this with daemons, database and kernel beside it. */
const PARALLEL = 3;
const MAX_REST_MS = 500;
/** Seeds of the rows of one run lie this far apart. */
const STRIDE = 7919;

/** Traffic that goes on until `stop`. */
export class LiveTraffic {
  /** Rejects when a transfer fails. */
  readonly broken: Promise<never>;
  readonly #world: World;
  readonly #options: TrafficOptions;
  readonly #randoms: readonly Random[];
  readonly #fail: (error: unknown) => void;
  #rows: Promise<unknown> | undefined;
  #stopping = false;
  #transfers = 0;
  #failed = 0;
  #connections = 0;

  /** @param seed the same one draws the same transfers for each row */
  constructor(world: World, seed: number, options: TrafficOptions = {}) {
    this.#world = world;
    this.#options = options;
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {}); // waits race it
    this.broken = promise;
    this.#fail = reject;
    this.#randoms = Array.from({ length: options.parallel ?? PARALLEL }, (_, i) => seededRandom(seed + i * STRIDE));
  }

  /** Transfers that have ended. */
  get transfers(): number {
    return this.#transfers;
  }

  /** TCP connections of transfers that have ended, made or not. */
  get connections(): number {
    return this.#connections;
  }

  /** Connections of lenient transfers that were not made, or broke. */
  get failed(): number {
    return this.#failed;
  }

  /** Lets it flow, also again. */
  start(): void {
    this.#stopping = false;
    this.#rows = Promise.all(this.#randoms.map((random, row) => this.#flow(random, row)));
    this.#rows.catch(this.#fail);
  }

  /** Lets what is under way end. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#rows;
  }

  async #flow(random: Random, row: number): Promise<void> {
    const { layout, agent } = this.#world;
    const { step: draw = (some, _, of) => anyStep(some, of), maxRestMs = MAX_REST_MS } = this.#options;
    while (!this.#stopping) {
      const step = draw(random, row, layout);
      const { failed = 0 } = await carryOut([step], agent, 1);
      this.#transfers++;
      this.#failed += failed;
      if (step.order.do === 'tcp') this.#connections += step.order.connections;
      await pause(random.between(0, maxRestMs));
    }
  }
}

/** TCP connections of a pod's agent, short ones unless the order says otherwise. */
export function connections(from: string, to: string, order: Partial<TcpOrder>): Step {
  return { from, order: { do: 'tcp', to, port: TCP_PORT, up: 100, down: 300, connections: 1, parallel: 1, ...order } };
}
