import { createLog } from '@egressd/daemon/log';
import { describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { Fault, FrozenRequest, SendResult, Sink } from '../sink.ts';
import { STARTED_MS, testSeries, testSnapshot, until, VirtualTimers } from '../testing.ts';
import { UNAVAILABLE_AFTER_MS } from './availability.ts';
import type { Frame, Mode } from './frame.ts';
import { createSinkMetrics } from './metrics.ts';
import { type Accepted, SinkDelivery } from './sink-delivery.ts';

const OK: SendResult = { outcome: 'ok', status: '204' };
const AGAIN: SendResult = { outcome: 'retryable', status: '503', maybeStored: true, message: 'db answered 503' };
const refuse = (fault: Fault): SendResult => ({ outcome: 'rejected', status: '4xx', fault, message: `bad ${fault}` });

/** One attempt as a sink saw it: `time key pod=value ...`. */
type Seen = { readonly key: string; readonly samples: readonly string[] };

/** A sink whose bodies are text, and that answers what the test wants. */
class TextSink implements Sink {
  readonly name = 'text';
  readonly identityScheme = 'text';
  readonly receiverId = 'text';
  form: Sink['form'] = 'samples';
  defaultMode: Mode = 'counter';
  counters: Sink['counters'] = ['txBytes'];
  readonly maxSeries = 1000;
  readonly seen: Seen[] = [];
  answer: (samples: readonly string[], signal: AbortSignal) => SendResult | Promise<SendResult>;
  room = 100;
  closed = false;
  #keys = 0;

  constructor(answer: TextSink['answer'] = () => OK) {
    this.answer = answer;
  }

  identityOf(labels: { src_pod: string }): string {
    return labels.src_pod;
  }

  async encode(frame: Frame, from: number, to: number): Promise<FrozenRequest> {
    const end = Math.min(to, from + this.room);
    const lines = [];
    for (let unit = from; unit < end; unit++) {
      if (frame.kinds[unit] === 0) continue;
      lines.push(`${frame.identities[unit]}=${frame.values[unit]}@${frame.timeMs - STARTED_MS}`);
    }
    return { body: Buffer.from(lines.join('\n')), key: `key-${++this.#keys}`, end, samples: lines.length };
  }

  async send(request: FrozenRequest, signal: AbortSignal): Promise<SendResult> {
    const samples = Buffer.from(request.body).toString().split('\n');
    this.seen.push({ key: request.key, samples });
    return this.answer(samples, signal);
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

function setUp(answer?: TextSink['answer'], sink: TextSink = new TextSink(answer)) {
  const registry = new Registry();
  const timers = new VirtualTimers();
  const accepted: number[] = [];
  const lines: string[] = [];
  const delivery = new SinkDelivery({
    sink,
    startedMs: STARTED_MS,
    intervalMs: 60_000,
    metrics: createSinkMetrics(registry),
    log: createLog('debug', (line) => lines.push(line)),
    onAccepted: ({ timeMs }: Accepted) => accepted.push(timeMs - STARTED_MS),
    timers,
    random: () => 0,
  });
  const offer = (afterMs: number, totals: readonly number[], mode: Mode = 'delta') =>
    delivery.offer(
      testSnapshot(
        afterMs,
        totals.map((_, id) => SERIES[id]!),
        totals,
      ),
      mode,
    );
  const metric = async (name: string) => (await registry.getSingleMetricAsString(name)).split('\n').slice(2);
  return { sink, delivery, timers, accepted, lines, offer, metric };
}

const SERIES = Array.from({ length: 400 }, (_, id) => testSeries(id));

describe('SinkDelivery', () => {
  test('a snapshot goes out and is reported', async () => {
    const { sink, delivery, accepted, offer, metric } = setUp();
    offer(60_000, [5]);
    await until(() => accepted.length === 1);
    expect(sink.seen).toEqual([{ key: 'key-1', samples: ['pod-0=5@60000'] }]);
    expect(accepted).toEqual([60_000]);
    expect(await metric('egressd_exported_events_total')).toEqual(['egressd_exported_events_total{sink="text"} 1']);
    expect(await delivery.close(1000)).toBe(true);
    expect(sink.closed).toBe(true);
  });

  test('a counter starts with a request of its own: no request holds two samples of a series', async () => {
    const { sink, accepted, offer } = setUp();
    offer(60_000, [5], 'counter');
    await until(() => accepted.length === 1);
    offer(120_000, [5, 8], 'counter');
    await until(() => accepted.length === 2);
    expect(sink.seen.map(({ samples }) => samples)).toEqual([
      ['pod-0=0@1'],
      ['pod-0=5@60000'],
      ['pod-1=0@60001'],
      ['pod-0=5@120000', 'pod-1=8@120000'],
    ]);
  });

  test('a counter whose zero sample is refused does not go without it', async () => {
    const { sink, accepted, offer } = setUp((samples) => (samples.includes('pod-1=0@1') ? refuse('content') : OK));
    offer(60_000, [5, 6, 7], 'counter');
    await until(() => accepted.length === 1);
    expect(sink.seen.at(-1)?.samples).toEqual(['pod-0=5@60000', 'pod-2=7@60000']);
  });

  test('a new series that is refused does not hold up those that are known', async () => {
    const { sink, accepted, offer, metric } = setUp();
    offer(60_000, [5], 'counter');
    await until(() => accepted.length === 1);
    sink.answer = (samples) => (samples.some((sample) => sample.startsWith('pod-1=')) ? refuse('content') : OK);
    offer(120_000, [6, 9], 'counter');
    await until(() => accepted.length === 2);
    expect(sink.seen.at(-1)?.samples).toEqual(['pod-0=6@120000']);
    expect(await metric('egressd_dropped_events_total')).toEqual([
      'egressd_dropped_events_total{sink="text",reason="refused"} 1',
    ]);
  });

  describe('a request of which a part was stored', () => {
    /** Stores all but one sample, and does not say which. */
    const partly = (samples: readonly string[]): SendResult => {
      if (!samples.some((sample) => sample.startsWith('pod-5='))) return OK;
      if (samples.length === 1) return refuse('content');
      return { outcome: 'partial', status: '200', refused: 1, message: 'db refused 1 of them: too old' };
    };
    const totals = Array.from({ length: 20 }, () => 5);

    test('counters go again in pieces, with the same times and values, until the one that is refused is alone', async () => {
      const { sink, accepted, offer, metric } = setUp();
      offer(60_000, totals, 'counter');
      await until(() => accepted.length === 1);
      sink.answer = partly;
      const before = sink.seen.length;
      offer(120_000, totals, 'counter');
      await until(() => accepted.length === 2);
      const sent = sink.seen.slice(before).map(({ samples }) => samples);
      expect(sent[0]).toHaveLength(20);
      expect(new Set(sent.flat())).toEqual(new Set(sent[0]));
      expect(sent).toContainEqual(['pod-5=5@120000']);
      expect(await metric('egressd_dropped_events_total')).toEqual([
        'egressd_dropped_events_total{sink="text",reason="refused"} 1',
      ]);
    });

    test('deltas do not go again: what was refused is lost, counted and logged', async () => {
      const { sink, accepted, offer, metric, lines } = setUp(partly);
      offer(60_000, totals);
      await until(() => accepted.length === 1);
      expect(sink.seen).toHaveLength(1);
      expect(lines.join()).toContain('too old');
      expect(await metric('egressd_exported_events_total')).toEqual(['egressd_exported_events_total{sink="text"} 19']);
      expect(await metric('egressd_dropped_events_total')).toEqual([
        'egressd_dropped_events_total{sink="text",reason="partly_stored"} 1',
      ]);
    });
  });

  test('a failure that may have stored deltas, and must not be repeated, is counted', async () => {
    const { sink, accepted, offer, metric } = setUp(() => ({ ...refuse('request'), maybeStored: true }) as SendResult);
    offer(60_000, [5]);
    await until(() => sink.seen.length === 1);
    sink.answer = () => OK;
    offer(120_000, [7]);
    await until(() => accepted.length === 1);
    expect(sink.seen.map(({ samples }) => samples)).toEqual([['pod-0=5@60000'], ['pod-0=7@120000']]);
    expect(await metric('egressd_exporter_sink_ambiguous_samples_total')).toEqual([
      'egressd_exporter_sink_ambiguous_samples_total{sink="text",outcome="refused"} 1',
    ]);
  });

  test('where no collector asks, the sink sends in its default mode', async () => {
    for (const [mode, expected] of [
      ['counter', 8],
      ['delta', 3],
    ] as const) {
      const { sink, delivery, accepted } = setUp();
      sink.defaultMode = mode;
      for (const [minute, total] of [5, 8].entries()) {
        delivery.offer(testSnapshot(60_000 * (minute + 1), [SERIES[0]!], [total]), undefined);
        await until(() => accepted.length === minute + 1);
      }
      expect(sink.seen.at(-1)?.samples).toEqual([`pod-0=${expected}@120000`]);
    }
  });

  test('an empty snapshot is accepted without a request', async () => {
    const { sink, accepted, offer } = setUp();
    offer(60_000, []);
    await until(() => accepted.length === 1);
    expect(sink.seen).toEqual([]);
  });

  test('a request that fails is repeated, the same under the same key, after exponential backoff', async () => {
    const answers = [AGAIN, { ...AGAIN, retryAfterMs: 30_000 }, AGAIN, OK];
    const { sink, timers, accepted, offer, metric } = setUp(() => answers.shift()!);
    offer(60_000, [5]);
    await until(() => accepted.length === 1);
    expect(sink.seen).toEqual(Array(4).fill({ key: 'key-1', samples: ['pod-0=5@60000'] }));
    expect(timers.slept).toEqual([500, 30_000, 2000]);
    expect(await metric('egressd_exporter_sink_retries_total')).toEqual([
      'egressd_exporter_sink_retries_total{sink="text"} 3',
    ]);
  });

  test('while one is repeated, only the newest snapshot is pending', async () => {
    const { sink, accepted, offer, metric } = setUp(() => (accepted.length + sink.seen.length < 4 ? AGAIN : OK));
    for (let minute = 1; minute <= 3; minute++) offer(minute * 60_000, [minute * 100]);
    await until(() => accepted.length === 2);
    expect(accepted).toEqual([60_000, 180_000]);
    expect(new Set(sink.seen.map(({ key, samples }) => `${key} ${samples}`))).toEqual(
      new Set(['key-1 pod-0=100@60000', 'key-2 pod-0=200@180000']),
    );
    expect(await metric('egressd_exporter_sink_superseded_snapshots_total')).toEqual([
      'egressd_exporter_sink_superseded_snapshots_total{sink="text"} 1',
    ]);
  });

  test('one refused series: the others are accepted, it is counted, backs off, and its bytes go later', async () => {
    const { sink, accepted, offer, metric } = setUp((samples) =>
      samples.some((sample) => sample.startsWith('pod-7=')) ? refuse('content') : OK,
    );
    const totals = (bytes: number) => Array.from({ length: 20 }, () => bytes);
    offer(60_000, totals(5));
    await until(() => accepted.length === 1);
    expect(sink.seen.length).toBeLessThan(20);
    expect(await metric('egressd_exported_events_total')).toEqual(['egressd_exported_events_total{sink="text"} 19']);
    expect(await metric('egressd_dropped_events_total')).toEqual([
      'egressd_dropped_events_total{sink="text",reason="refused"} 1',
    ]);
    sink.answer = () => OK;
    offer(90_000, totals(6));
    await until(() => accepted.length === 2);
    expect(sink.seen.at(-1)?.samples).toHaveLength(19);
    offer(150_000, totals(7));
    await until(() => accepted.length === 3);
    expect(sink.seen.at(-1)?.samples).toContain('pod-7=7@150000');
  });

  test.each<Mode>(['counter', 'delta'])(
    '400 to everything: few requests, nothing committed, nothing lost: %s',
    async (mode) => {
      const { sink, accepted, offer, metric } = setUp(() => refuse('content'));
      const rejectedOf = (samples: number) => [
        `egressd_dropped_events_total{sink="text",reason="rejected"} ${samples}`,
      ];
      const rejected = async (samples: number) => {
        const dropped = () => metric('egressd_dropped_events_total');
        for (let found = await dropped(); `${found}` !== `${rejectedOf(samples)}`; found = await dropped())
          await new Promise((resolve) => setImmediate(resolve));
      };
      offer(60_000, Array(400).fill(5), mode);
      await rejected(400);
      const first = sink.seen.length;
      expect(first).toBeLessThan(mode === 'counter' ? 10 : 70);
      offer(120_000, Array(400).fill(6), mode);
      await rejected(800);
      const tried = sink.seen.length;
      expect(tried - first).toBeLessThan(10);
      expect(accepted).toEqual([]);
      sink.answer = () => OK;
      offer(180_000, Array(400).fill(7), mode);
      await until(() => accepted.length === 1);
      expect(await metric('egressd_dropped_events_total')).toEqual(rejectedOf(800));
      const stored = sink.seen.slice(tried).flatMap(({ samples }) => samples);
      const zeroSamples = mode === 'counter' ? SERIES.map((_, id) => `pod-${id}=0@120001`) : [];
      const values = SERIES.map((_, id) => `pod-${id}=7@180000`);
      expect(stored.toSorted()).toEqual([...zeroSamples, ...values].toSorted());
    },
  );

  test.each<Mode>(['counter', 'delta'])(
    'credentials refused: one request an interval, and all goes once they are right: %s',
    async (mode) => {
      const { sink, accepted, offer, lines } = setUp(() => refuse('request'));
      sink.room = 2;
      for (let minute = 1; minute <= 3; minute++) {
        offer(minute * 60_000, [minute, minute, minute], mode);
        await until(() => sink.seen.length === minute);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(accepted).toEqual([]);
      expect(lines.filter((line) => line.includes('fault=request'))).toHaveLength(1);
      sink.answer = () => OK;
      offer(240_000, [9, 9, 9], mode);
      await until(() => accepted.length === 1);
      const zeroSamples = mode === 'counter' ? ['pod-0=0@180001', 'pod-1=0@180001', 'pod-2=0@180001'] : [];
      const values = ['pod-0=9@240000', 'pod-1=9@240000', 'pod-2=9@240000'];
      expect(sink.seen.slice(3).flatMap(({ samples }) => samples)).toEqual([...zeroSamples, ...values]);
      expect(lines.at(-1)).toContain('sink recovered');
    },
  );

  describe('deltas of which an answer was lost are counted', () => {
    const ambiguous = 'egressd_exporter_sink_ambiguous_samples_total';
    const lines = (outcome: string, samples: number) => [`${ambiguous}{sink="text",outcome="${outcome}"} ${samples}`];

    test('accepted when repeated; counters are not counted', async () => {
      const { sink, accepted, offer, metric } = setUp(() => (sink.seen.length === 1 ? AGAIN : OK));
      offer(60_000, [5, 6]);
      await until(() => accepted.length === 1);
      expect(await metric(ambiguous)).toEqual(lines('repeated', 2));
      sink.seen.length = 0;
      offer(120_000, [7, 8, 9], 'counter');
      await until(() => accepted.length === 2);
      expect(await metric(ambiguous)).toEqual(lines('repeated', 2));
    });

    test('refused when repeated', async () => {
      const answers: SendResult[] = [AGAIN, refuse('content')];
      const { accepted, offer, metric } = setUp(() => answers.shift() ?? OK);
      offer(60_000, [5, 6, 7]);
      await until(() => accepted.length === 1);
      expect(await metric(ambiguous)).toEqual(lines('refused', 3));
    });

    test('the exporter stopped', async () => {
      const { sink, delivery, offer, metric } = setUp((_samples, signal) =>
        sink.seen.length === 1
          ? AGAIN
          : new Promise((resolve) => signal.addEventListener('abort', () => resolve({ ...AGAIN, status: 'stopped' }))),
      );
      offer(60_000, [5]);
      await until(() => sink.seen.length === 2);
      expect(await delivery.close(0)).toBe(false);
      expect(await metric(ambiguous)).toEqual(lines('stopped', 1));
    });

    test('surely not stored: not counted', async () => {
      const answers: SendResult[] = [{ ...AGAIN, maybeStored: false } as SendResult];
      const { accepted, offer, metric } = setUp(() => answers.shift() ?? OK);
      offer(60_000, [5]);
      await until(() => accepted.length === 1);
      expect(await metric(ambiguous)).toEqual([]);
    });
  });

  test('credentials refused half-way: the frame is not accepted, the rest goes with the next', async () => {
    const { sink, accepted, offer } = setUp(() => (sink.seen.length === 2 ? refuse('request') : OK));
    sink.room = 2;
    offer(60_000, [5, 5, 5]);
    await until(() => sink.seen.length === 2);
    offer(120_000, [5, 5, 5]);
    await until(() => accepted.length > 0);
    expect(accepted).toEqual([120_000]);
    expect(sink.seen.at(-1)?.samples).toEqual(['pod-2=5@120000']);
  });

  test('a request that may have been stored is repeated through refused credentials', async () => {
    const answers = [AGAIN, refuse('request'), refuse('request'), OK];
    const { sink, accepted, offer } = setUp(() => answers.shift()!);
    offer(60_000, [5]);
    await until(() => accepted.length === 1);
    expect(sink.seen).toEqual(Array(4).fill({ key: 'key-1', samples: ['pod-0=5@60000'] }));
  });

  test('one that was surely not stored is not', async () => {
    const answers: SendResult[] = [{ ...AGAIN, maybeStored: false }, refuse('request')];
    const { sink, accepted, offer } = setUp(() => answers.shift() ?? OK);
    offer(60_000, [5]);
    await until(() => sink.seen.length === 2);
    offer(120_000, [6]);
    await until(() => accepted.length === 1);
    expect(sink.seen.at(-1)).toEqual({ key: 'key-2', samples: ['pod-0=6@120000'] });
  });

  test('too large bodies are split, and nothing is counted as dropped', async () => {
    const { sink, accepted, offer, metric } = setUp((samples) => (samples.length > 30 ? refuse('size') : OK));
    offer(60_000, Array(400).fill(5));
    await until(() => accepted.length === 1);
    expect(await metric('egressd_exported_events_total')).toEqual(['egressd_exported_events_total{sink="text"} 400']);
    expect(await metric('egressd_dropped_events_total')).toEqual([]);
    expect(sink.seen.filter(({ samples }) => samples.length <= 30).flatMap(({ samples }) => samples)).toHaveLength(400);
  });

  test('more samples than a receiver ever takes at once: fewer go, that many from then on, and it is logged once', async () => {
    const burst = (samples: readonly string[]): SendResult =>
      samples.length > 90 ? { ...AGAIN, status: '429', maybeStored: false } : OK;
    const { sink, accepted, offer, lines, metric } = setUp(burst);
    offer(60_000, Array(400).fill(5));
    await until(() => accepted.length === 1);
    offer(120_000, Array(400).fill(6));
    await until(() => accepted.length === 2);
    sink.seen.length = 0;
    for (let minute = 3; minute < 9; minute++) {
      offer(minute * 60_000, Array(400).fill(minute + 5));
      await until(() => accepted.length === minute);
    }
    expect(sink.seen.filter(({ samples }) => samples.length > 90).length).toBeLessThan(12);
    expect(Math.max(...sink.seen.slice(-5).map(({ samples }) => samples.length))).toBeGreaterThan(45);
    expect(lines.filter((line) => line.includes('for its size'))).toHaveLength(1);
    expect(lines.find((line) => line.includes('for its size'))).toContain('ingestion-burst-size');
    expect(await metric('egressd_dropped_events_total')).toEqual([]);
  });

  test('a receiver that throttles everything for long is not sent single samples for ever', async () => {
    const { sink, accepted, offer, timers } = setUp(() =>
      timers.now() < 20 * 60_000 ? { ...AGAIN, status: '429', maybeStored: false } : OK,
    );
    offer(60_000, Array(400).fill(5));
    await until(() => accepted.length === 1);
    sink.seen.length = 0;
    offer(120_000, Array(400).fill(6));
    await until(() => accepted.length === 2);
    expect(sink.seen.length).toBeLessThan(5);
  });

  test.each<Mode>(['counter', 'delta'])(
    'one series that a receiver fails with for minutes is isolated, and goes later: %s',
    async (mode) => {
      const poison = (samples: readonly string[]) => samples.some((sample) => sample.startsWith('pod-7='));
      const { sink, accepted, offer, metric } = setUp((samples) => (poison(samples) ? AGAIN : OK));
      offer(60_000, Array(100).fill(5), mode);
      await until(() => accepted.length === 1);
      expect(await metric('egressd_dropped_events_total')).toEqual([
        'egressd_dropped_events_total{sink="text",reason="refused"} 1',
      ]);
      expect(await metric('egressd_exporter_sink_refused_series')).toEqual([
        'egressd_exporter_sink_refused_series{sink="text",reason="failure"} 1',
      ]);
      sink.answer = () => OK;
      offer(180_000, Array(100).fill(6), mode);
      await until(() => accepted.length === 2);
      expect(sink.seen.at(-1)?.samples).toContain(mode === 'counter' ? 'pod-7=6@180000' : 'pod-7=6@180000');
      expect(await metric('egressd_exporter_sink_refused_series')).toEqual([]);
    },
  );

  test('a receiver that is down for an hour: nothing is isolated, the same bytes until it is back', async () => {
    const { sink, accepted, offer, timers, metric } = setUp(() => (timers.now() < 60 * 60_000 ? AGAIN : OK));
    offer(60_000, Array(100).fill(5));
    await until(() => accepted.length === 1);
    expect(await metric('egressd_dropped_events_total')).toEqual([]);
    expect(await metric('egressd_exported_events_total')).toEqual(['egressd_exported_events_total{sink="text"} 100']);
    expect(new Set(sink.seen.flatMap(({ samples }) => samples)).size).toBe(100);
  });

  test('a series over a limit is tried again alone: it does not make others fail', async () => {
    const bad = (sample: string) => /^pod-[5-9]\d=/.test(sample);
    const { sink, accepted, offer } = setUp((samples) => (samples.some(bad) ? refuse('content') : OK));
    offer(60_000, Array(100).fill(5));
    await until(() => accepted.length === 1);
    sink.seen.length = 0;
    offer(30 * 60_000, Array(100).fill(6));
    await until(() => accepted.length === 2);
    expect(sink.seen[0]!.samples).toHaveLength(50);
    // Eight of the fifty, one by one; the others wait.
    expect(sink.seen.slice(1).map(({ samples }) => samples.length)).toEqual(Array(8).fill(1));
    sink.answer = () => OK;
    offer(60 * 60_000, Array(100).fill(7));
    await until(() => accepted.length === 3);
    expect(sink.seen.slice(9).map(({ samples }) => samples.length)).toEqual([50, 1, 2, 4, 8, 16, 19]);
  });

  test('deltas that a former process had in flight are isolated to the end, too', async () => {
    const series = SERIES.slice(0, 100);
    const former = setUp(
      (_samples, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(AGAIN))),
    );
    former.offer(60_000, Array(100).fill(5));
    await until(() => former.sink.seen.length === 1);
    const image = former.delivery.image(series);
    await former.delivery.close(0);
    const bad = (sample: string) => /^pod-[2-7]\d=/.test(sample);
    const { delivery, accepted, metric } = setUp((samples) => (samples.some(bad) ? refuse('content') : OK));
    delivery.resume(image, { series, totals: testSnapshot(60_000, series, Array(100).fill(5)).totals });
    await until(() => accepted.length === 1);
    expect(await metric('egressd_exported_events_total')).toEqual(['egressd_exported_events_total{sink="text"} 40']);
    expect(await metric('egressd_dropped_events_total')).toEqual([
      'egressd_dropped_events_total{sink="text",reason="refused"} 60',
    ]);
  });

  test('a series limit: the log and a metric say how many series, and what to set', async () => {
    const limit: SendResult = {
      ...{ outcome: 'rejected', status: '400', fault: 'content' },
      message: 'db answered 400: per-user series limit of 3 exceeded, please contact administrator to raise it',
    };
    const { accepted, offer, lines, metric } = setUp((samples) =>
      samples.some((sample) => /^pod-[78]=/.test(sample)) ? limit : OK,
    );
    offer(60_000, Array(20).fill(5));
    await until(() => accepted.length === 1);
    expect(await metric('egressd_exporter_sink_refused_series')).toEqual([
      'egressd_exporter_sink_refused_series{sink="text",reason="series_limit"} 2',
    ]);
    expect(lines.at(-1)).toMatch(/sink refuses series.*series_limit=2.*maxSeries/);
    // One is in backoff still.
    offer(90_000, Array(20).fill(6));
    await until(() => accepted.length === 2);
    expect(lines.join()).not.toContain('sink recovered');
  });

  describe('a gap', () => {
    test('the last value goes once more, one interval before the first new one', async () => {
      const { sink, accepted, offer } = setUp();
      offer(60_000, [5, 5], 'counter');
      await until(() => accepted.length === 1);
      sink.seen.length = 0;
      // The second has not changed: there is nothing to find in the gap.
      offer(600_000, [8, 5], 'counter');
      await until(() => accepted.length === 2);
      offer(660_000, [9, 9], 'counter');
      await until(() => accepted.length === 3);
      expect(sink.seen.map(({ samples }) => samples)).toEqual([
        ['pod-0=5@540000'],
        ['pod-0=8@600000', 'pod-1=5@600000'],
        ['pod-0=9@660000', 'pod-1=9@660000'],
      ]);
    });

    test('there is none after two intervals, nor with deltas', async () => {
      for (const mode of ['counter', 'delta'] as const) {
        const { sink, accepted, offer } = setUp();
        offer(60_000, [5], mode);
        await until(() => accepted.length === 1);
        sink.seen.length = 0;
        offer(mode === 'counter' ? 180_000 : 900_000, [8], mode);
        await until(() => accepted.length === 2);
        expect(sink.seen).toHaveLength(1);
      }
    });

    test('after credentials were refused for long, too: the last accepted value counts', async () => {
      const { sink, accepted, offer } = setUp();
      offer(60_000, [5], 'counter');
      await until(() => accepted.length === 1);
      sink.answer = () => refuse('request');
      for (let minute = 2; minute <= 5; minute++) {
        const before = sink.seen.length;
        offer(minute * 60_000, [minute + 5], 'counter');
        await until(() => sink.seen.length > before);
        await new Promise((resolve) => setImmediate(resolve));
      }
      sink.answer = () => OK;
      sink.seen.length = 0;
      offer(360_000, [12], 'counter');
      await until(() => accepted.length === 2);
      expect(sink.seen.map(({ samples }) => samples)).toEqual([['pod-0=5@300001'], ['pod-0=12@360000']]);
    });

    test('where a later value may have been stored, an older one does not go after it: it would be a reset', async () => {
      const { sink, accepted, offer } = setUp();
      offer(60_000, [5], 'counter');
      await until(() => accepted.length === 1);
      // Stored, and refused.
      sink.answer = () => refuse('content');
      offer(120_000, [7], 'counter');
      await until(() => sink.seen.length === 3);
      await new Promise((resolve) => setImmediate(resolve));
      sink.answer = () => OK;
      sink.seen.length = 0;
      offer(600_000, [9], 'counter');
      await until(() => accepted.length === 2);
      expect(sink.seen.map(({ samples }) => samples)).toEqual([['pod-0=9@600000']]);
    });
  });

  test('an unavailable sink holds no commits, until it is available again', async () => {
    const { sink, delivery, timers, accepted, offer, lines, metric } = setUp(() => AGAIN);
    offer(60_000, [1]);
    await until(() => timers.now() > UNAVAILABLE_AFTER_MS);
    offer(120_000, [2]);
    expect(delivery.holdsCommit).toBe(false);
    expect(await metric('egressd_exporter_sink_unavailable')).toEqual([
      'egressd_exporter_sink_unavailable{sink="text"} 1',
    ]);
    expect(await metric('egressd_exporter_sink_outages_total')).toEqual([
      'egressd_exporter_sink_outages_total{sink="text"} 1',
    ]);
    expect(lines.filter((line) => line.includes('sink is unavailable'))).toHaveLength(1);
    expect(lines.length).toBeLessThan(sink.seen.length + 2);
    sink.answer = () => OK;
    await until(() => accepted.includes(120_000));
    expect(delivery.holdsCommit).toBe(true);
    expect(await metric('egressd_exporter_sink_pending_age_seconds')).toEqual([
      'egressd_exporter_sink_pending_age_seconds{sink="text"} 0',
    ]);
  });

  test('a sink that is only idle is available', () => {
    const { delivery, timers } = setUp();
    timers.advance(10 * UNAVAILABLE_AFTER_MS);
    expect(delivery.holdsCommit).toBe(true);
  });

  test('a sink that hangs costs one request, however many snapshots come', async () => {
    const { sink, delivery, offer, metric } = setUp(
      (_samples, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(AGAIN))),
    );
    for (let minute = 1; minute <= 500; minute++) offer(minute * 60_000, [minute, minute]);
    await until(() => sink.seen.length === 1);
    expect(await metric('egressd_exporter_sink_superseded_snapshots_total')).toEqual([
      'egressd_exporter_sink_superseded_snapshots_total{sink="text"} 498',
    ]);
    expect(await metric('egressd_exporter_sink_series')).toEqual(['egressd_exporter_sink_series{sink="text"} 2']);
    expect(await delivery.close(0)).toBe(false);
    expect(sink.seen).toHaveLength(1);
  });

  test('closing shortens the backoff, and ends at the deadline', async () => {
    const { sink, delivery, accepted, offer } = setUp(
      (_samples, signal) =>
        new Promise((resolve) => signal.addEventListener('abort', () => resolve({ ...AGAIN, status: 'stopped' }))),
    );
    offer(60_000, [1]);
    await until(() => sink.seen.length === 1);
    expect(await delivery.close(5000)).toBe(false);
    expect(accepted).toEqual([]);
    expect(sink.closed).toBe(true);
    offer(120_000, [2]);
    expect(sink.seen).toHaveLength(1);
  });

  test('closing delivers what is pending', async () => {
    const answers = [AGAIN, AGAIN];
    const { delivery, accepted, offer } = setUp(() => answers.shift() ?? OK);
    offer(60_000, [1]);
    offer(120_000, [2]);
    expect(await delivery.close(5000)).toBe(true);
    expect(accepted).toEqual([60_000, 120_000]);
  });

  test('a sink that throws is logged, and the next snapshot is tried', async () => {
    const { sink, accepted, offer, lines } = setUp(() => {
      throw new Error('BUG: made for this test');
    });
    offer(60_000, [1]);
    await until(() => lines.length > 0);
    expect(lines[0]).toContain('BUG: made for this test');
    sink.answer = () => OK;
    offer(120_000, [2]);
    await until(() => accepted.length === 1);
  });
});

/** A sink of items: `pod-1=5/7` is one item with both counters. */
class ItemSink extends TextSink {
  override form = 'items' as const;
  override defaultMode = 'delta' as const;
  override counters = ['txBytes', 'rxBytes'] as const;

  override async encode(frame: Frame, from: number, to: number): Promise<FrozenRequest> {
    expect([from % frame.width, to % frame.width]).toEqual([0, 0]);
    const end = Math.min(to, from + this.room * frame.width);
    const items: string[] = [];
    for (let unit = from; unit < end; unit += frame.width) {
      const values = [...frame.values.subarray(unit, unit + frame.width)];
      if (frame.kinds.subarray(unit, unit + frame.width).includes(1))
        items.push(`${frame.identities[unit / frame.width]}=${values.join('/')}`);
    }
    return { body: Buffer.from(items.join('\n')), key: 'key', end, samples: items.length };
  }
}

describe('items', () => {
  test('no zero sample goes before, and no stale marker after, in either mode', async () => {
    for (const mode of ['delta', 'counter'] as const) {
      const { sink, delivery, accepted, offer } = setUp(undefined, new ItemSink());
      offer(60_000, [5], mode);
      await until(() => accepted.length === 1);
      offer(120_000, [8], mode);
      await until(() => accepted.length === 2);
      delivery.offer(testSnapshot(180_000, [], [], [SERIES[0]!]), mode);
      await until(() => accepted.length === 3);
      const second = mode === 'delta' ? 'pod-0=3/3' : 'pod-0=8/8';
      expect(sink.seen.map(({ samples }) => samples)).toEqual([['pod-0=5/5'], [second]]);
    }
  });

  test('a snapshot at the very start has no sample to wait for', async () => {
    const { sink, accepted, offer } = setUp(undefined, new ItemSink());
    offer(1, [5], 'counter');
    await until(() => accepted.length === 1);
    expect(sink.seen.map(({ samples }) => samples)).toEqual([['pod-0=5/5']]);
  });

  test('one refused item: the others are accepted whole, it backs off whole, and its bytes go later', async () => {
    const broken = (samples: readonly string[]) => samples.some((sample) => sample.startsWith('pod-33='));
    const { sink, accepted, offer, metric } = setUp(undefined, new ItemSink());
    const stored: string[] = [];
    sink.answer = (samples) => {
      if (broken(samples)) return refuse('content');
      stored.push(...samples);
      return OK;
    };
    const totals = (total: number) => SERIES.slice(0, 100).map(() => total);
    offer(60_000, totals(5));
    await until(() => accepted.length === 1);
    expect(stored).toHaveLength(99);
    expect(await metric('egressd_dropped_events_total')).toEqual([
      'egressd_dropped_events_total{sink="text",reason="refused"} 1',
    ]);
    offer(90_000, totals(6));
    await until(() => accepted.length === 2);
    expect(await metric('egressd_dropped_events_total')).toContain(
      'egressd_dropped_events_total{sink="text",reason="backoff"} 1',
    );
    sink.answer = (samples) => {
      stored.push(...samples);
      return OK;
    };
    offer(200_000, totals(8));
    await until(() => accepted.length === 3);
    expect(stored).toContain('pod-33=8/8');
    expect(await metric('egressd_exported_events_total')).toEqual([
      `egressd_exported_events_total{sink="text"} ${stored.length}`,
    ]);
  });

  test('too large bodies are split between items', async () => {
    const { sink, accepted, offer } = setUp(undefined, new ItemSink());
    const stored: string[] = [];
    sink.answer = (samples) => {
      if (samples.length > 10) return refuse('size');
      stored.push(...samples);
      return OK;
    };
    offer(
      60_000,
      SERIES.slice(0, 64).map(() => 5),
    );
    await until(() => accepted.length === 1);
    expect(new Set(stored).size).toBe(64);
    expect(stored).toHaveLength(64);
  });
});
