import { ADDRESS_BYTES } from './address.ts';
import type { BatchSpan, FlowColumns } from './columns.ts';
import { areDistinct } from './distinct.ts';
import type { BatchPart } from './gen/egressd/stream/v1/stream_pb.ts';
import { readVarints } from './varint.ts';

/** A part whose bytes are not what `stream.proto` says. */
export class MalformedBatch extends Error {
  override readonly name = 'MalformedBatch';
}

/** The number and times of a part's batch. @throws MalformedBatch where they cannot be */
export function decodeSpan(part: BatchPart): BatchSpan {
  const span = { number: Number(part.number), fromMs: Number(part.fromMs), toMs: Number(part.toMs) };
  if (!Number.isSafeInteger(span.number) || span.number < 1) throw new MalformedBatch(`number is ${part.number}`);
  if (!Number.isSafeInteger(span.toMs) || span.fromMs > span.toMs)
    throw new MalformedBatch(`times are ${part.fromMs} to ${part.toMs}`);
  return span;
}

/**
 * The rows of a part. What is allocated is bounded by the length of the message.
 * @throws MalformedBatch where a column is too short or too long, or an index points outside the dictionary
 */
export function decodePart(part: BatchPart): FlowColumns {
  const rows = part.rows;
  // Every number takes a byte at least: a message that claims more rows than that would only make us allocate.
  if (rows > part.source.length) throw new MalformedBatch(`claims ${rows} rows in ${part.source.length} bytes`);
  const original = part.originalDestination.length > 0 || part.originalDestinationPort.length > 0;
  const addresses = decodeAddresses(part.addresses, rows * (original ? 3 : 2));
  const count = addresses.length / ADDRESS_BYTES;
  const column = <T extends Float64Array | Uint32Array | Uint16Array | Uint8Array>(
    name: string,
    bytes: Uint8Array,
    into: T,
    max: number,
  ): T => {
    const wrong = readVarints(bytes, into, max);
    if (wrong !== undefined) throw new MalformedBatch(`column ${name} ${wrong}`);
    return into;
  };
  // No connection moves 2^53 between two batches: such a counter is capped, and costs no other pair its bytes.
  const counter = (name: string, bytes: Uint8Array) => {
    const into = column(name, bytes, new Float64Array(rows), Number.MAX_VALUE);
    for (let row = 0; row < rows; row++) if (into[row]! > Number.MAX_SAFE_INTEGER) into[row] = Number.MAX_SAFE_INTEGER;
    return into;
  };
  const columns = {
    rows,
    addresses,
    source: column('source', part.source, new Uint32Array(rows), count - 1),
    destination: column('destination', part.destination, new Uint32Array(rows), count - 1),
    protocol: column('protocol', part.protocol, new Uint8Array(rows), 255),
    // Left out where no row has it, and by collectors that do not know it.
    sourceNat:
      part.sourceNat.length === 0
        ? new Uint8Array(rows)
        : column('source_nat', part.sourceNat, new Uint8Array(rows), 1),
    txBytes: counter('tx_bytes', part.txBytes),
    txPackets: counter('tx_packets', part.txPackets),
    rxBytes: counter('rx_bytes', part.rxBytes),
    rxPackets: counter('rx_packets', part.rxPackets),
  };
  const ends = [columns.source, columns.destination];
  if (!original) return allUsed(columns, count, ends);
  const address = column('original_destination', part.originalDestination, new Uint32Array(rows), count);
  const port = column('original_destination_port', part.originalDestinationPort, new Uint16Array(rows), 65535);
  return allUsed({ ...columns, originalDestination: { address, port } }, count, ends, address);
}

/** Every address is used by a row: one that is not would only cost memory. @param original 1 + index, or 0 */
function allUsed(
  columns: FlowColumns,
  count: number,
  ends: readonly Uint32Array[],
  original?: Uint32Array,
): FlowColumns {
  const used = new Uint8Array(count);
  for (const end of ends) for (let row = 0; row < end.length; row++) used[end[row]!] = 1;
  if (original !== undefined)
    for (let row = 0; row < original.length; row++) if (original[row] !== 0) used[original[row]! - 1] = 1;
  if (used.includes(0)) throw new MalformedBatch('an address of its dictionary is in no row');
  return columns;
}

/** The dictionary, 16 bytes an address: see `BatchPart.addresses`. @param most addresses that the rows can name */
function decodeAddresses(bytes: Uint8Array, most: number): Uint8Array {
  const count = countAddresses(bytes);
  if (count > most) throw new MalformedBatch(`${count} addresses for rows that name ${most} at the most`);
  const into = new Uint8Array(count * ADDRESS_BYTES);
  let out = 0;
  for (let at = 0; at < bytes.length; out += ADDRESS_BYTES) {
    const shared = bytes[at++]!;
    for (let i = 0; i < shared; i++) into[out + i] = out === 0 ? 0 : into[out - ADDRESS_BYTES + i]!;
    for (let i = shared; i < ADDRESS_BYTES; i++) into[out + i] = bytes[at++]!;
  }
  if (!areDistinct(into)) throw new MalformedBatch('its dictionary has an address twice');
  return into;
}

function countAddresses(bytes: Uint8Array): number {
  let count = 0;
  let at = 0;
  for (; at < bytes.length; count++) {
    const shared = bytes[at]!;
    if (shared >= ADDRESS_BYTES) throw new MalformedBatch(`an address shares ${shared} bytes with the one before`);
    at += 1 + ADDRESS_BYTES - shared;
  }
  if (at !== bytes.length) throw new MalformedBatch('the dictionary of addresses is cut off');
  return count;
}
