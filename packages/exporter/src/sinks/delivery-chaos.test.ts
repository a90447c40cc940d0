import { SILENT } from '@egressd/daemon/log';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import type { Series, SeriesLabels } from '../aggregate/snapshot.ts';
import { Delivery } from './delivery.ts';
import { END, type Frame, type Mode, NOTHING } from './frame.ts';
import { ITEM_COUNTERS, ItemEncoder } from './items/item-encoder.ts';
import { PROTOBUF_ITEMS } from './items/protobuf.ts';
import { decodeBatch } from './items/testing.ts';
import type { Fault, FrozenRequest, SendResult, Sink } from './sink.ts';
import { createSinkMetrics } from './sink-metrics.ts';
import { STARTED_MS, testSeries, testSnapshot, VirtualTimers } from './testing.ts';

/** What the receiver does with a request. */
const ANSWERS = ['stored', 'lost', 'answer lost', 'refused', 'too large', 'forbidden'] as const;

/**
 * A database that may fail in every way, and that does what one does: the newest sample may come again, older ones are refused,
 * a request with a refused one is thrown away whole, and what it has it does not refuse.
 */
class ChaosDatabase implements Sink {
  readonly name = 'chaos';
  readonly scheme = 'chaos';
  readonly receiver = 'chaos';
  readonly form = 'samples';
  readonly usualMode = 'counter';
  readonly counters = ['txBytes', 'rxBytes'] as const;
  readonly maxSeries = 5;
  answers: (typeof ANSWERS)[number][] = [];
  /** By series: its samples in order. NaN: the series ended. */
  readonly #stored = new Map<string, Map<number, number>>();
  readonly #bodies = new Map<string, [series: string, timeMs: number, value: number][]>();

  identityOf(labels: { src_pod: string }): string {
    return labels.src_pod;
  }

