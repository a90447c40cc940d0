import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Series } from '../../aggregate/snapshot.ts';
import { STARTED_MS, testSeries, testSnapshot } from '../testing.ts';
import { type Frame, type Mode, NO_SAMPLE, SAMPLE, STALE, unitsOf } from './frame.ts';
import { SinkState, type SinkStateOptions } from './sink-state.ts';

const INTERVAL_MS = 60_000;
const NOWHERE = new Map();
const [A, B, C] = [testSeries(1), testSeries(2), testSeries(3)] as const;

function sinkState(maxSeries = 100, identityOf = (labels: { src_pod: string }) => labels.src_pod): SinkState {
  return new SinkState({
    counters: ['txBytes'],
    maxSeries,
    identityOf,
    startedMs: STARTED_MS,
    intervalMs: INTERVAL_MS,
  });
}

/** Frame as text: `pod-1 0@60000 100@120000`, times since the start. */
function text(frame: Frame): string[] {
  return Array.from(frame.kinds, (kind, unit) => {
    const sample = `${frame.values[unit]}@${frame.timeMs - STARTED_MS}`;
    const start = frame.zeroSamples?.kinds[unit]
      ? `${frame.zeroSamples.values[unit]}@${frame.zeroSamples.timeMs - STARTED_MS} `
      : '';
    const shown = { [NO_SAMPLE]: '-', [SAMPLE]: `${start}${sample}`, [STALE]: 'end' }[kind];
    return `${frame.identities[Math.floor(unit / frame.width)]} ${shown}`;
  });
}

function acceptAll(of: SinkState, frame: Frame): void {
  if (frame.zeroSamples !== undefined) of.accepted(frame.zeroSamples, 0, unitsOf(frame));
  of.accepted(frame, 0, unitsOf(frame));
}

/** Offers a snapshot and freezes it; all is accepted by default. */
function step(
  of: SinkState,
  afterMs: number,
  series: readonly Series[],
  totals: readonly number[],
  { evicted = [] as readonly Series[], mode = 'counter' as Mode, accept = true } = {},
): string[] {
  of.absorb(testSnapshot(afterMs, series, totals, evicted));
  const frame = of.freeze(STARTED_MS + afterMs, mode, NOWHERE);
  if (accept) acceptAll(of, frame);
  return text(frame);
}

describe('start times', () => {
  function setUp() {
    const options = { counters: ['txBytes' as const], maxSeries: 9, startedMs: STARTED_MS, intervalMs: INTERVAL_MS };
    const identityOf = (labels: { src_pod: string }) => labels.src_pod;
    return new SinkState({ ...options, identityOf, startTimes: true });
  }

  /** Starts of a frame, since the start of the exporter. */
  function starts(of: SinkState, afterMs: number, total: number, mode: Mode = 'counter', accept = true): number[] {
    of.absorb(testSnapshot(afterMs, [A], [total]));
    const frame = of.freeze(STARTED_MS + afterMs, mode, NOWHERE);
    expect(frame.zeroSamples?.startsMs ?? frame.startsMs).toEqual(frame.startsMs);
    if (accept) acceptAll(of, frame);
    return Array.from(frame.startsMs!, (startMs) => startMs - STARTED_MS);
  }

  test('a counter starts at its zero sample, and keeps that', () => {
    const of = setUp();
    expect(starts(of, 60_000, 5, 'counter', false)).toEqual([1]);
    expect(starts(of, 90_000, 6)).toEqual([60_001]);
    expect(starts(of, 150_000, 9)).toEqual([60_001]);
    // Ended and seen again: another life.
    step(of, 210_000, [], [], { evicted: [A] });
    expect(starts(of, 300_000, 2)).toEqual([240_000]);
  });

  test('a delta counts since the last one that was accepted', () => {
    const of = setUp();
    expect(starts(of, 60_000, 5, 'delta')).toEqual([1]);
    expect(starts(of, 120_000, 6, 'delta', false)).toEqual([60_000]);
    expect(starts(of, 180_000, 9, 'delta')).toEqual([60_000]);
    expect(starts(of, 240_000, 10, 'delta')).toEqual([180_000]);
    // Another mode continues nothing.
    expect(starts(of, 300_000, 11, 'counter')).toEqual([240_001]);
  });

  test('a restored frame has them too', () => {
    const of = setUp();
    starts(of, 60_000, 5);
    of.absorb(testSnapshot(120_000, [A, B], [6, 1]));
    const frame = of.freeze(STARTED_MS + 120_000, 'counter', NOWHERE);
    const image = of.image([A, B], []);
    const again = setUp();
    again.restore(image, { series: [A, B], totals: testSnapshot(120_000, [A, B], [6, 1]).totals });
    expect(frame.startsMs).toEqual(Float64Array.of(STARTED_MS + 1, STARTED_MS + 60_001));
    expect(again.inFlight?.startsMs).toEqual(frame.startsMs);
    expect(again.inFlight?.zeroSamples?.startsMs).toEqual(frame.startsMs);
  });

  test('a sink that does not ask has none', () => {
    const of = sinkState();
    of.absorb(testSnapshot(60_000, [A], [5]));
    const frame = of.freeze(STARTED_MS + 60_000, 'counter', NOWHERE);
    acceptAll(of, frame);
    expect(frame.startsMs).toBeUndefined();
    expect([...of.image([A], []).startMs]).toEqual([0]);
  });
});

