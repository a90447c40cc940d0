import { varintLength, writeVarint } from '@egressd/flow/varint';
import type { SeriesLabels } from '../../aggregate/snapshot.ts';
import type { Frame } from '../delivery/frame.ts';
import type { ItemFormat } from './item-encoder.ts';

/** Wire types of protobuf (https://protobuf.dev/programming-guides/encoding/): the low three bits of a tag. */
const VARINT = 0;
const BYTES = 2;
/** `PodNetworkMetricBatch.items` (proto/egressd/http/v1/metrics.proto). */
const ITEM_TAG = (1 << 3) | BYTES;
/** Labels that `PodNetworkMetric` holds, field 1 first. */
const STRING_FIELDS = [
  'src_ip',
  'src_pod',
  'src_namespace',
  'src_node',
  'src_zone',
  'dst_ip',
  'dst_pod',
  'dst_namespace',
  'dst_node',
  'dst_zone',
] as const satisfies readonly (keyof SeriesLabels)[];
/** `tx_bytes`; the other three follow, in the order of a frame's counters. */
const FIRST_COUNTER_FIELD = 11;
const PROTO_TAG = (15 << 3) | VARINT;
/** The largest double that an int64 holds, in varints of nine bytes. A cumulative counter beyond it stays there. */
const MAX_INT64 = 2 ** 63 - 1024;
/** Of an int64 that is not below zero. */
const MAX_VARINT_BYTES = 9;
/** The most bytes before a string: tag and length. The most that UTF-8 needs for a UTF-16 unit of it. */
const MAX_HEAD_BYTES = 1 + 5;
const MAX_UTF8_BYTES = 3;
/** The most bytes of an item beside its strings: tag and length, four counters, the protocol. */
const MAX_OTHER_BYTES = 1 + 5 + 4 * (1 + MAX_VARINT_BYTES) + 3;

/** Where identities are put together. */
let scratch = Buffer.allocUnsafe(1024);

/**
 * Items of a `PodNetworkMetricBatch`, fields in ascending order. A field that is zero or empty is left out, as proto3 does. What
 * does not change is encoded once, as a Latin-1 string with one character a byte:
 *
 *   identity    fields 1 to 10 ...  | the number of the protocol, one character
 *   item        fields 1 to 10 ...  | fields 11 to 14: counters | field 15: protocol
 */
export const PROTOBUF_ITEMS: ItemFormat = {
  identityOf(labels) {
    const most = STRING_FIELDS.reduce((sum, name) => sum + MAX_HEAD_BYTES + MAX_UTF8_BYTES * labels[name].length, 1);
    if (most > scratch.length) scratch = Buffer.allocUnsafe(2 * most);
    let end = 0;
    for (let at = 0; at < STRING_FIELDS.length; at++)
      end = writeString(scratch, end, at + 1, labels[STRING_FIELDS[at]!]);
    scratch[end++] = labels.protocol;
    return scratch.toString('latin1', 0, end);
  },

  maxBytes: (identity) => identity.length + MAX_OTHER_BYTES,

  write(into, at, frame, row) {
    const identity = frame.identities[row]!;
    const stringBytes = identity.length - 1;
    const protocol = identity.charCodeAt(stringBytes);
    let end = at;
    into[end++] = ITEM_TAG;
    end = writeVarint(into, end, stringBytes + countersLength(frame, row) + numberLength(protocol));
    end += into.write(identity, end, stringBytes, 'latin1');
    end = writeCounters(into, end, frame, row);
    if (protocol === 0) return end;
    into[end++] = PROTO_TAG;
    return writeVarint(into, end, protocol);
  },
};

/** A string field; none where it is empty. @returns its end */
function writeString(into: Buffer, at: number, field: number, value: string): number {
  if (value === '') return at;
  into[at] = (field << 3) | BYTES;
  const end = writeVarint(into, at + 1, Buffer.byteLength(value));
  return end + into.write(value, end);
}

function writeCounters(into: Buffer, at: number, { values, width }: Frame, row: number): number {
  let end = at;
  for (let counter = 0; counter < width; counter++) {
    const value = Math.min(values[row * width + counter]!, MAX_INT64);
    if (value === 0) continue;
    into[end++] = ((FIRST_COUNTER_FIELD + counter) << 3) | VARINT;
    end = writeVarint(into, end, value);
  }
  return end;
}

function countersLength({ values, width }: Frame, row: number): number {
  let length = 0;
  for (let unit = row * width; unit < (row + 1) * width; unit++)
    length += numberLength(Math.min(values[unit]!, MAX_INT64));
  return length;
}

/** Bytes of a number's field: tag and varint; none where it is zero. */
function numberLength(value: number): number {
  return value === 0 ? 0 : 1 + varintLength(value);
}
