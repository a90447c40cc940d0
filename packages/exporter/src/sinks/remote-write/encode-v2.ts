import { varintLength, writeVarint } from '@egressd/flow/varint';
import type { Counter } from '../../aggregate/snapshot.ts';
import { type Frame, type Mode, NO_SAMPLE, STALE } from '../delivery/frame.ts';
import { MAX_REQUEST_BYTES } from '../sink.ts';
import { type EncodedUnits, encodeTimestamp, MAX_REQUEST_SERIES, STALE_MARKER } from './encode.ts';
import { type LabelWriter, metricNameLabel } from './labels.ts';
import { METADATA, metricTypeOf } from './metadata.ts';
import { Symbols, textsOf } from './symbols.ts';

/** A varint of 32 bits. */
const MAX_REF_BYTES = 5;
/** `TimeSeries` beside its labels: their tag and length, the sample with two times (27), the metadata (16). */
const MAX_OTHER_BYTES = 64;
/** With the order of a destination below 2^26 a double holds both. */
const KEYED = 2 ** 27;
const TIMESTAMP_BYTES = 6;
/** Tag and eight bytes of `Sample.value`, tag and six bytes of each time. */
const SAMPLE_BYTES = 9 + 1 + TIMESTAMP_BYTES;
const STARTED_SAMPLE_BYTES = SAMPLE_BYTES + 1 + TIMESTAMP_BYTES;

/** What is the same in all series of a counter. */
interface OneCounter {
  /** Numbers of `before`, `__name__` and the metric's name. */
  readonly first: Uint32Array;
  readonly help: number;
  readonly unit: number;
}

/**
 * Writes the `Request` of remote write 2.0 (proto/prometheus/v2/remote.proto) straight from frames:
 *
 *   symbols     "" "__name__" "egressd_..." "src_pod" "cart-1" ...     every text once
 *   series      labels_refs [1 2 3 4 ...]  sample  metadata            numbers of texts
 */
export class RequestEncoder {
  readonly #symbols = new Symbols();
  readonly #labels: LabelWriter;
  readonly #counters: readonly Counter[];
  #series = Buffer.allocUnsafe(64 * 1024);

  constructor(labels: LabelWriter, counters: readonly Counter[]) {
    this.#labels = labels;
    this.#counters = counters;
  }

  /** Encodes units from `from` to at most `to`, at least one, as far as the limits allow. */
  encode(frame: Frame, from: number, to: number): EncodedUnits {
    if (from === 0) this.#symbols.beginFrame();
    const end = endOf(frame, from, to, MAX_REQUEST_SERIES);
    const encoded = this.#encode(frame, from, end);
    if (encoded.bytes.length <= MAX_REQUEST_BYTES || encoded.series === 1) return encoded;
    return this.encode(frame, from, endOf(frame, from, end, encoded.series >>> 1));
  }

  #encode(frame: Frame, from: number, end: number): EncodedUnits {
    const symbols = this.#symbols;
    const { width, startsMs } = frame;
    const counters = this.#counters.map((counter) => this.#numbersOf(counter));
    symbols.beginRequest();
    const timestamp = encodeTimestamp(frame.timeMs);
    let startMs = 0;
    let times: EncodedTimes = { timestamp, start: undefined };
    let length = 0;
    const order = this.#orderOf(frame, from, end);
    for (let i = 0; i < order.length; i++) {
      const unit = from + (order[i]! % KEYED);
      // Mostly the same as of the series before.
      if (startsMs !== undefined && startsMs[unit] !== startMs) {
        startMs = startsMs[unit]!;
        times = { timestamp, start: encodeStart(startMs, frame.timeMs) };
      }
      length = this.#write(frame, unit, counters[unit % width]!, times, length);
    }
    return { bytes: Buffer.concat([symbols.bytes, this.#series.subarray(0, length)]), end, series: order.length };
  }

  /**
   * The units with a sample, in the order of their destinations: a fifth less for snappy, which finds only what is repeated near by. Sorting
   * plain numbers is a tenth of sorting with a comparison.
   * @returns units less `from`, each below a destination times `KEYED`
   */
  #orderOf({ kinds, slots, identities, width }: Frame, from: number, end: number): Float64Array {
    const symbols = this.#symbols;
    const keys = new Float64Array(end - from);
    let count = 0;
    for (let unit = from; unit < end; unit++) {
      if (kinds[unit] === NO_SAMPLE) continue;
      const row = Math.floor(unit / width);
      keys[count++] = symbols.orderOf(slots[row]!, identities[row]!) * KEYED + (unit - from);
    }
    return keys.subarray(0, count).sort();
  }

  /**
   * `Request.timeseries` (field 5). Its two lengths are known only when it is written: they get a byte each, as nearly all need, and
   * where one needs more, what follows moves on.
   */
  #write(frame: Frame, unit: number, counter: OneCounter, times: EncodedTimes, from: number): number {
    const row = Math.floor(unit / frame.width);
    const symbols = this.#symbols;
    const labels = symbols.ofSeries(frame.slots[row]!, frame.identities[row]!);
    const buffer = this.#room(from + (counter.first.length + labels.length) * MAX_REF_BYTES + MAX_OTHER_BYTES);
    // TimeSeries.labels_refs (1, packed).
    let at = symbols.writePlaces(counter.first, buffer, from + 4);
    at = symbols.writePlaces(labels, buffer, at);
    at = writeLength(buffer, from + 3, at);
    at = writeSample(buffer, at, frame.kinds[unit] === STALE ? STALE_MARKER : frame.values[unit]!, times);
    at = this.#writeMetadata(buffer, at, frame.mode, counter);
    buffer[from] = 0x2a;
    buffer[from + 2] = 0x0a;
    return writeLength(buffer, from + 1, at);
  }

