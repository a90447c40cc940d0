import { create, toBinary } from '@bufbuild/protobuf';
import { ADDRESS_BYTES } from './address.ts';
import type { BatchSpan, FlowColumns } from './columns.ts';
import { DeliverRequestSchema } from './gen/egressd/stream/v1/stream_pb.ts';
import { VarintColumn } from './varint.ts';

/** A row cannot take more: two or three addresses of 17 bytes, three indexes of 5, a protocol of 2, SNAT, a port of 3, four counters of 8. */
const MAX_ROW_BYTES = 3 * 17 + 3 * 5 + 2 + 1 + 3 + 4 * 8;
/** Tags, lengths and the numbers of the part itself. */
const PART_OVERHEAD_BYTES = 256;

/**
 * Freezes a batch: the encoded `DeliverRequest` messages, each at most `maxMessageBytes` long (at least one, also for a batch
 * without rows). The same input gives the same bytes.
 * @throws RangeError where `maxMessageBytes` has no room for a single row
 */
export function encodeBatch(span: BatchSpan, columns: FlowColumns, maxMessageBytes: number): Uint8Array[] {
  const room = maxMessageBytes - PART_OVERHEAD_BYTES - MAX_ROW_BYTES;
  if (room < 0) throw new RangeError(`a message of ${maxMessageBytes} bytes has no room for a row`);
  const writer = new PartWriter(columns);
  const messages: Uint8Array[] = [];
  for (let row = 0; row < columns.rows; row++) {
    if (writer.bytes > room) messages.push(writer.take(span, messages.length, false));
    writer.push(row);
  }
  messages.push(writer.take(span, messages.length, true));
  return messages;
}

/** Writes rows into the columns of one part, with a dictionary of just the addresses that they use. */
class PartWriter {
  readonly #flows: FlowColumns;
  /** By index in the flows' addresses: 1 + index in this part's dictionary, 0 where it is not there yet. */
  readonly #local: Uint32Array;
  readonly #used: number[] = [];
  readonly #addresses = new VarintColumn();
  readonly #source = new VarintColumn();
  readonly #destination = new VarintColumn();
  readonly #protocol = new VarintColumn();
  readonly #sourceNat = new VarintColumn();
  readonly #txBytes = new VarintColumn();
  readonly #txPackets = new VarintColumn();
  readonly #rxBytes = new VarintColumn();
  readonly #rxPackets = new VarintColumn();
  readonly #originalDestination = new VarintColumn();
  readonly #originalDestinationPort = new VarintColumn();
  #rows = 0;
  #anySourceNat = false;

  constructor(flows: FlowColumns) {
    this.#flows = flows;
    this.#local = new Uint32Array(flows.addresses.length / ADDRESS_BYTES);
  }

  /** Bytes in the columns so far. */
  get bytes(): number {
    const originalDestination = this.#originalDestination.length + this.#originalDestinationPort.length;
    const counters = this.#txBytes.length + this.#txPackets.length + this.#rxBytes.length + this.#rxPackets.length;
    const ends = this.#addresses.length + this.#source.length + this.#destination.length + this.#protocol.length;
    return ends + counters + this.#sourceNat.length + originalDestination;
  }

  push(row: number): void {
    const flows = this.#flows;
    this.#source.push(this.#indexOf(flows.source[row]!));
    this.#destination.push(this.#indexOf(flows.destination[row]!));
    this.#protocol.push(flows.protocol[row]!);
    this.#sourceNat.push(flows.sourceNat[row]!);
    if (flows.sourceNat[row] !== 0) this.#anySourceNat = true;
    this.#txBytes.push(flows.txBytes[row]!);
    this.#txPackets.push(flows.txPackets[row]!);
    this.#rxBytes.push(flows.rxBytes[row]!);
    this.#rxPackets.push(flows.rxPackets[row]!);
    if (flows.originalDestination !== undefined) {
      const originalDestination = flows.originalDestination.address[row]!;
      this.#originalDestination.push(originalDestination === 0 ? 0 : 1 + this.#indexOf(originalDestination - 1));
      this.#originalDestinationPort.push(flows.originalDestination.port[row]!);
    }
    this.#rows++;
  }

  /** Closes the part and makes room for the next. */
  take(span: BatchSpan, part: number, last: boolean): Uint8Array {
    const sourceNat = this.#sourceNat.take();
    const request = create(DeliverRequestSchema, {
      message: {
        case: 'part',
        value: {
          number: BigInt(span.number),
          part,
          last,
          fromMs: BigInt(span.fromMs),
          toMs: BigInt(span.toMs),
          rows: this.#rows,
          addresses: this.#addresses.take(),
          source: this.#source.take(),
          destination: this.#destination.take(),
          protocol: this.#protocol.take(),
          txBytes: this.#txBytes.take(),
          txPackets: this.#txPackets.take(),
          rxBytes: this.#rxBytes.take(),
          rxPackets: this.#rxPackets.take(),
          originalDestination: this.#originalDestination.take(),
          originalDestinationPort: this.#originalDestinationPort.take(),
          ...(this.#anySourceNat ? { sourceNat } : {}),
        },
      },
    });
    for (const address of this.#used) this.#local[address] = 0;
    this.#used.length = 0;
    this.#rows = 0;
    this.#anySourceNat = false;
    return toBinary(DeliverRequestSchema, request);
  }

  #indexOf(address: number): number {
    const known = this.#local[address]!;
    if (known !== 0) return known - 1;
    this.#pushAddress(address);
    this.#used.push(address);
    this.#local[address] = this.#used.length;
    return this.#used.length - 1;
  }

  /** One byte: how many bytes are shared with the address before; then the rest. */
  #pushAddress(address: number): void {
    const all = this.#flows.addresses;
    const at = address * ADDRESS_BYTES;
    const before = this.#used.at(-1);
    let shared = 0;
    while (
      shared < ADDRESS_BYTES - 1 &&
      all[at + shared] === (before === undefined ? 0 : all[before * ADDRESS_BYTES + shared])
    )
      shared++;
    this.#addresses.pushBytes(shared, all, at + shared, at + ADDRESS_BYTES);
  }
}