describe('counters', () => {
  test('a zero sample goes one interval before the first value', () => {
    const of = sinkState();
    expect(step(of, 120_000, [A], [100])).toEqual(['pod-1 0@60000 100@120000']);
    expect(step(of, 180_000, [A], [100])).toEqual(['pod-1 100@180000']);
    expect(step(of, 240_000, [A, B], [150, 7])).toEqual(['pod-1 150@240000', 'pod-2 0@180001 7@240000']);
  });

  test('no zero before the start of the exporter', () => {
    expect(step(sinkState(), 30_000, [A], [100])).toEqual(['pod-1 0@1 100@30000']);
  });

  test("after a gap over a restart the last value goes once more, never before the series' own last one", () => {
    const of = sinkState();
    step(of, 60_000, [A, B], [100, 7]);
    step(of, 120_000, [A, B], [150, 7]);
    const again = sinkState();
    again.restore(of.image([A, B], []), { series: [A, B], totals: testSnapshot(120_000, [A, B], [150, 7]).totals });
    expect(step(again, 900_000, [A, B], [180, 7])).toEqual(['pod-1 150@840000 180@900000', 'pod-2 7@900000']);
    expect(step(again, 960_000, [A, B], [190, 9])).toEqual(['pod-1 190@960000', 'pod-2 9@960000']);
  });

  test('no room for a zero: the series waits', () => {
    const of = sinkState();
    expect(step(of, 1, [A], [100])).toEqual(['pod-1 -']);
    expect(step(of, 2, [A], [100])).toEqual(['pod-1 -']);
    expect(step(of, 60_000, [A], [100])).toEqual(['pod-1 0@3 100@60000']);
  });

  test('the start moves with the clock, until a sample has left', () => {
    const of = sinkState();
    of.moveStart(-3_600_000);
    expect(step(of, -3_599_000, [A], [100])).toEqual(['pod-1 0@-3599999 100@-3599000']);
    of.moveStart(-3_600_000);
    expect(step(of, -3_598_000, [A, B], [100, 7])).toEqual(['pod-1 100@-3598000', 'pod-2 0@-3598999 7@-3598000']);
  });

  test('two milliseconds are room enough, as between snapshots of a clock that was set back', () => {
    const of = sinkState();
    step(of, 60_000, [A], [100]);
    expect(step(of, 60_002, [A, B], [150, 7])).toEqual(['pod-1 150@60002', 'pod-2 0@60001 7@60002']);
  });

  test('what was not accepted comes again with its zero, after the frame before', () => {
    const of = sinkState();
    step(of, 60_000, [A], [100], { accept: false });
    expect(step(of, 90_000, [A], [120])).toEqual(['pod-1 0@60001 120@90000']);
  });

  test('an ended series gets a stale marker once, after its last value', () => {
    const of = sinkState();
    step(of, 60_000, [A], [100]);
    expect(step(of, 120_000, [], [], { evicted: [A], accept: false })).toEqual(['pod-1 end']);
    expect(step(of, 180_000, [], [])).toEqual(['pod-1 end']);
    expect(step(of, 240_000, [], [])).toEqual([]);
    expect(of.size).toBe(0);
  });

  test('an ended series whose last value was not accepted sends it first', () => {
    const of = sinkState();
    step(of, 60_000, [A], [100]);
    step(of, 120_000, [A], [150], { accept: false });
    expect(step(of, 180_000, [], [], { evicted: [A] })).toEqual(['pod-1 150@180000']);
    expect(step(of, 240_000, [], [])).toEqual(['pod-1 end']);
    expect(step(of, 300_000, [], [])).toEqual([]);
  });

  test('a superseded snapshot loses nothing, not even the last increase of an ended series', () => {
    const of = sinkState();
    of.absorb(testSnapshot(60_000, [A, B], [100, 5]));
    expect(step(of, 120_000, [A], [130], { evicted: [B] })).toEqual([
      'pod-1 0@60000 130@120000',
      'pod-2 0@60000 5@120000',
    ]);
  });

  test('labels that come back after their end start at zero, after the stale marker', () => {
    const of = sinkState();
    step(of, 60_000, [A], [100]);
    step(of, 120_000, [], [], { evicted: [A] });
    step(of, 180_000, [], []);
    const again = { id: 9, labels: A.labels };
    expect(step(of, 190_000, [again], [3])).toEqual(['pod-1 0@180001 3@190000']);
  });

  test('labels that come back while the stale marker is pending go on', () => {
    const of = sinkState();
    step(of, 60_000, [A], [100]);
    step(of, 120_000, [], [], { evicted: [A], accept: false });
    const again = { id: 9, labels: A.labels };
    expect(step(of, 180_000, [again], [3])).toEqual(['pod-1 103@180000']);
  });

  test('labels that come back while the stale marker is in flight start where they were', () => {
    const of = sinkState();
    step(of, 60_000, [A], [100]);
    of.absorb(testSnapshot(120_000, [], [], [A]));
    const marker = of.freeze(STARTED_MS + 120_000, 'counter', NOWHERE);
    const again = { id: 9, labels: A.labels };
    of.absorb(testSnapshot(180_000, [again], [3]));
    of.accepted(marker, 0, 1);
    expect(step(of, 240_000, [again], [4])).toEqual(['pod-1 100@180000 104@240000']);
  });

  test('series that look the same to the receiver are one, and its total never falls', () => {
    const of = sinkState(100, () => 'all');
    expect(step(of, 60_000, [A, B], [100, 5])).toEqual(['all 0@1 105@60000']);
    expect(step(of, 120_000, [B], [6], { evicted: [A] })).toEqual(['all 106@120000']);
    expect(step(of, 180_000, [B, C], [6, 10])).toEqual(['all 116@180000']);
    expect(step(of, 240_000, [], [], { evicted: [B, C] })).toEqual(['all end']);
  });

  test('totals beyond 2^53 are sent rounded and end like others', () => {
    const of = sinkState();
    step(of, 60_000, [A], [2 ** 53]);
    expect(step(of, 120_000, [A], [2 ** 53 + 2])).toEqual([`pod-1 ${2 ** 53 + 2}@120000`]);
    expect(step(of, 180_000, [], [], { evicted: [A] })).toEqual(['pod-1 end']);
  });
});

