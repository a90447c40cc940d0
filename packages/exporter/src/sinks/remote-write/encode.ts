import { Bug } from '@egressd/flow/bug';
import { varintLength, writeVarint } from '@egressd/flow/varint';
import type { Counter } from '../../aggregate/snapshot.ts';
import { type Frame, NO_SAMPLE, STALE } from '../delivery/frame.ts';
import { MAX_REQUEST_BYTES } from '../sink.ts';
import { type LabelWriter, metricNameLabel } from './labels.ts';

/** Series in one request. */
export const MAX_REQUEST_SERIES = 10_000;

const NONE: Uint8Array = new Uint8Array(0);

/** Tag and eight bytes of `Sample.value`, tag and six bytes of `Sample.timestamp`: milliseconds from 2004 to 2109. */
const SAMPLE_BODY_BYTES = 16;
const TIMESTAMP_BYTES = 6;
/** With its own tag and length. */
const SAMPLE_BYTES = SAMPLE_BODY_BYTES + 2;
const MIN_TIME_MS = 2 ** 35 * 32;
const MAX_TIME_MS = 2 ** 42 - 1;

/**
 * Prometheus's stale marker: a NaN with these bits, least byte first
 * (https://prometheus.io/docs/specs/prw/remote_write_spec/, "Stale Markers": 0x7ff0000000000002).
 */
export const STALE_MARKER = Uint8Array.of(0x02, 0, 0, 0, 0, 0, 0xf0, 0x7f);

/** The uncompressed message of some units. */
export interface EncodedUnits {
  /** Valid until the encoder is used again. */
  readonly bytes: Uint8Array;
  /** First unit that found no room. */
  readonly end: number;
  /** Series in it. */
  readonly series: number;
}

/** Writes `WriteRequest`s (proto/prometheus/v1/remote.proto) straight from frames, into one buffer that is reused. */
export class WriteRequestEncoder {
  readonly #before: Uint8Array;
  /** By counter of the frame: the label that names the metric. */
  readonly #names: readonly Uint8Array[];
  #buffer = Buffer.allocUnsafe(64 * 1024);

  constructor(labels: LabelWriter, counters: readonly Counter[]) {
    this.#before = labels.before;
    this.#names = counters.map(metricNameLabel);
  }

  /**
   * Encodes units from `from` to at most `to`, at least one, as far as the limits allow.
   * @param metadata encoded fields of the message that go behind them
   */
  encode(frame: Frame, from: number, to: number, metadata = NONE): EncodedUnits {
    const before = this.#before;
    const names = this.#names;
    const { kinds, identities, width } = frame;
    const timestamp = encodeTimestamp(frame.timeMs);
    let length = 0;
    let series = 0;
    let unit = from;
    for (; unit < to && series < MAX_REQUEST_SERIES; unit++) {
      const kind = kinds[unit]!;
      if (kind === NO_SAMPLE) continue;
      const identity = identities[Math.floor(unit / width)]!;
      const name = names[unit % width]!;
      const body = before.length + name.length + identity.length + SAMPLE_BYTES;
      const end = length + 1 + varintLength(body) + body;
      if (end > MAX_REQUEST_BYTES && series > 0) break;
      const buffer = end > this.#buffer.length ? this.#grow(end) : this.#buffer;

      // WriteRequest.timeseries (field 1), its labels, its one sample.
      buffer[length++] = 0x0a;
      length = writeVarint(buffer, length, body);
      buffer.set(before, length);
      length += before.length;
      buffer.set(name, length);
      length += name.length;
      length += buffer.write(identity, length, identity.length, 'latin1');
      length = writeSample(buffer, length, kind === STALE ? STALE_MARKER : frame.values[unit]!, timestamp);
      series++;
    }
    if (series > 0 && metadata.length > 0) {
      const buffer =
        length + metadata.length > this.#buffer.length ? this.#grow(length + metadata.length) : this.#buffer;
      buffer.set(metadata, length);
      length += metadata.length;
    }
    return { bytes: this.#buffer.subarray(0, length), end: unit, series };
  }

  #grow(atLeast: number): Buffer {
    const larger = Buffer.allocUnsafe(Math.max(atLeast, this.#buffer.length * 2));
    this.#buffer.copy(larger);
    this.#buffer = larger;
    return larger;
  }
}

/** `TimeSeries.samples` (field 2) with `Sample.value` (1, double) and `Sample.timestamp` (2, varint). */
function writeSample(into: Buffer, at: number, value: number | Uint8Array, timestamp: Uint8Array): number {
  into[at] = 0x12;
  into[at + 1] = SAMPLE_BODY_BYTES;
  into[at + 2] = 0x09;
  if (typeof value === 'number') into.writeDoubleLE(value, at + 3);
  else into.set(value, at + 3);
  into[at + 11] = 0x10;
  for (let i = 0; i < TIMESTAMP_BYTES; i++) into[at + 12 + i] = timestamp[i]!;
  return at + SAMPLE_BYTES;
}

/** A varint of six bytes. @param timeMs Unix milliseconds from 2004 to 2109 */
export function encodeTimestamp(timeMs: number): Uint8Array {
  if (!(timeMs >= MIN_TIME_MS && timeMs <= MAX_TIME_MS)) throw new Bug(`${timeMs} ms is not a current time`);
  const bytes = new Uint8Array(TIMESTAMP_BYTES);
  writeVarint(bytes, 0, timeMs);
  return bytes;
}
