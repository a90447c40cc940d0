import { fromBinary } from '@bufbuild/protobuf';
import { BatchAssembly } from '@egressd/exporter/receiver/batch-assembly';
import { readHello } from '@egressd/exporter/receiver/hello';
import { ADDRESS_BYTES } from '@egressd/flow/address';
import { decodePart } from '@egressd/flow/batch-decode';
import { encodeBatch } from '@egressd/flow/batch-encode';
import type { BatchSpan, FlowColumns } from '@egressd/flow/columns';
import { emptyColumns } from '@egressd/flow/columns';
import { type DeliverRequest, DeliverRequestSchema } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { readNodeHealth } from '@egressd/flow/node-health';
import { decodeRequest } from '@egressd/flow/request-decode';
import { MESSAGE_BYTES } from '@egressd/flow/service';
import { must, mustEqual, type Target } from '../target.ts';

const SPAN: BatchSpan = { number: 7, fromMs: 1_700_000_000_000, toMs: 1_700_000_005_000 };

/** A message of a collector's stream: Hello, a part of a batch, NodeHealth. */
export const BATCH: Target = {
  name: 'batch',
  about: 'a message of a collector: Hello, a part of a batch, NodeHealth',
  seeds: () => [...encodeBatch(SPAN, columns(false), MESSAGE_BYTES), ...encodeBatch(SPAN, columns(true), 400), HELLO],
  run(input) {
    let request: DeliverRequest;
    try {
      request = decodeRequest(input);
    } catch {
      return; // The receiver ends the stream of one that sends this.
    }
    const { message } = request;
    if (message.case === 'hello') readHello(message.value, '10.0.0.1:4711', { kind: 'any' });
    if (message.case === 'health') readNodeHealth(message.value);
    if (message.case !== 'part') return;
    const assembly = new BatchAssembly();
    const assembled = assembly.push(message.value, input.length);
    if (assembled.kind === 'whole') for (const part of assembled.parts) check(assembled.span, part, input.length);
    must(assembled.kind === 'more' || assembly.bytes === 0, 'a batch that is over still takes memory');
  },
};

/** What was taken for good can be used without a further look, and says the same when it is sent on. */
function check(span: BatchSpan, part: FlowColumns, bytes: number): void {
  const addresses = part.addresses.length / ADDRESS_BYTES;
  must(Number.isInteger(addresses), 'an address is cut off');
  must(part.rows <= bytes, 'more rows than bytes');
  const { originalDestination, rows, addresses: _, ...rest } = part;
  for (const [name, column] of Object.entries({ ...rest, ...originalDestination })) {
    must(column.length === rows, `column ${name} has ${column.length} of ${rows} rows`);
    must(column.every(Number.isSafeInteger), `column ${name} holds what is no number`);
  }
  must(
    part.source.every((index) => index < addresses) && part.destination.every((index) => index < addresses),
    'an index beyond the dictionary',
  );
  must(
    originalDestination?.address.every((index) => index <= addresses) ?? true,
    'an original destination beyond the dictionary',
  );
  const again = encodeBatch(span, part, MESSAGE_BYTES).map((message) => {
    const { message: read } = fromBinary(DeliverRequestSchema, message);
    return decodePart(read.value as Parameters<typeof decodePart>[0]);
  });
  mustEqual(again.flatMap(rowsOf), rowsOf(part), 'sent on, a batch says something else');
}

function rowsOf(part: FlowColumns): unknown[] {
  const addressAt = (index: number) =>
    Buffer.from(part.addresses.subarray(index * ADDRESS_BYTES, (index + 1) * ADDRESS_BYTES)).toString('hex');
  return Array.from(part.source, (source, row) => {
    const originalDestination = part.originalDestination?.address[row] ?? 0;
    return [
      addressAt(source),
      addressAt(part.destination[row]!),
      part.protocol[row],
      part.sourceNat[row],
      ...[part.txBytes[row], part.txPackets[row], part.rxBytes[row], part.rxPackets[row]],
      ...(originalDestination === 0 ? [] : [addressAt(originalDestination - 1)]),
      part.originalDestination?.port[row],
    ];
  });
}

const ROWS = 5;

function columns(originalDestination: boolean): FlowColumns {
  const filled = emptyColumns(ROWS, ROWS + 1, originalDestination);
  for (let i = 0; i <= ROWS; i++)
    filled.addresses.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 0, i], i * ADDRESS_BYTES);
  for (let row = 0; row < ROWS; row++) {
    filled.source[row] = row;
    filled.destination[row] = row + 1;
    filled.protocol[row] = 6;
    filled.sourceNat[row] = row % 2;
    filled.txBytes[row] = 10 ** (row * 3);
    filled.rxPackets[row] = row;
    if (filled.originalDestination === undefined) continue;
    filled.originalDestination.address[row] = row;
    filled.originalDestination.port[row] = 443;
  }
  return filled;
}

/** Hello of protocol 1: node, boot id and epoch in their fields. */
const HELLO = new Uint8Array(
  Buffer.from('\x0a\x16\x08\x01\x10\x01\x1a\x06node-a\x22\x01b\x2a\x01n\x32\x01v\x3a\x00', 'latin1'),
);
