import type { SeriesLabels } from '../../aggregate/snapshot.ts';
import { ITEM_COUNTERS, ItemEncoder } from '../items/item-encoder.ts';
import { PROTOBUF_ITEMS } from '../items/protobuf.ts';
import { decodeBatch } from '../items/testing.ts';
import type { Fault, FrozenRequest, SendResult, Sink } from '../sink.ts';
import { type Frame, type Mode, NO_SAMPLE, STALE } from './frame.ts';
import { requestKey } from './request-key.ts';

/** Receivers for tests that do everything that receivers do wrong. Nothing else imports this file. */

/** What the receiver does with a request. */
export const ANSWERS = [
  'stored',
  'lost',
  'answer lost',
  'refused',
  'too large',
  'forbidden',
  'partly stored',
  'partly refused',
] as const;

/**
 * A database that may fail in every way, and that does what one does: the newest sample may come again, older ones are refused,
 * and what it has it does not refuse. A request with a refused one is thrown away whole (Prometheus), or the others are stored (`keeps`:
 * Cortex, Mimir); both answer the same.
 */
export class ChaosDatabase implements Sink {
  readonly name = 'chaos';
  readonly identityScheme = 'chaos';
  readonly receiverId = 'chaos';
  readonly form = 'samples';
  readonly defaultMode = 'counter';
  readonly counters = ['txBytes', 'rxBytes'] as const;
  readonly maxSeries = 5;
  readonly keeps: boolean;
  answers: (typeof ANSWERS)[number][] = [];
  /** Samples that it refused beside others that it stored, and that have not come since. */
  readonly #refused = new Map<string, number>();
  /** By series: its samples in order. NaN: the series ended. */
  readonly #stored = new Map<string, Map<number, number>>();
  readonly #bodies = new Map<string, [series: string, timeMs: number, value: number][]>();

  constructor(keeps = false) {
    this.keeps = keeps;
  }

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
      if (kind === NO_SAMPLE) continue;
      const series = `${frame.identities[Math.floor(unit / 2)]}/${unit % 2}`;
      body.push([series, frame.timeMs, kind === STALE ? Number.NaN : frame.values[unit]!]);
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
    if (answer === 'partly stored' && !this.#has(body.slice(0, 1))) return this.#storePart(body);
    if (answer === 'partly refused' && !this.#has(body.slice(0, 1))) {
      if (this.keeps) for (const sample of body.slice(1)) this.#store([sample]);
      return rejected('content');
    }
    if (!this.#store(body)) {
      if (this.keeps) for (const sample of body) this.#store([sample]);
      return rejected('content');
    }
    return answer === 'answer lost' ? again : { outcome: 'ok', status: '200' };
  }

  /** All but the first sample. */
  #storePart(body: readonly [string, number, number][]): SendResult {
    const [[series, timeMs, value] = [], ...rest] = body;
    const rejected: SendResult = { outcome: 'rejected', status: '', fault: 'content', message: '' };
    if (rest.length === 0 || !this.#store(rest)) return rejected;
    if (!Number.isNaN(value)) this.#refused.set(`${series}@${timeMs}`, value!);
    return { outcome: 'partial', status: '200', refused: 1, message: '' };
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
      this.#refused.delete(`${series}@${timeMs}`);
    }
    return true;
  }

  /** What of deltas is lost in requests of which a part was stored. */
  get lost(): number {
    return [...this.#refused.values()].reduce((sum, each) => sum + each, 0);
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
export class ChaosEndpoint implements Sink {
  readonly name = 'chaos';
  readonly identityScheme = 'chaos';
  readonly receiverId = 'chaos';
  readonly form = 'items';
  readonly defaultMode = 'delta';
  readonly counters = ITEM_COUNTERS;
  readonly maxSeries = 5;
  readonly lost = 0;
  answers: (typeof ANSWERS)[number][] = [];
  readonly #encoder = new ItemEncoder(PROTOBUF_ITEMS);
  readonly #stored = new Map<string, number>();

  identityOf(labels: SeriesLabels): string {
    return PROTOBUF_ITEMS.identityOf(labels);
  }

  async encode(frame: Frame, from: number, to: number): Promise<FrozenRequest> {
    const { bytes, end, items } = this.#encoder.encode(frame, from, Math.min(to, from + 4 * frame.width));
    return { body: Uint8Array.from(bytes), key: requestKey(frame, from, end), end, samples: items };
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