describe('deltas', () => {
  const mode = 'delta';

  test('each is the increase since the last that was accepted; what did not increase is not sent', () => {
    const of = sinkState();
    expect(step(of, 60_000, [A, B], [100, 1], { mode })).toEqual(['pod-1 100@60000', 'pod-2 1@60000']);
    expect(step(of, 120_000, [A, B], [100, 3], { mode, accept: false })).toEqual(['pod-2 2@120000']);
    expect(step(of, 180_000, [A, B], [100, 7], { mode })).toEqual(['pod-2 6@180000']);
    expect(step(of, 240_000, [A, B], [100, 7], { mode })).toEqual([]);
  });

  test('an ended series sends its last increase and nothing more', () => {
    const of = sinkState();
    of.absorb(testSnapshot(60_000, [A], [100]));
    expect(step(of, 120_000, [], [], { evicted: [A], mode })).toEqual(['pod-1 100@120000']);
    expect(step(of, 180_000, [], [], { mode })).toEqual([]);
    expect(of.size).toBe(0);
  });

  test('exact beyond 2^53: what one delta has no room for goes with the next', () => {
    const of = sinkState();
    const total = 3 * 2 ** 52;
    expect(step(of, 60_000, [A], [total], { mode })).toEqual([`pod-1 ${2 ** 53 - 1}@60000`]);
    expect(step(of, 120_000, [A], [total], { mode })).toEqual([`pod-1 ${2 ** 52 + 1}@120000`]);
    expect(step(of, 180_000, [A], [total + 2], { mode })).toEqual(['pod-1 2@180000']);
    expect(step(of, 240_000, [A], [total + 2], { mode })).toEqual([]);
  });
});