  /** `TimeSeries.metadata` (field 5): Metadata.type (1), Metadata.help_ref (3), Metadata.unit_ref (4). */
  #writeMetadata(buffer: Buffer, from: number, mode: Mode, { help, unit }: OneCounter): number {
    buffer[from] = 0x2a;
    buffer[from + 2] = 0x08;
    buffer[from + 3] = metricTypeOf(mode);
    buffer[from + 4] = 0x18;
    let at = writeVarint(buffer, from + 5, this.#symbols.placeOf(help));
    buffer[at++] = 0x20;
    at = writeVarint(buffer, at, this.#symbols.placeOf(unit));
    buffer[from + 1] = at - from - 2;
    return at;
  }

  #numbersOf(counter: Counter): OneCounter {
    const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
    const { before } = this.#labels;
    const texts = [...textsOf(latin1(before)), ...textsOf(latin1(metricNameLabel(counter)))];
    const number = (text: string) => this.#symbols.numberOf(text);
    const { help, unit } = METADATA[counter];
    return { first: Uint32Array.from(texts, number), help: number(help), unit: number(unit) };
  }

  #room(atLeast: number): Buffer {
    if (atLeast <= this.#series.length) return this.#series;
    const larger = Buffer.allocUnsafe(Math.max(atLeast, this.#series.length * 2));
    this.#series.copy(larger);
    this.#series = larger;
    return larger;
  }
}

/** A start at the sample's own time, a zero sample's, says nothing, and receivers warn of it. */
function encodeStart(startMs: number, timeMs: number): Uint8Array | undefined {
  return startMs > 0 && startMs < timeMs ? encodeTimestamp(startMs) : undefined;
}

/** First unit after so many with a sample, at most `to`. */
function endOf({ kinds }: Frame, from: number, to: number, most: number): number {
  let unit = from;
  for (let samples = 0; unit < to && samples < most; unit++) if (kinds[unit] !== NO_SAMPLE) samples++;
  return unit;
}

/** The times of a sample as varints. */
interface EncodedTimes {
  readonly timestamp: Uint8Array;
  /** undefined: not said. */
  readonly start: Uint8Array | undefined;
}

/** `TimeSeries.samples` (field 2): Sample.value (1), Sample.timestamp (2), Sample.start_timestamp (3). */
function writeSample(
  buffer: Buffer,
  from: number,
  value: number | Uint8Array,
  { timestamp, start }: EncodedTimes,
): number {
  buffer[from] = 0x12;
  buffer[from + 1] = start === undefined ? SAMPLE_BYTES : STARTED_SAMPLE_BYTES;
  buffer[from + 2] = 0x09;
  if (typeof value === 'number') buffer.writeDoubleLE(value, from + 3);
  else buffer.set(value, from + 3);
  let at = from + 11;
  buffer[at++] = 0x10;
  for (let i = 0; i < TIMESTAMP_BYTES; i++) buffer[at++] = timestamp[i]!;
  if (start === undefined) return at;
  buffer[at++] = 0x18;
  for (let i = 0; i < TIMESTAMP_BYTES; i++) buffer[at++] = start[i]!;
  return at;
}

/** Writes the length of what stands from behind `at` to `end`, which moves on where a byte is too little. @returns its end */
function writeLength(buffer: Buffer, at: number, end: number): number {
  const length = end - at - 1;
  const more = varintLength(length) - 1;
  if (more > 0) buffer.copyWithin(at + 1 + more, at + 1, end);
  writeVarint(buffer, at, length);
  return end + more;
}