  async encode(frame: Frame, from: number, to: number): Promise<FrozenRequest> {
    const end = Math.min(to, from + 4);
    const key = String(this.#bodies.size);
    const body: [string, number, number][] = [];
    let samples = 0;
    for (let unit = from; unit < end; unit++) {
      const kind = frame.kinds[unit];
      if (kind === NOTHING) continue;
      const series = `${frame.identities[Math.floor(unit / 2)]}/${unit % 2}`;
      body.push([series, frame.timeMs, kind === END ? Number.NaN : frame.values[unit]!]);
      samples++;
    }
    this.#bodies.set(key, body);
    return { body: new Uint8Array(), key, end, samples };
  }

  async send({ key, samples }: FrozenRequest): Promise<SendResult> {
    const answer = this.answers.shift() ?? 'stored';
    const again: SendResult = { outcome: 'retryable', status: '500', maybeStored: true, message: '' };
    const rejected = (fault: Fault): SendResult => ({ outcome: 'rejected', status: '', fault, message: '' });
    if (answer === 'lost') return again;
    const body = this.#bodies.get(key)!;
    if (answer === 'refused' && !this.#has(body)) return rejected('content');
    if (answer === 'too large' && samples > 1) return rejected('size');
    if (answer === 'forbidden') return rejected('request');
    if (!this.#store(body)) return rejected('content');
    return answer === 'answer lost' ? again : { outcome: 'ok', status: '200' };
  }

  #has(body: readonly [string, number, number][]): boolean {
    return body.every(([series, timeMs]) => this.#stored.get(series)?.has(timeMs));
  }

  #store(body: readonly [string, number, number][]): boolean {
    for (const [series, timeMs, value] of body) {
      const known = this.#stored.get(series) ?? new Map<number, number>();
      const newest = Math.max(...known.keys());
      if (timeMs < newest) return false;
      if (known.has(timeMs) && !Object.is(known.get(timeMs), value)) return false;
    }
    for (const [series, timeMs, value] of body) {
      const known = this.#stored.get(series) ?? new Map<number, number>();
      known.set(timeMs, value);
      this.#stored.set(series, known);
    }
    return true;
  }

  /** `increase()` or `sum_over_time()` over everything, summed. */
  sum(mode: Mode): number {
    let sum = 0;
    for (const samples of this.#stored.values()) {
      let before: number | undefined;
      for (const value of samples.values()) {
        if (Number.isNaN(value)) continue;
        if (mode === 'delta') sum += value;
        else if (before !== undefined) sum += value < before ? value : value - before;
        before = value;
      }
    }
    return sum;
  }

  async close(): Promise<void> {}
}

/** An endpoint that may fail in every way, and that knows a request by its key: what it has it does not take again, nor refuse. */
class ChaosEndpoint implements Sink {
  readonly name = 'chaos';
  readonly scheme = 'chaos';
  readonly receiver = 'chaos';
  readonly form = 'items';
  readonly usualMode = 'delta';
  readonly counters = ITEM_COUNTERS;
  readonly maxSeries = 5;
  answers: (typeof ANSWERS)[number][] = [];
  readonly #encoder = new ItemEncoder(PROTOBUF_ITEMS);
  readonly #stored = new Map<string, number>();
  #keys = 0;

  identityOf(labels: SeriesLabels): string {
    return PROTOBUF_ITEMS.identityOf(labels);
  }

  async encode(frame: Frame, from: number, to: number): Promise<FrozenRequest> {
    const { bytes, end, items } = this.#encoder.encode(frame, from, Math.min(to, from + 4 * frame.width));
    return { body: Uint8Array.from(bytes), key: String(this.#keys++), end, samples: items };
  }

  async send({ key, body, samples }: FrozenRequest): Promise<SendResult> {
    const answer = this.answers.shift() ?? 'stored';
    const again: SendResult = { outcome: 'retryable', status: '500', maybeStored: true, message: '' };
    const rejected = (fault: Fault): SendResult => ({ outcome: 'rejected', status: '', fault, message: '' });
    if (answer === 'lost') return again;
    if (answer === 'forbidden') return rejected('request');
    if (!this.#stored.has(key)) {
      if (answer === 'refused') return rejected('content');
      if (answer === 'too large' && samples > 1) return rejected('size');
      const moved = decodeBatch(body).map((item) => item.tx_bytes + item.tx_packets + item.rx_bytes + item.rx_packets);
      this.#stored.set(key, Number(moved.reduce((sum, each) => sum + each, 0n)));
    }
    return answer === 'answer lost' ? again : { outcome: 'ok', status: '200' };
  }

  sum(): number {
    return [...this.#stored.values()].reduce((sum, each) => sum + each, 0);
  }

  async close(): Promise<void> {}
}

const step = fc.record({
  series: fc.nat(7),
  bytes: fc.nat(100),
  retire: fc.boolean(),
  afterMs: fc.integer({ min: 2, max: 120_000 }),
  wait: fc.boolean(),
  answers: fc.array(fc.constantFrom(...ANSWERS), { maxLength: 12 }),
});

test.each<[string, Mode, () => ChaosDatabase | ChaosEndpoint]>([
  ['a database, counters', 'counter', () => new ChaosDatabase()],
  ['a database, deltas', 'delta', () => new ChaosDatabase()],
  ['an endpoint, deltas', 'delta', () => new ChaosEndpoint()],
])('whatever a receiver does, it ends with every byte once: %s', async (_name, mode, receiver) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const sink = receiver();
      let acceptedMs = 0;
      let givenUp = false;
      const delivery = new Delivery({
        sink,
        startedMs: STARTED_MS,
        intervalMs: 60_000,
        metrics: {
          ...createSinkMetrics(new Registry()),
          dropped: (_sink, reason) => {
            givenUp ||= reason === 'given_up';
          },
        },
        log: SILENT,
        onAccepted: ({ timeMs }) => {
          if (timeMs <= acceptedMs) throw new Error('BUG: accepted twice');
          acceptedMs = timeMs;
        },
        timers: new VirtualTimers(),
      });
      const idle = async () => {
        for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      };
      const live = new Map<number, { series: Series; total: number }>();
      let [nowMs, nextId, counted] = [0, 0, 0];
      const offer = (afterMs: number, retired: readonly Series[] = []) => {
        nowMs += afterMs;
        const rows = [...live.values()];
        delivery.offer(
          testSnapshot(
            nowMs,
            rows.map(({ series }) => series),
            rows.map(({ total }) => total),
            retired,
          ),
          mode,
        );
      };
      for (const { series, bytes, retire, afterMs, wait, answers } of steps) {
        const entry = live.get(series) ?? { series: { id: nextId++, labels: testSeries(series).labels }, total: 0 };
        live.set(series, entry);
        entry.total += bytes;
        counted += bytes;
        sink.answers.push(...answers);
        offer(afterMs);
        if (wait) await idle();
        // As the aggregate does: only what every sink has accepted.
        if (retire && acceptedMs === STARTED_MS + nowMs) {
          live.delete(series);
          offer(afterMs, [entry.series]);
        }
      }
      sink.answers = [];
      // Pauses of refused series are over after a while.
      for (let round = 0; round < 4; round++) {
        offer(20 * 60_000);
        await until(() => acceptedMs === STARTED_MS + nowMs);
      }
      await delivery.close(1000);
      // Each counter has the same totals.
      const expected = sink.counters.length * counted;
      // Refused to the end after its own end: the one loss that is by design, and counted.
      if (givenUp) expect(sink.sum(mode)).toBeLessThanOrEqual(expected);
      else expect(sink.sum(mode)).toBe(expected);
    }),
    { numRuns: 150 },
  );
});

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 20_000) throw new Error('the delivery stands still');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
