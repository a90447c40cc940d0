import { protocolName } from '@egressd/flow/protocol';
import type { Counter, SeriesLabels } from '../../aggregate/snapshot.ts';

/** Names of the metrics. */
export const METRIC_NAMES: Readonly<Record<Counter, string>> = {
  txBytes: 'egressd_transmit_bytes_total',
  txPackets: 'egressd_transmit_packets_total',
  rxBytes: 'egressd_received_bytes_total',
  rxPackets: 'egressd_received_packets_total',
};

const METRIC_NAME_LABEL = '__name__';

/** Settings that labels depend on. */
export interface LabelOptions {
  /** Custom ones, added to every series. */
  readonly labels: Readonly<Record<string, string>>;
  readonly regionLabels: boolean;
}

/**
 * Writes the labels of series as the encoded fields of a `TimeSeries`, sorted by name. They are split around the name of the metric,
 * which alone differs between the counters of a series:
 *
 *   before            __name__           after (the identity)
 *   CLUSTER="a"       one a counter      cross_zone="true" dst_ip="10.0.0.1" ...
 *   same for all      same for all       one a series, also as a Latin-1 string: one character a byte
 */
export class LabelWriter {
  /** Custom labels that sort before `__name__`: those that begin with a capital. */
  readonly before: Uint8Array;
  readonly #after: readonly [string, string | ((labels: SeriesLabels) => string)][];
  #scratch = Buffer.alloc(1024);

  constructor(options: LabelOptions) {
    const custom = Object.entries(options.labels).sort(byName);
    this.before = Buffer.concat(
      custom.filter(([name]) => name < METRIC_NAME_LABEL).map(([name, value]) => encodeLabel(name, value)),
    );
    const own = Object.entries(ownLabels(options.regionLabels));
    this.#after = [...own, ...custom.filter(([name]) => name > METRIC_NAME_LABEL)].sort(byName);
  }

  /** The encoded labels after the metric's name. */
  identityOf(labels: SeriesLabels): string {
    let length = 0;
    for (const [name, read] of this.#after) {
      const value = typeof read === 'string' ? read : read(labels);
      if (value === '') continue;
      // UTF-8 takes at most three bytes a UTF-16 unit; two tags and lengths are at most 12.
      const most = length + 3 * (name.length + value.length) + 24;
      if (most > this.#scratch.length) this.#scratch = Buffer.concat([this.#scratch], 2 * most);
      length = writeLabel(this.#scratch, length, name, value);
    }
    return this.#scratch.toString('latin1', 0, length);
  }
}

/** The encoded label that names the metric of a counter. */
export function metricNameLabel(counter: Counter): Uint8Array {
  return encodeLabel(METRIC_NAME_LABEL, METRIC_NAMES[counter]);
}

function ownLabels(regions: boolean): Readonly<Record<string, (labels: SeriesLabels) => string>> {
  return {
    cross_zone: (labels) => String(labels.cross_zone),
    dst_ip: (labels) => labels.dst_ip,
    dst_ip_type: (labels) => labels.dst_ip_type,
    dst_namespace: (labels) => labels.dst_namespace,
    dst_node: (labels) => labels.dst_node,
    dst_pod: (labels) => labels.dst_pod,
    dst_zone: (labels) => labels.dst_zone,
    proto: (labels) => protocolName(labels.protocol),
    src_ip: (labels) => labels.src_ip,
    src_namespace: (labels) => labels.src_namespace,
    src_node: (labels) => labels.src_node,
    src_pod: (labels) => labels.src_pod,
    src_zone: (labels) => labels.src_zone,
    ...(regions
      ? {
          src_region: (labels: SeriesLabels) => labels.src_region,
          dst_region: (labels: SeriesLabels) => labels.dst_region,
          scope: (labels: SeriesLabels) => labels.scope,
        }
      : {}),
  };
}

/** By UTF-16 units: the names are ASCII, so it is the order of bytes that receivers ask for. */
function byName(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}

function encodeLabel(name: string, value: string): Uint8Array {
  if (value === '') return new Uint8Array(0);
  const bytes = Buffer.alloc(3 * (name.length + value.length) + 24);
  return bytes.subarray(0, writeLabel(bytes, 0, name, value));
}

/** `TimeSeries.labels` (field 1) with `Label.name` (1) and `Label.value` (2). @returns the end of what was written */
function writeLabel(into: Buffer, at: number, name: string, value: string): number {
  const nameLength = Buffer.byteLength(name);
  const valueLength = Buffer.byteLength(value);
  const length = 2 + varintLength(nameLength) + nameLength + varintLength(valueLength) + valueLength;
  let end = at;
  into[end++] = 0x0a;
  end = writeVarint(into, end, length);
  into[end++] = 0x0a;
  end = writeVarint(into, end, nameLength);
  end += into.write(name, end, nameLength);
  into[end++] = 0x12;
  end = writeVarint(into, end, valueLength);
  return end + into.write(value, end, valueLength);
}

/** Bytes of a varint below 2^31. */
export function varintLength(value: number): number {
  let length = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) length++;
  return length;
}

/** Writes a varint below 2^31. @returns its end */
export function writeVarint(into: Uint8Array, at: number, value: number): number {
  let end = at;
  let rest = value;
  while (rest >= 0x80) {
    into[end++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  into[end++] = rest;
  return end;
}
