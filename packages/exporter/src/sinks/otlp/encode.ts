import { varintLength, writeVarint } from '@egressd/flow/varint';
import type { Counter } from '../../aggregate/snapshot.ts';
import { METRIC_NAMES } from '../counters.ts';
import { type Frame, NO_SAMPLE, STALE } from '../delivery/frame.ts';
import { MAX_REQUEST_BYTES } from '../sink.ts';
import { encodeResourceAttributes } from './attributes.ts';
import { PointBuffer } from './point-buffer.ts';

/** Data points in one request. */
export const MAX_REQUEST_POINTS = 10_000;

/** What a receiver shows of a metric. Units by UCUM; a name that ends in `_bytes_total` with the unit `By` keeps its name everywhere. */
const DESCRIPTIONS: Readonly<Record<Counter, { readonly description: string; readonly unit: string }>> = {
  txBytes: { description: 'Bytes that the source sent to the destination.', unit: 'By' },
  txPackets: { description: 'Packets that the source sent to the destination.', unit: '{packet}' },
  rxBytes: { description: 'Bytes that the source received from the destination.', unit: 'By' },
  rxPackets: { description: 'Packets that the source received from the destination.', unit: '{packet}' },
};

/** `AggregationTemporality`. */
const TEMPORALITY = { delta: 1, counter: 2 } as const;

/** The most bytes of a request beside its points and the resource: tags and lengths of each level, and what describes a metric. */
const MAX_OTHER_BYTES = 64;
const MAX_METRIC_BYTES = 192;

/** The `ExportMetricsServiceRequest` of some units. */
interface EncodedPoints {
  /** A copy: it is the caller's. */
  readonly bytes: Uint8Array;
  /** First unit that found no room. */
  readonly end: number;
  /** Data points in it. */
  readonly points: number;
}

/**
 * Writes `ExportMetricsServiceRequest`s (proto/opentelemetry/v1/otlp.proto) straight from frames. The points of each metric have to stand
 * together, so each has a buffer of its own:
 *
 *   frame      tx rx | tx rx | tx rx
 *   buffers    tx: point point point      rx: point point point
 *   request    resource, scope, metric tx: its points, metric rx: its points
 */
export class MetricsEncoder {
  readonly #resource: Readonly<Record<string, string>>;
  readonly #metrics: readonly { readonly head: Buffer; readonly points: PointBuffer }[];

  /** @param resource attributes that win over our own */
  constructor(counters: readonly Counter[], resource: Readonly<Record<string, string>>) {
    this.#resource = resource;
    this.#metrics = counters.map((counter) => ({ head: describe(counter), points: new PointBuffer() }));
  }

  /** Encodes units from `from` to at most `to`, at least one, as far as the limits allow. */
  encode(frame: Frame, from: number, to: number): EncodedPoints {
    const { kinds, identities, width, values, startsMs } = frame;
    const resource = this.#resourceOf(frame);
    for (const { points } of this.#metrics) points.begin(frame.timeMs);
    let length = resource.length + MAX_OTHER_BYTES + width * MAX_METRIC_BYTES;
    let points = 0;
    let unit = from;
    for (; unit < to && points < MAX_REQUEST_POINTS; unit++) {
      const kind = kinds[unit]!;
      if (kind === NO_SAMPLE) continue;
      const identity = identities[Math.floor(unit / width)]!;
      const most = PointBuffer.mostBytes(identity);
      if (length + most > MAX_REQUEST_BYTES && points > 0) break;
      const value = kind === STALE ? undefined : values[unit]!;
      length += this.#metrics[unit % width]!.points.add(identity, startsMs?.[unit] ?? 0, value);
      points++;
    }
    return { bytes: points === 0 ? new Uint8Array(0) : this.#assemble(frame, resource), end: unit, points };
  }

  /**
   * Who measures. The instance is the sink's state, not the process: it is the one that numbers the points, and a restart that goes on
   * with the state goes on with the series. There is no version, because some receivers make a label of every attribute, and each upgrade
   * would begin other series in the middle of their counters.
   */
  #resourceOf({ origin }: Frame): Buffer {
    const attributes = { 'service.name': 'egressd', 'service.instance.id': origin, ...this.#resource };
    return encodeResourceAttributes(attributes);
  }

  #assemble({ mode }: Frame, resource: Buffer): Buffer {
    const scope = field(0x0a, field(0x0a, Buffer.from('egressd')));
    const metrics = this.#metrics.flatMap(({ head, points }) => {
      if (points.bytes.length === 0) return [];
      // Sum.aggregation_temporality and Sum.is_monotonic follow its points; Metric.sum is field 7, ScopeMetrics.metrics field 2.
      const sum = [points.bytes, Uint8Array.of(0x10, TEMPORALITY[mode], 0x18, 1)];
      const metric = [head, heading(0x3a, sum), ...sum];
      return [heading(0x12, metric), ...metric];
    });
    const scopeMetrics = [scope, ...metrics];
    const resourceMetrics = [field(0x0a, resource), heading(0x12, scopeMetrics), ...scopeMetrics];
    return Buffer.concat([heading(0x0a, resourceMetrics), ...resourceMetrics]);
  }
}

/** `Metric.name`, `Metric.description` and `Metric.unit`. */
function describe(counter: Counter): Buffer {
  const { description, unit } = DESCRIPTIONS[counter];
  const texts = [METRIC_NAMES[counter], description, unit].map((text) => Buffer.from(text));
  return Buffer.concat(texts.map((text, i) => field(((i + 1) << 3) | 2, text)));
}

/** A field with its content. */
function field(tag: number, content: Uint8Array): Buffer {
  return Buffer.concat([heading(tag, [content]), content]);
}

/** Tag and length of a field. */
function heading(tag: number, content: readonly Uint8Array[]): Buffer {
  const length = content.reduce((sum, piece) => sum + piece.length, 0);
  const bytes = Buffer.alloc(1 + varintLength(length));
  bytes[0] = tag;
  writeVarint(bytes, 1, length);
  return bytes;
}
