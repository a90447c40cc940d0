import { formatAddress } from '@egressd/flow/address';
import { type ConnectionBlock, FLAG, STRIDE, WORD } from './record.ts';

/** A record for people: `-dump-ct`, logs and tests. What the kernel did not send is undefined. */
export interface RecordFields {
  readonly zone: number;
  readonly protocol: number;
  readonly originalSource: string;
  readonly originalDestination: string;
  readonly replySource: string;
  readonly replyDestination: string;
  /** As word 9 of a record has them: ports, or id, type and code of ICMP. */
  readonly originalPorts: readonly [high: number, low: number];
  readonly replyPorts: readonly [high: number, low: number];
  readonly originalPackets: bigint;
  readonly originalBytes: bigint;
  readonly replyPackets: bigint;
  readonly replyBytes: bigint;
  readonly status: number;
  /** SNAT: the reply goes to another address than the original source. */
  readonly sourceNat: boolean;
  /** Seconds until it expires. */
  readonly timeout: number | undefined;
  /** ns since the epoch. */
  readonly start: bigint | undefined;
}

/** The fields of one record of a block. */
export function recordFields({ words }: ConnectionBlock, index: number): RecordFields {
  const base = index * STRIDE;
  const word = (at: number) => words[base + at]!;
  const wide = (at: number) => (BigInt(word(at + 1)) << 32n) | BigInt(word(at));
  const ports = (at: number) => [word(at) >>> 16, word(at) & 0xffff] as const;
  const bytes = new Uint8Array(words.buffer, words.byteOffset + 4 * base, 4 * STRIDE);
  const address = (at: number) => formatAddress(bytes, 4 * at);
  return {
    zone: word(WORD.zoneProtocol) & 0xffff,
    protocol: word(WORD.zoneProtocol) >>> 16,
    originalSource: address(WORD.originalSource),
    originalDestination: address(WORD.originalDestination),
    replySource: address(WORD.replySource),
    replyDestination: address(WORD.replyDestination),
    originalPorts: ports(WORD.originalPorts),
    replyPorts: ports(WORD.replyPorts),
    originalPackets: wide(WORD.originalPackets),
    originalBytes: wide(WORD.originalBytes),
    replyPackets: wide(WORD.replyPackets),
    replyBytes: wide(WORD.replyBytes),
    status: word(WORD.status),
    sourceNat: (word(WORD.flags) & FLAG.sourceNat) !== 0,
    timeout: (word(WORD.flags) & FLAG.timeout) === 0 ? undefined : word(WORD.timeout),
    start: (word(WORD.flags) & FLAG.start) === 0 ? undefined : wide(WORD.identity),
  };
}
