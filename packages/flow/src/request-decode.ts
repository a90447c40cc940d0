import { fromBinary } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { type DeliverRequest, DeliverRequestSchema } from './gen/egressd/stream/v1/stream_pb.ts';

/**
 * The longest Hello or NodeHealth: room for 1,024 namespaces and the 4,096 addresses that earlier collectors send of a node with IPVS.
 * So long may the first message of a stream be.
 */
export const MAX_CONTROL_BYTES = 256 * 1024;
/** Fields of one message, those of the messages in it included. Each may become an object of a hundred bytes, and takes two on the wire. */
export const MAX_FIELDS = 16_384;

/** Bytes that are no DeliverRequest, or one that would take much more memory than its length. */
export class MalformedRequest extends Error {
  override readonly name = 'MalformedRequest';
}

/** Fields whose value is a message. */
interface Inner {
  readonly maxBytes: number;
  readonly fields: ReadonlyMap<number, Inner>;
}

const NO_FIELDS: Inner['fields'] = new Map();
/** By their numbers in `stream.proto`: the kinds of DeliverRequest, and Hello.settings. */
const REQUEST: Inner['fields'] = new Map([
  [1, { maxBytes: MAX_CONTROL_BYTES, fields: new Map([[7, { maxBytes: MAX_CONTROL_BYTES, fields: NO_FIELDS }]]) }],
  [2, { maxBytes: Number.POSITIVE_INFINITY, fields: NO_FIELDS }],
  [3, { maxBytes: MAX_CONTROL_BYTES, fields: NO_FIELDS }],
]);

/**
 * A message of a collector. Its fields are counted on the wire before anything is made of them, and those that this release does not know
 * are not kept: what is allocated is bounded by the length of the message.
 * @throws MalformedRequest
 */
export function decodeRequest(bytes: Uint8Array): DeliverRequest {
  try {
    countFields(new BinaryReader(bytes), bytes.length, REQUEST, MAX_FIELDS);
    return fromBinary(DeliverRequestSchema, bytes, { readUnknownFields: false });
  } catch (error) {
    throw error instanceof MalformedRequest ? error : new MalformedRequest(String(error));
  }
}

/** @returns how many fields are left @throws MalformedRequest where there are none */
function countFields(reader: BinaryReader, end: number, inner: Inner['fields'], most: number): number {
  let left = most;
  while (reader.pos < end) {
    const [field, type] = reader.tag();
    if (--left < 0) throw new MalformedRequest(`it has more than ${MAX_FIELDS} fields`);
    // Nothing of ours is a group, and groups nest without a length.
    if (type === WireType.StartGroup) throw new MalformedRequest('it has a group');
    const message = type === WireType.LengthDelimited ? inner.get(field) : undefined;
    if (message === undefined) reader.skip(type, field);
    else left = countInner(reader, message, left);
  }
  return left;
}

function countInner(reader: BinaryReader, { maxBytes, fields }: Inner, left: number): number {
  const length = reader.uint32();
  if (length > maxBytes) throw new MalformedRequest(`${length} bytes in a message that has no more than ${maxBytes}`);
  const end = reader.pos + length;
  if (end > reader.len) throw new MalformedRequest('a message in it is cut off');
  const rest = countFields(reader, end, fields, left);
  if (reader.pos !== end) throw new MalformedRequest('a field goes beyond its message');
  return rest;
}
