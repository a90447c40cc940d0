import { isV4, parseAddress } from '@egressd/flow/address';

/** IP protocol numbers (IANA) of the packets made here. */
export const PROTOCOL = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  dccp: 33,
  gre: 47,
  esp: 50,
  icmpv6: 58,
  ospf: 89,
  sctp: 132,
  udplite: 136,
} as const;

/** One end of a packet. */
export interface End {
  readonly address: string;
  readonly port?: number;
}

/** An IP packet without options. Checksums inside the payload are left out: the kernel that tracks does not check them. */
function packet(protocol: number, source: End, destination: End, payload: Uint8Array): Uint8Array {
  const [from, to] = [parseAddress(source.address)!, parseAddress(destination.address)!];
  return isV4(from) ? packetV4(protocol, from, to, payload) : packetV6(protocol, from, to, payload);
}

/** RFC 791, 3.1. The kernel fills in length and checksum. */
function packetV4(protocol: number, from: Uint8Array, to: Uint8Array, payload: Uint8Array): Uint8Array {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + payload.length, 2);
  header[8] = 64;
  header[9] = protocol;
  header.set(from.subarray(12), 12);
  header.set(to.subarray(12), 16);
  return Buffer.concat([header, payload]);
}

/** RFC 8200, 3. */
function packetV6(protocol: number, from: Uint8Array, to: Uint8Array, payload: Uint8Array): Uint8Array {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(payload.length, 4);
  header[6] = protocol;
  header[7] = 64;
  header.set(from, 8);
  header.set(to, 24);
  return Buffer.concat([header, payload]);
}

function ports(source: End, destination: End, rest: Uint8Array): Uint8Array {
  const header = Buffer.alloc(4);
  header.writeUInt16BE(source.port ?? 0, 0);
  header.writeUInt16BE(destination.port ?? 0, 2);
  return Buffer.concat([header, rest]);
}

type TcpFlag = 'syn' | 'synAck' | 'ack';
const TCP_FLAGS: Record<TcpFlag, number> = { syn: 0x02, synAck: 0x12, ack: 0x10 };

/** A TCP segment (RFC 9293, 3.1) of the first three of a connection, or with data after them. */
export function tcp(source: End, destination: End, flag: TcpFlag, data = 0): Uint8Array {
  const rest = Buffer.alloc(16 + data);
  rest.writeUInt32BE(flag === 'syn' ? 1000 : flag === 'synAck' ? 5000 : 1001, 0);
  rest.writeUInt32BE(flag === 'syn' ? 0 : flag === 'synAck' ? 1001 : 5001, 4);
  rest[8] = 0x50;
  rest[9] = TCP_FLAGS[flag];
  rest.writeUInt16BE(65_000, 10);
  return packet(PROTOCOL.tcp, source, destination, ports(source, destination, rest));
}

/** A datagram of UDP (RFC 768) or UDP-Lite (RFC 3828), whose length field is the coverage: 0 is all. */
export function udp(source: End, destination: End, data: number, lite = false): Uint8Array {
  const rest = Buffer.alloc(4 + data);
  rest.writeUInt16BE(lite ? 0 : 8 + data, 0);
  if (lite) rest.writeUInt16BE(0xffff, 2);
  return packet(lite ? PROTOCOL.udplite : PROTOCOL.udp, source, destination, ports(source, destination, rest));
}

/** An SCTP packet with an INIT or INIT ACK chunk (RFC 9260, 3.3.2). */
export function sctp(source: End, destination: End, kind: 'init' | 'initAck'): Uint8Array {
  const rest = Buffer.alloc(8 + 20);
  if (kind === 'initAck') rest.writeUInt32BE(0x1111, 0);
  rest[8] = kind === 'init' ? 1 : 2;
  rest.writeUInt16BE(20, 10);
  rest.writeUInt32BE(kind === 'init' ? 0x1111 : 0x2222, 12);
  rest.writeUInt32BE(65_535, 16);
  rest.writeUInt16BE(1, 20);
  rest.writeUInt16BE(1, 22);
  return packet(PROTOCOL.sctp, source, destination, ports(source, destination, rest));
}

/** A DCCP request (RFC 4340, 5). */
export function dccp(source: End, destination: End): Uint8Array {
  const rest = Buffer.alloc(16);
  rest[0] = 5;
  rest[4] = 0x01;
  return packet(PROTOCOL.dccp, source, destination, ports(source, destination, rest));
}

/** GRE (RFC 2784), or its second version with a call id (RFC 2637, 4.1). */
export function gre(source: End, destination: End, callId?: number): Uint8Array {
  const header = Buffer.alloc(callId === undefined ? 4 : 12);
  header.writeUInt16BE(callId === undefined ? 0 : 0x3001, 0);
  header.writeUInt16BE(callId === undefined ? 0x0800 : 0x880b, 2);
  if (callId !== undefined) header.writeUInt16BE(callId, 6);
  return packet(PROTOCOL.gre, source, destination, header);
}

/** An echo request or reply (RFC 792; RFC 4443, 4). */
export function echo(source: End, destination: End, kind: 'request' | 'reply', id: number): Uint8Array {
  const v6 = source.address.includes(':');
  const body = Buffer.alloc(16);
  body[0] = kind === 'request' ? (v6 ? 128 : 8) : v6 ? 129 : 0;
  body.writeUInt16BE(id, 4);
  return packet(v6 ? PROTOCOL.icmpv6 : PROTOCOL.icmp, source, destination, body);
}

/** A packet of a protocol that the kernel knows nothing of. */
export function other(protocol: number, source: End, destination: End, data: number): Uint8Array {
  return packet(protocol, source, destination, Buffer.alloc(data));
}
