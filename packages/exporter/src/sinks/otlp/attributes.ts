import { varintLength, writeVarint } from '@egressd/flow/varint';
import type { SeriesLabels } from '../../aggregate/snapshot.ts';
import { labelReaders } from '../label-sets/read-labels.ts';
import { chosenLabels, type LabelChoice, type LabelName, REGION_LABELS } from '../label-sets/settings.ts';
import type { OtlpSettings } from './settings.ts';

/** `NumberDataPoint.attributes` and `Resource.attributes` (proto/opentelemetry/v1/otlp.proto): fields 7 and 1, with their wire type. */
const POINT_TAG = 0x3a;
const RESOURCE_TAG = 0x0a;
/** `KeyValue.key`, `KeyValue.value`, `AnyValue.string_value`, `AnyValue.bool_value`. */
const KEY_TAG = 0x0a;
const VALUE_TAG = 0x12;
const STRING_TAG = 0x0a;
const BOOL_TAG = 0x10;
/** The most bytes of an attribute beside its key and value: four tags, four lengths. */
const MAX_FRAME_BYTES = 4 + 4 * 5;
/** The most bytes that UTF-8 needs for a UTF-16 unit of a string. */
const MAX_UTF8_BYTES = 3;

type Value = string | boolean;

/**
 * Names of the attributes (https://opentelemetry.io/docs/specs/semconv/), by label of remote write: those of a resource, behind the end that
 * they are about (`source`, `destination`, as in `source.address`); ours begin with `egressd`.
 */
const CONVENTIONS: readonly (readonly [LabelName, string])[] = [
  ...ofEnd('src', 'source'),
  ...ofEnd('dst', 'destination'),
  ['dst_ip_type', 'egressd.destination.ip_type'],
  ['dst_network', 'egressd.destination.network'],
  ['dst_cloud_service', 'egressd.destination.cloud_service'],
  ['cross_zone', 'egressd.cross_zone'],
  ['scope', 'egressd.scope'],
  ['distance', 'egressd.distance'],
  ['proto', 'network.transport'],
];

function ofEnd(end: 'src' | 'dst', name: string): [LabelName, string][] {
  return [
    [`${end}_ip`, `${name}.address`],
    [`${end}_pod`, `${name}.k8s.pod.name`],
    [`${end}_namespace`, `${name}.k8s.namespace.name`],
    [`${end}_node`, `${name}.k8s.node.name`],
    [`${end}_zone`, `${name}.cloud.availability_zone`],
    [`${end}_region`, `${name}.cloud.region`],
    [`${end}_workload_kind`, `egressd.${name}.workload.kind`],
    [`${end}_workload`, `egressd.${name}.workload.name`],
  ];
}

/** Settings that attributes depend on. */
type AttributeOptions = LabelChoice & Pick<OtlpSettings, 'attributeNames' | 'regionLabels'>;

/**
 * Writes the attributes of series as the encoded fields of a data point, once a series: a Latin-1 string with one character a byte.
 *
 * All of them are attributes of the point, none of the resource, although a pod is one: Prometheus makes labels of a point's attributes
 * only, and would take two pods for one series.
 */
export class AttributeWriter {
  readonly #attributes: readonly { readonly key: Buffer; readonly read: (labels: SeriesLabels) => Value }[];
  #scratch = Buffer.allocUnsafe(2048);

  constructor({ attributeNames, regionLabels, ...choice }: AttributeOptions) {
    const readers = labelReaders(chosenLabels(choice, regionLabels ? REGION_LABELS : []));
    const conventions = attributeNames === 'conventions';
    this.#attributes = CONVENTIONS.flatMap(([label, convention]) => {
      const read = readers.find(({ name }) => name === label)?.read;
      return read === undefined
        ? []
        : [{ key: Buffer.from(conventions ? convention : label), read: readerOf(label, read, conventions) }];
    });
  }

  /** The encoded attributes; empty ones are left out. */
  identityOf(labels: SeriesLabels): string {
    let end = 0;
    for (const { key, read } of this.#attributes) {
      const value = read(labels);
      if (value === '') continue;
      const most = end + mostBytes(key, value);
      if (most > this.#scratch.length) this.#scratch = Buffer.concat([this.#scratch], 2 * most);
      end = writeAttribute(this.#scratch, end, POINT_TAG, key, value);
    }
    return this.#scratch.toString('latin1', 0, end);
  }
}

/** The flag is one; the conventions have protocols in lower case. */
function readerOf(
  label: LabelName,
  read: (labels: SeriesLabels) => string,
  conventions: boolean,
): (labels: SeriesLabels) => Value {
  if (label === 'cross_zone') return (labels) => labels.cross_zone;
  if (label === 'proto' && conventions) return (labels) => read(labels).toLowerCase();
  return read;
}

/** Attributes of a resource, encoded as its fields; empty ones are left out. */
export function encodeResourceAttributes(attributes: Readonly<Record<string, string>>): Buffer {
  const encoded = Object.entries(attributes).flatMap(([name, value]) => {
    if (value === '') return [];
    const key = Buffer.from(name);
    const into = Buffer.allocUnsafe(mostBytes(key, value));
    return [into.subarray(0, writeAttribute(into, 0, RESOURCE_TAG, key, value))];
  });
  return Buffer.concat(encoded);
}

function mostBytes(key: Uint8Array, value: Value): number {
  return key.length + (typeof value === 'string' ? MAX_UTF8_BYTES * value.length : 1) + MAX_FRAME_BYTES;
}

/** Writes a `KeyValue` as a field. @returns its end */
function writeAttribute(into: Buffer, at: number, tag: number, key: Uint8Array, value: Value): number {
  const valueBytes = typeof value === 'string' ? Buffer.byteLength(value) : 1;
  const any = typeof value === 'string' ? 1 + varintLength(valueBytes) + valueBytes : 2;
  let end = at;
  into[end++] = tag;
  end = writeVarint(into, end, 1 + varintLength(key.length) + key.length + 1 + varintLength(any) + any);
  into[end++] = KEY_TAG;
  end = writeVarint(into, end, key.length);
  into.set(key, end);
  end += key.length;
  into[end++] = VALUE_TAG;
  end = writeVarint(into, end, any);
  if (typeof value === 'boolean') {
    into[end++] = BOOL_TAG;
    into[end++] = value ? 1 : 0;
    return end;
  }
  into[end++] = STRING_TAG;
  end = writeVarint(into, end, valueBytes);
  return end + into.write(value, end);
}
