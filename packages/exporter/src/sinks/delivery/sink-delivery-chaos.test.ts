import { SILENT } from '@egressd/daemon/log';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import type { Series } from '../../aggregate/snapshot.ts';
import { STARTED_MS, testSeries, testSnapshot, VirtualTimers } from '../testing.ts';
import { ANSWERS, ChaosDatabase, ChaosEndpoint } from './chaos-receivers.testing.ts';
import type { Mode } from './frame.ts';
import { createSinkMetrics } from './metrics.ts';
import { SinkDelivery } from './sink-delivery.ts';

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
  ['a database that keeps the good part, counters', 'counter', () => new ChaosDatabase(true)],
  ['a database that keeps the good part, deltas', 'delta', () => new ChaosDatabase(true)],
  ['an endpoint, deltas', 'delta', () => new ChaosEndpoint()],
])('whatever a receiver does, it ends with every byte once: %s', async (_name, mode, receiver) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const sink = receiver();
      let acceptedMs = 0;
      let lostEnded = false;
      const delivery = new SinkDelivery({
        sink,
        startedMs: STARTED_MS,
        intervalMs: 60_000,
        metrics: {
          ...createSinkMetrics(new Registry()),
          dropped: (_sink, reason) => {
            lostEnded ||= reason === 'series_ended';
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
      const offer = (afterMs: number, evicted: readonly Series[] = []) => {
        nowMs += afterMs;
        const rows = [...live.values()];
        delivery.offer(
          testSnapshot(
            nowMs,
            rows.map(({ series }) => series),
            rows.map(({ total }) => total),
            evicted,
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
      // The backoff of refused series ends after a while.
      for (let round = 0; round < 4; round++) {
        offer(20 * 60_000);
        await until(() => acceptedMs === STARTED_MS + nowMs);
      }
      await delivery.close(1000);
      // Each counter has the same totals. Deltas that a receiver refused beside others are lost by design, and counted.
      const expected = sink.counters.length * counted - (mode === 'delta' ? sink.lost : 0);
      // Refused to the end after its own end: the one loss that is by design, and counted.
      if (lostEnded) expect(sink.sum(mode)).toBeLessThanOrEqual(expected);
      else expect(sink.sum(mode)).toBe(expected);
    }),
    { numRuns: 150 },
  );
});

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 20_000) throw new Error('the delivery hangs');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
