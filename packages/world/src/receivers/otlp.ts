import { gunzipSync } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  AggregationTemporality,
  type ExportMetricsServiceRequest,
  ExportMetricsServiceRequestSchema,
  ExportMetricsServiceResponseSchema,
  type KeyValue,
} from '@egressd/flow/gen/opentelemetry/v1/otlp_pb';
import { WriteRequestSchema } from '@egressd/flow/gen/prometheus/v1/remote_pb';
import { compressSync } from 'snappy';

/** A NaN as `Buffer` reads and writes it: Prometheus's stale marker. */
const STALE_MARKER = Buffer.from('020000000000f07f', 'hex').readDoubleLE();

/** One data point, with the labels that Prometheus makes of it. */
export interface Point {
  readonly labels: Readonly<Record<string, string>>;
  readonly startMs: number;
  readonly timeMs: number;
  /** undefined: the series has ended. */
  readonly value: number | undefined;
  readonly temporality: 'cumulative' | 'delta' | undefined;
  readonly monotonic: boolean;
  readonly unit: string;
}

/** The request in a body. */
export function decodeMetrics({ body }: { readonly body: Uint8Array }): ExportMetricsServiceRequest {
  return fromBinary(ExportMetricsServiceRequestSchema, gunzipSync(body));
}

/** All data points of a request, in its order. */
export function pointsOf(request: ExportMetricsServiceRequest): Point[] {
  return request.resourceMetrics.flatMap(({ resource, scopeMetrics }) => {
    const of = textsOf(resource?.attributes ?? []);
    const ofResource = { job: of['service.name'] ?? '', instance: of['service.instance.id'] ?? '' };
    return scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap(({ name, unit, sum }) =>
        (sum?.dataPoints ?? []).map((point): Point => {
          const { attributes, startTimeUnixNano, timeUnixNano, value, flags } = point;
          return {
            labels: { __name__: name, ...ofResource, ...textsOf(attributes) },
            startMs: milliseconds(startTimeUnixNano),
            timeMs: milliseconds(timeUnixNano),
            value: (flags & 1) === 1 ? undefined : Number(value.value),
            temporality: TEMPORALITIES[sum!.aggregationTemporality],
            monotonic: sum!.isMonotonic,
            unit,
          };
        }),
      ),
    );
  });
}

const TEMPORALITIES: Readonly<Record<AggregationTemporality, Point['temporality']>> = {
  [AggregationTemporality.UNSPECIFIED]: undefined,
  [AggregationTemporality.DELTA]: 'delta',
  [AggregationTemporality.CUMULATIVE]: 'cumulative',
};

function textsOf(attributes: readonly KeyValue[]): Record<string, string> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, String(value?.value.value ?? '')]));
}

/** @throws Error where it is no whole millisecond */
function milliseconds(nanos: bigint): number {
  if (nanos % 1_000_000n !== 0n) throw new Error(`${nanos} ns is not a whole number of milliseconds`);
  return Number(nanos / 1_000_000n);
}

/** An answer that says how many points were refused. */
export function partialSuccess(rejected: number, message: string): Uint8Array {
  const answer = { partialSuccess: { rejectedDataPoints: BigInt(rejected), errorMessage: message } };
  return toBinary(ExportMetricsServiceResponseSchema, create(ExportMetricsServiceResponseSchema, answer));
}

/**
 * Judges points as Prometheus does: a request is stored whole or not at all, cumulative sums only, none older than the series' newest, none
 * with that one's time and another value. A start time makes no zero.
 */
export class PointLedger {
  readonly #newest = new Map<string, Point>();

  /** @returns why not, with the status to answer; undefined: all are stored now */
  take(points: readonly Point[]): { readonly status: 400 | 500; readonly message: string } | undefined {
    for (const point of points) {
      if (point.temporality !== 'cumulative')
        return { status: 500, message: 'invalid temporality and type combination' };
      const newest = this.#newest.get(keyOf(point));
      if (newest === undefined || newest.timeMs < point.timeMs) continue;
      if (newest.timeMs > point.timeMs) return { status: 400, message: 'out of order sample' };
      if (newest.value !== point.value) return { status: 400, message: 'duplicate sample for timestamp' };
    }
    for (const point of points) this.#newest.set(keyOf(point), point);
    return undefined;
  }
}

/** What tells series apart. */
export function keyOf({ labels }: Point): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The points as a body of remote write 1.0. */
export function toRemoteWrite(points: readonly Pick<Point, 'labels' | 'timeMs' | 'value'>[]): Buffer {
  const timeseries = points.map(({ labels, timeMs, value }) => ({
    labels: Object.entries(labels)
      .filter(([, text]) => text !== '')
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, text]) => ({ name, value: text })),
    samples: [{ value: value ?? STALE_MARKER, timestamp: BigInt(timeMs) }],
  }));
  return compressSync(toBinary(WriteRequestSchema, create(WriteRequestSchema, { timeseries })));
}
