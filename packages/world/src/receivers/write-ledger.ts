import type { IncomingMessage } from 'node:http';
import { decodeWrite2 } from './remote-write-2.ts';
import { decodeWrite, labelsOf } from './test-receiver.ts';

/** One sample of remote write, of either version. */
export interface WriteSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly timeMs: number;
  /** undefined: the series has ended. */
  readonly value: number | undefined;
}

/** A request of remote write. */
interface WriteBody {
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** Whether a request is of remote write 2.0. */
export function isWrite2(headers: IncomingMessage['headers']): boolean {
  return headers['x-prometheus-remote-write-version'] === '2.0.0';
}

/** `MetricType` of metadata: what deltas are to a database. */
const GAUGE = 2;

interface Kept {
  newestMs: number;
  newest: number | undefined;
  /** Of deltas: their sum. */
  sum: number;
}

/** What became of the samples of a request. */
interface Taken {
  /** What is new, as samples of counters: deltas are summed up. */
  readonly fresh: readonly WriteSample[];
  /** Samples that are stored, those that were there before included. */
  readonly stored: number;
  /** Why one was refused; undefined: none was. */
  readonly refused: string | undefined;
}

/**
 * Keeps samples as Prometheus, Cortex and Mimir do: a sample that is there already may come again, and counts once; one that is older than
 * the newest of its series, or another value at its time, is refused.
 */
export class WriteLedger {
  readonly #kept = new Map<string, Kept>();
  #deltas = false;

  /** Decodes a request. What its metadata says of the metrics decides what samples are: totals, or deltas. */
  read(request: WriteBody): WriteSample[] {
    if (isWrite2(request.headers)) {
      const samples = decodeWrite2(request);
      if (samples[0] !== undefined) this.#deltas = samples[0].type === GAUGE;
      return samples.map((sample) => ({ ...sample, value: numberOf(sample.value) }));
    }
    const decoded = decodeWrite(request);
    if (decoded.metadata[0] !== undefined) this.#deltas = decoded.metadata[0].type === GAUGE;
    const labels = labelsOf(decoded);
    return decoded.timeseries.flatMap(({ samples }, i) =>
      samples.map(({ value, timestamp }) => ({
        labels: labels[i]!,
        timeMs: Number(timestamp),
        value: numberOf(value),
      })),
    );
  }

  /** Samples in a request. */
  count(request: WriteBody): number {
    return this.read(request).length;
  }

  /**
   * @param keeps the good samples of a request with a refused one (Cortex, Mimir); false: none of them (Prometheus)
   * @param refuses why a series is refused; undefined: it is not
   */
  take(
    samples: readonly WriteSample[],
    keeps: boolean,
    refuses: (labels: WriteSample['labels']) => string | undefined = () => undefined,
  ): Taken {
    const reasons = samples.map((sample) => refuses(sample.labels) ?? this.#outOfOrder(sample));
    const refused = reasons.find((reason) => reason !== undefined);
    if (refused !== undefined && !keeps) return { fresh: [], stored: 0, refused };
    const good = samples.filter((_, i) => reasons[i] === undefined);
    return { fresh: good.flatMap((sample) => this.#keep(sample)), stored: good.length, refused };
  }

  #outOfOrder({ labels, timeMs, value }: WriteSample): string | undefined {
    const kept = this.#kept.get(keyOf(labels));
    if (kept === undefined || timeMs > kept.newestMs) return undefined;
    if (timeMs < kept.newestMs) return 'out of order sample';
    return value === kept.newest ? undefined : 'duplicate sample for timestamp';
  }

  /** @returns what a database of counters has to get: nothing where the sample is there already */
  #keep({ labels, timeMs, value }: WriteSample): WriteSample[] {
    const key = keyOf(labels);
    const before = this.#kept.get(key);
    if (before?.newestMs === timeMs) return [];
    const sum = (before?.sum ?? 0) + (this.#deltas ? (value ?? 0) : 0);
    this.#kept.set(key, { newestMs: timeMs, newest: value, sum });
    if (!this.#deltas) return [{ labels, timeMs, value }];
    const zero = before === undefined ? [{ labels, timeMs: timeMs - 1, value: 0 }] : [];
    return [...zero, { labels, timeMs, value: sum }];
  }
}

function numberOf(value: number): number | undefined {
  return Number.isNaN(value) ? undefined : value;
}

function keyOf(labels: WriteSample['labels']): string {
  return JSON.stringify(Object.entries(labels).sort());
}
