import { isV4, parseAddress } from '@egressd/flow/address';

/**
 * Entries of Cilium's maps, as Cilium writes them: bytes by the field names of its own sources, apart from the collector's decoder.
 */

/** Last byte of a key (bpf/lib/conntrack.h of Cilium: TUPLE_F_*). */
export const TUPLE_F = { out: 0, in: 1, related: 2, service: 4 } as const;

/** A connection's ends as they are after a Service was resolved. */
export interface Tuple {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly protocol: number;
  /** Sum of `TUPLE_F`. */
  readonly flags: number;
}

/** `struct ipv4_ct_tuple` or `ipv6_ct_tuple`, packed. */
export function tupleBytes({ source, sourcePort, destination, destinationPort, protocol, flags }: Tuple): Buffer {
  const [from, to] = [parseAddress(source)!, parseAddress(destination)!];
  const first = isV4(from) ? 12 : 0;
  const rest = Buffer.alloc(6);
  rest.writeUInt16BE(destinationPort, 0);
  rest.writeUInt16BE(sourcePort, 2);
  rest.writeUInt8(protocol, 4);
  rest.writeUInt8(flags, 5);
  return Buffer.concat([from.subarray(first), to.subarray(first), rest]);
}

/** Flags of an entry (bit fields of `struct ct_entry`). */
export const ENTRY_BITS = { rxClosing: 1, txClosing: 2, loopback: 8, seenNonSyn: 16, nodePort: 32 } as const;

interface EntryRest {
  readonly lifetime: number;
  readonly bits?: number;
  readonly txFlags?: number;
  readonly rxFlags?: number;
}

/** A `struct ct_entry` with counters of both directions. */
export interface DirectedEntry extends EntryRest {
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly txPackets: number;
  readonly txBytes: number;
}

const ENTRY_BYTES = 56;

function restBytes(entry: Buffer, { lifetime, bits = 0, txFlags = 0, rxFlags = 0 }: EntryRest): Buffer {
  entry.writeUInt32LE(lifetime, 32);
  entry.writeUInt16LE(bits, 36);
  entry.writeUInt8(txFlags, 42);
  entry.writeUInt8(rxFlags, 43);
  return entry;
}

/** `struct ct_entry` up to Cilium 1.15. Bytes are as Cilium counts them: with the Ethernet header. */
export function directedBytes(entry: DirectedEntry): Buffer {
  const bytes = Buffer.alloc(ENTRY_BYTES);
  bytes.writeBigUInt64LE(BigInt(entry.rxPackets), 0);
  bytes.writeBigUInt64LE(BigInt(entry.rxBytes), 8);
  bytes.writeBigUInt64LE(BigInt(entry.txPackets), 16);
  bytes.writeBigUInt64LE(BigInt(entry.txBytes), 24);
  return restBytes(bytes, entry);
}

/** A `struct ct_entry` with one counter of both directions together. */
export interface SummedEntry extends EntryRest {
  readonly packets: number;
  readonly bytes: number;
  readonly backendId?: number;
  /** 16 bytes, from Cilium 1.17 on in OUT entries. */
  readonly natAddress?: Uint8Array;
}

/** `struct ct_entry` from Cilium 1.16 on. */
export function summedBytes({ packets, bytes, backendId = 0, natAddress, ...rest }: SummedEntry): Buffer {
  const entry = Buffer.alloc(ENTRY_BYTES);
  entry.writeBigUInt64LE(BigInt(backendId), 8);
  if (natAddress !== undefined) entry.set(natAddress, 0);
  entry.writeBigUInt64LE(BigInt(packets), 16);
  entry.writeBigUInt64LE(BigInt(bytes), 24);
  return restBytes(entry, rest);
}

/** `struct endpoint_key`. */
export function endpointKey(address: string): Buffer {
  const bytes = parseAddress(address)!;
  const key = Buffer.alloc(20);
  key.set(isV4(bytes) ? bytes.subarray(12) : bytes, 0);
  key.writeUInt8(isV4(bytes) ? 1 : 2, 16);
  return key;
}

/** Size of `struct endpoint_info`. */
export const ENDPOINT_INFO_BYTES = 48;

/** `struct endpoint_info`. */
export function endpointInfo(isHost: boolean): Buffer {
  const info = Buffer.alloc(ENDPOINT_INFO_BYTES);
  info.writeUInt32LE(7, 0);
  info.writeUInt16LE(4711, 6);
  info.writeUInt32LE(isHost ? 1 : 0, 8);
  return info;
}
