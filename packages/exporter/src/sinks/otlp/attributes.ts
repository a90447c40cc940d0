import { protocolName } from '@egressd/flow/protocol';
import { varintLength, writeVarint } from '@egressd/flow/varint';
import type { SeriesLabels } from '../../aggregate/snapshot.ts';
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

/** One attribute: where it comes from, and its names. */
interface Attribute {
  readonly read: (labels: SeriesLabels) => Value;
  /**
   * https://opentelemetry.io/docs/specs/semconv/: names of a resource, behind the end that they are about (`source`, `destination`, as in
   * `source.address`); ours begin with `egressd`.
   */
  readonly conventions: string;
  /** Of remote write. */
  readonly labels: string;
  /** Only with `regionLabels`. */
  readonly region?: true;
}

const ATTRIBUTES: readonly Attribute[] = [
  ...ofEnd('src', 'source'),
  ...ofEnd('dst', 'destination'),
  { read: (of) => of.dst_ip_type, conventions: 'egressd.destination.ip_type', labels: 'dst_ip_type' },
  { read: (of) => of.cross_zone, conventions: 'egressd.cross_zone', labels: 'cross_zone' },
  { read: (of) => of.scope, conventions: 'egressd.scope', labels: 'scope', region: true },
];

function ofEnd(end: 'src' | 'dst', name: string): Attribute[] {
  return [
    { read: (of) => of[`${end}_ip`], conventions: `${name}.address`, labels: `${end}_ip` },
    { read: (of) => of[`${end}_pod`], conventions: `${name}.k8s.pod.name`, labels: `${end}_pod` },
    { read: (of) => of[`${end}_namespace`], conventions: `${name}.k8s.namespace.name`, labels: `${end}_namespace` },
    { read: (of) => of[`${end}_node`], conventions: `${name}.k8s.node.name`, labels: `${end}_node` },
    { read: (of) => of[`${end}_zone`], conventions: `${name}.cloud.availability_zone`, labels: `${end}_zone` },
    { read: (of) => of[`${end}_region`], conventions: `${name}.cloud.region`, labels: `${end}_region`, region: true },
  ];
}

/**
 * Writes the attributes of series as the encoded fields of a data point, once a series: a Latin-1 string with one character a byte.
 *
 * All of them are attributes of the point, none of the resource, although a pod is one: Prometheus makes labels of a point's attributes
 * only, and would take two pods for one series.
 */
export class AttributeWriter {
  readonly #attributes: readonly { readonly key: Buffer; readonly read: Attribute['read'] }[];
  #scratch = Buffer.allocUnsafe(2048);

  constructor({ attributeNames, regionLabels }: Pick<OtlpSettings, 'attributeNames' | 'regionLabels'>) {
    const protocol = (of: SeriesLabels) => protocolName(of.protocol);
    // The conventions have protocols in lower case.
    const transport: Attribute = {
      read: attributeNames === 'labels' ? protocol : (of) => protocol(of).toLowerCase(),
      conventions: 'network.transport',
      labels: 'proto',
    };
    this.#attributes = [...ATTRIBUTES, transport]
      .filter(({ region = false }) => regionLabels || !region)
      .map((attribute) => ({ key: Buffer.from(attribute[attributeNames]), read: attribute.read }));
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
