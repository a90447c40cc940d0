import type { Position, Series, SeriesLabels, Snapshot } from '../aggregate/snapshot.ts';
import { COUNTERS } from '../aggregate/snapshot.ts';
import { HIGH_UNIT, type Totals } from '../aggregate/totals.ts';
import type { Timers } from './delivery/timers.ts';

/** Stand-ins for tests of sinks. Nothing else imports this file. */

/** Unix milliseconds at which the exporter of a test starts. */
export const STARTED_MS = 1_700_000_000_000;

/** Labels of a TCP flow between two pods, with changes. */
function testLabels(changes: Partial<SeriesLabels> = {}): SeriesLabels {
  return {
    src_ip: '10.0.0.1',
    src_pod: 'front-1',
    src_namespace: 'shop',
    src_node: 'node-a',
    src_zone: 'zone-a',
    src_region: 'region',
    dst_ip: '10.0.1.1',
    dst_ip_type: 'private',
    dst_pod: 'cart-1',
    dst_namespace: 'shop',
    dst_node: 'node-b',
    dst_zone: 'zone-b',
    dst_region: 'region',
    protocol: 6,
    cross_zone: true,
    scope: 'cross_zone',
    source: testEnd({ pod: changes.src_pod }),
    destination: testEnd({ pod: changes.dst_pod }),
    ...changes,
  };
}

/** An end of a flow, with changes of its owner. */
export function testEnd({ pod = 'pod' }: { readonly pod?: string | undefined } = {}): SeriesLabels['source'] {
  return {
    key: '',
    place: 'owned',
    owner: { namespace: 'shop', pod, node: 'node-a', zone: 'zone-a', region: 'region' },
  };
}

/** A series whose source pod has the id in its name. */
export function testSeries(id: number, changes: Partial<SeriesLabels> = {}): Series {
  return { id, labels: testLabels({ src_pod: `pod-${id}`, ...changes }) };
}

/** A snapshot `afterMs` after the start: every counter of `series[i]` is at `totals[i]`. */
export function testSnapshot(
  afterMs: number,
  series: readonly Series[],
  totals: readonly number[],
  evicted: readonly Series[] = [],
  position: Position = new Map([['node-a', { epoch: 'n', number: afterMs }]]),
): Snapshot {
  const column: Totals = {
    low: Float64Array.from(totals, (total) => total % HIGH_UNIT),
    high: Float64Array.from(totals, (total) => Math.floor(total / HIGH_UNIT)),
  };
  const columns = Object.fromEntries(COUNTERS.map((counter) => [counter, column])) as Snapshot['totals'];
  return { timeMs: STARTED_MS + afterMs, series, totals: columns, evicted, position };
}

/** Virtual time: the clock jumps to the end of the shortest sleep, once nothing else is to be run. */
export class VirtualTimers implements Timers {
  /** What was slept to the end, in order. */
  readonly slept: number[] = [];
  readonly #sleepers: { readonly wakeAt: number; readonly ms: number; readonly wake: () => void }[] = [];
  #now = 0;

  now(): number {
    return this.#now;
  }

  advance(ms: number): void {
    this.#now += ms;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const sleeper = { wakeAt: this.#now + ms, ms, wake: resolve };
      this.#sleepers.push(sleeper);
      signal.addEventListener('abort', () => {
        const at = this.#sleepers.indexOf(sleeper);
        if (at !== -1) this.#sleepers.splice(at, 1);
        resolve();
      });
      setImmediate(() => setImmediate(() => this.#wakeNext()));
    });
  }

  #wakeNext(): void {
    this.#sleepers.sort((a, b) => a.wakeAt - b.wakeAt);
    const next = this.#sleepers.shift();
    if (next === undefined) return;
    this.#now = Math.max(this.#now, next.wakeAt);
    this.slept.push(next.ms);
    next.wake();
  }
}

/** Far beyond what any test waits for: a test that never ends would keep its process alive. */
const WAIT_TIMEOUT_MS = 20_000;

/** Waits until the condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + WAIT_TIMEOUT_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('timed out waiting for a condition');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
