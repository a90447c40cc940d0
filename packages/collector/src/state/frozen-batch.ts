import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { encodeBatch } from '@egressd/flow/batch-encode';
import { Bug } from '@egressd/flow/bug';
import type { BatchSpan, FlowColumns } from '@egressd/flow/columns';
import { DeliverRequestSchema } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { MESSAGE_BYTES } from '@egressd/flow/service';

/** A batch that never changes again: sent twice, it is the same to the byte. */
export interface FrozenBatch {
  /** 1, 2, 3 ... within an epoch. */
  readonly number: number;
  /** Encoded `DeliverRequest` messages, in order. */
  readonly messages: readonly Uint8Array[];
  /** Length of all messages. */
  readonly bytes: number;
  readonly rows: number;
  /** L3 bytes that the rows account for, both directions: what is lost where the exporter rejects the batch. */
  readonly flowBytes: number;
  /** When it was frozen: Unix milliseconds. */
  readonly frozenMs: number;
}

/** Freezes the rows of one span. */
export function freezeBatch(
  span: BatchSpan,
  columns: FlowColumns,
  nowMs: number,
  messageBytes = MESSAGE_BYTES,
): FrozenBatch {
  const messages = encodeBatch(span, columns, messageBytes);
  let flowBytes = 0;
  for (let row = 0; row < columns.rows; row++) flowBytes += columns.txBytes[row]! + columns.rxBytes[row]!;
  return { number: span.number, messages, bytes: lengthOf(messages), rows: columns.rows, flowBytes, frozenMs: nowMs };
}

/** The same rows under another number: only for a batch that was never sent under its own. */
export function renumbered(batch: FrozenBatch, number: number): FrozenBatch {
  const messages = batch.messages.map((bytes) => {
    const request = fromBinary(DeliverRequestSchema, bytes);
    if (request.message.case !== 'part') throw new Bug(`a ${request.message.case} in batch ${batch.number}`);
    request.message.value.number = BigInt(number);
    return toBinary(DeliverRequestSchema, request);
  });
  return { ...batch, number, messages, bytes: lengthOf(messages) };
}

function lengthOf(messages: readonly Uint8Array[]): number {
  return messages.reduce((sum, message) => sum + message.length, 0);
}