describe('a change of mode', () => {
  test('to counters: they start at what went as deltas', () => {
    const of = sinkState();
    step(of, 60_000, [A], [100], { mode: 'delta' });
    expect(step(of, 120_000, [A], [130])).toEqual(['pod-1 100@60001 130@120000']);
    expect(step(of, 180_000, [A], [140])).toEqual(['pod-1 140@180000']);
  });

  test('to deltas: only what came after the last total', () => {
    const of = sinkState();
    step(of, 60_000, [A], [100]);
    expect(step(of, 120_000, [A], [130], { mode: 'delta' })).toEqual(['pod-1 30@120000']);
  });
});

describe('maxSeries', () => {
  const [D, E] = [testSeries(4), testSeries(5, { protocol: 17 })];
  const identityOf = (labels: { src_pod: string; protocol: number }) => `${labels.src_pod}/${labels.protocol}`;
  const of = sinkState(2, identityOf as never);

  test('the rest folds into one series a protocol, and stays there', () => {
    expect(step(of, 60_000, [A, B, C, D, E], [1, 2, 3, 4, 5])).toEqual([
      'pod-1/6 0@1 1@60000',
      'pod-2/6 0@1 2@60000',
      '~other/6 0@1 7@60000',
      '~other/17 0@1 5@60000',
    ]);
    expect(of.folded).toBe(3);
    expect(step(of, 120_000, [B, C, D, E], [2, 30, 4, 5], { evicted: [A] })).toEqual([
      'pod-1/6 end',
      'pod-2/6 2@120000',
      '~other/6 34@120000',
      '~other/17 5@120000',
    ]);
    expect(step(of, 180_000, [B, C, E], [2, 31, 5], { evicted: [D] })).toContain('~other/6 35@180000');
    expect(of.folded).toBe(2);
  });

  test('one that returns after its end gets the room that is free now, and the fold ends with its last series', () => {
    const again = { id: 14, labels: D.labels };
    expect(step(of, 240_000, [B, E, again], [2, 5, 9], { evicted: [C] })).toEqual([
      'pod-4/6 0@180001 9@240000',
      'pod-2/6 2@240000',
      '~other/6 end',
      '~other/17 5@240000',
    ]);
    step(of, 300_000, [B, E, again], [2, 5, 9]);
    expect(of.size).toBe(3);
  });
});

describe('a refused series', () => {
  test('backs off longer each time, then sends all', () => {
    const of = sinkState();
    const tries: number[] = [];
    for (let minute = 1; minute <= 20; minute++) {
      of.absorb(testSnapshot(minute * 60_000, [A, B], [minute, minute]));
      const frame = of.freeze(STARTED_MS + minute * 60_000, 'counter', NOWHERE);
      const at = frame.identities.indexOf('pod-1');
      if (at === -1) expect(frame.inBackoff).toBe(1);
      else {
        tries.push(minute);
        expect(of.refused(frame, at)).toBe('backoff');
      }
      of.accepted(frame, frame.identities.indexOf('pod-2'), frame.identities.indexOf('pod-2') + 1);
    }
    expect(tries).toEqual([1, 2, 4, 8, 16]);
    expect(step(of, 40 * 60_000, [A, B], [40, 40])).toContain(`pod-1 0@${39 * 60_000} 40@${40 * 60_000}`);
  });

  test('that has ended is tried a few times more, then abandoned', () => {
    const of = sinkState();
    of.absorb(testSnapshot(60_000, [A], [100]));
    of.absorb(testSnapshot(120_000, [], [], [A]));
    const tries = [];
    for (let minute = 2; of.size > 0; minute++) {
      const frame = of.freeze(STARTED_MS + minute * 60_000, 'counter', NOWHERE);
      if (frame.rows > 0) tries.push(`${minute} ${of.refused(frame, 0)}`);
    }
    expect(tries).toEqual(['2 backoff', '3 backoff', '5 backoff', '9 backoff', '17 series_ended']);
  });
});

