import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { type DeliverResponse, DeliverResponseSchema } from './gen/egressd/stream/v1/stream_pb.ts';
import { decodeRequest } from './request-decode.ts';

/** The newest protocol that this release speaks, and the oldest: that of the release before. */
export const PROTOCOL = 1;
export const OLDEST_PROTOCOL = 1;

/** No message may be longer: what the exporter accepts. Collectors stay well below, see `MESSAGE_BYTES`. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** Batches are split into messages of at most this length. */
export const MESSAGE_BYTES = 1024 * 1024;

/** The newest protocol that both sides speak, or undefined where there is none. */
export function agreeProtocol(
  theirs: { newest: number; oldest: number },
  ours: { newest: number; oldest: number } = { newest: PROTOCOL, oldest: OLDEST_PROTOCOL },
): number | undefined {
  const newest = Math.min(theirs.newest, ours.newest);
  return newest >= theirs.oldest && newest >= ours.oldest ? newest : undefined;
}

/**
 * `FlowService` of `stream.proto` in the form that gRPC libraries take a service. Requests travel as bytes on the collector's
 * side, so that a frozen batch is sent again without being encoded again.
 */
export const FLOW_SERVICE = {
  deliver: {
    path: '/egressd.stream.v1.FlowService/Deliver',
    requestStream: true,
    responseStream: true,
    requestSerialize: (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    requestDeserialize: decodeRequest,
    responseSerialize: (message: DeliverResponse): Buffer => encode(DeliverResponseSchema, message),
    responseDeserialize: (bytes: Uint8Array): DeliverResponse =>
      fromBinary(DeliverResponseSchema, bytes, { readUnknownFields: false }),
  },
} as const;

function encode<T extends DescMessage>(schema: T, message: MessageShape<T>): Buffer {
  const bytes = toBinary(schema, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