/** A database: what has been counted under each identity, as `increase()` or `sum_over_time()` see it. */
class Receiver {
  readonly #last = new Map<string, { value: number; timeMs: number; ended: boolean }>();
  sum = 0;

  take(frame: Frame, unit: number): void {
    const identity = frame.identities[unit]!;
    const kind = frame.kinds[unit]!;
    if (kind === STALE) this.#forward(identity, frame.timeMs).ended = true;
    else if (kind !== NO_SAMPLE) this.#sample(frame.mode, identity, frame.values[unit]!, frame.timeMs);
  }

  #sample(mode: Mode, identity: string, value: number, timeMs: number): void {
    const isFirst = !this.#last.has(identity);
    const last = this.#forward(identity, timeMs);
    if (mode === 'delta') this.sum += value;
    else if (!isFirst) this.sum += value < last.value ? value : value - last.value;
    last.value = value;
  }

  #forward(identity: string, timeMs: number): { value: number; timeMs: number; ended: boolean } {
    const last = this.#last.get(identity) ?? { value: 0, timeMs: 0, ended: false };
    if (timeMs <= last.timeMs) throw new Error(`${identity}: ${timeMs} is not after ${last.timeMs}`);
    last.timeMs = timeMs;
    this.#last.set(identity, last);
    return last;
  }
}

describe('whatever happens', () => {
  const action = fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('count' as const), series: fc.nat(5), bytes: fc.nat(1000) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('evict' as const), series: fc.nat(5) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('offer' as const), afterMs: fc.integer({ min: 1, max: 90_000 }) }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('deliver' as const),
        afterMs: fc.integer({ min: 1, max: 90_000 }),
        accept: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
      }),
    },
  );

  test.each<Mode>(['counter', 'delta'])('the receiver ends with every byte once: %s', (mode) => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), fc.integer({ min: 1, max: 6 }), (actions, maxSeries) => {
        const of = sinkState(maxSeries);
        const receiver = new Receiver();
        const live = new Map<number, { series: Series; total: number }>();
        const evicted: Series[] = [];
        let [timeMs, nextId, sum] = [0, 1, 0];
        const offer = (afterMs: number) => {
          timeMs += afterMs;
          const rows = [...live.values()];
          of.absorb(
            testSnapshot(
              timeMs,
              rows.map(({ series }) => series),
              rows.map(({ total }) => total),
              evicted,
            ),
          );
          evicted.length = 0;
        };
        const deliver = (accept: (unit: number) => boolean) => {
          const frame = of.freeze(STARTED_MS + timeMs, mode, NOWHERE);
          for (const part of [frame.zeroSamples, frame]) {
            if (part === frame) of.withhold(frame);
            for (let unit = 0; unit < unitsOf(frame); unit++) {
              // A start may be accepted without its value, not the other way round.
              if (part === undefined || !(accept(unit) || (part !== frame && accept(unit + 1)))) continue;
              receiver.take(part, unit);
              of.accepted(part, unit, unit + 1);
            }
          }
        };
        for (const act of actions) {
          if (act.do === 'count') {
            const entry = live.get(act.series) ?? {
              series: { id: nextId++, labels: testSeries(act.series).labels },
              total: 0,
            };
            entry.total += act.bytes;
            sum += act.bytes;
            live.set(act.series, entry);
          } else if (act.do === 'evict') {
            // Only what was in a snapshot is ever evicted.
            offer(1);
            const entry = live.get(act.series);
            if (entry !== undefined) evicted.push(entry.series);
            live.delete(act.series);
          } else {
            offer(act.afterMs);
            if (act.do === 'deliver') deliver((unit) => act.accept[unit % 6]!);
          }
        }
        for (let round = 0; round < 3; round++) {
          offer(60_000);
          deliver(() => true);
        }
        expect(receiver.sum).toBe(sum);
        expect(of.size).toBeGreaterThanOrEqual(Math.min(live.size, 1));
      }),
      { numRuns: 300 },
    );
  });
});

describe('the image of a former process', () => {
  const make = (changes: Partial<SinkStateOptions> = {}) =>
    new SinkState({
      ...{ counters: ['txBytes'], maxSeries: 10, identityOf: ({ src_pod }) => src_pod },
      ...{
        startedMs: STARTED_MS,
        intervalMs: INTERVAL_MS,
        identityScheme: 'pods',
        receiverId: 'here',
        origin: 'first',
      },
      ...changes,
    });
  const [A, B] = [testSeries(1), testSeries(2)];
  const totals = testSnapshot(60_000, [A], [100]);

  /** Has 70 of A's 100 bytes accepted, and none of the 5 of B, which has ended; a frame is in flight. */
  function before() {
    const of = make();
    of.absorb(testSnapshot(1, [A, B], [70, 5]));
    const first = of.freeze(STARTED_MS + 30_000, 'counter', NOWHERE);
    of.accepted(first.zeroSamples!, 0, 1);
    of.accepted(of.withhold(first), 0, 1);
    of.settled();
    of.absorb(testSnapshot(60_000, [A], [100], [B]));
    of.freeze(STARTED_MS + 60_000, 'counter', NOWHERE);
    return of.image([A], []);
  }

  /** What goes out next: `pod=value@time`, starts first. */
  function next(of: SinkState, afterMs: number, total: number): string[] {
    of.absorb(testSnapshot(afterMs, [A], [total]));
    const frame = of.freeze(STARTED_MS + afterMs, 'counter', NOWHERE);
    return [frame.zeroSamples, frame].flatMap((part) => {
      if (part === undefined) return [];
      const samples = part.identities.map((pod, row) => [part.kinds[row], `${pod}=${part.values[row]}`] as const);
      return samples.filter(([kind]) => kind !== 0).map(([, text]) => `${text}@${part.timeMs - STARTED_MS}`);
    });
  }

  test('go on where they were', () => {
    const of = make({ origin: 'second' });
    expect(of.restore(before(), totals)).toEqual({ outcome: 'resumed', lost: 0 });
    const { timeMs, identities, origin, zeroSamples } = of.inFlight!;
    expect([timeMs, identities, origin]).toEqual([STARTED_MS + 60_000, ['pod-1', 'pod-2'], 'first']);
    expect(zeroSamples?.identities).toEqual(['pod-1', 'pod-2']);
    of.settled();
    expect(next(of, 120_000, 130)).toEqual(['pod-2=0@60001', 'pod-1=130@120000', 'pod-2=5@120000']);
  });

  test('for another receiver: it gets what was not accepted, from zero', () => {
    const of = make({ receiverId: 'there' });
    expect(of.restore(before(), totals)).toEqual({ outcome: 'new_receiver', lost: 0 });
    expect(of.inFlight).toBeUndefined();
    expect(next(of, 120_000, 130)).toEqual(['pod-1=0@60001', 'pod-2=0@60001', 'pod-1=60@120000', 'pod-2=5@120000']);
  });

  test('of other series: what was not accepted goes with the new ones; what has no series is counted', () => {
    const of = make({ identityScheme: 'pods, otherwise', identityOf: ({ src_pod }) => `new ${src_pod}` });
    expect(of.restore(before(), totals)).toEqual({ outcome: 'new_series', lost: 1 });
    expect(next(of, 120_000, 130)).toEqual(['new pod-1=0@60001', 'new pod-1=60@120000']);
  });

  test('of other series at a clock that was set back: nothing is sent with an earlier time', () => {
    const of = make({ identityScheme: 'pods, otherwise', startedMs: STARTED_MS - INTERVAL_MS });
    of.restore(before(), totals);
    expect(next(of, 60_002, 130)).toEqual(['pod-1=0@60001', 'pod-1=60@60002']);
  });

  test('none: what was counted before is not sent', () => {
    const of = make();
    of.startFrom(totals);
    expect(next(of, 120_000, 130)).toEqual(['pod-1=0@60000', 'pod-1=30@120000']);
  });

  test('that have folded series fold them again', () => {
    const of = make({ maxSeries: 1 });
    of.absorb(testSnapshot(60_000, [A, B], [100, 5]));
    const again = make({ maxSeries: 1 });
    const both = testSnapshot(60_000, [A, B], [100, 5]);
    again.restore(of.image([A, B], []), both);
    expect([again.size, again.folded]).toEqual([2, 1]);
  });
});
