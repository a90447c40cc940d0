import { formatAddress, isV4 } from '@egressd/flow/address';
import { type ConnectionBlock, FLAG, STRIDE, WORD } from './record.ts';

/** Words of a record that a flow is made of: two ends with their ports, two counters. */
interface Flow {
  readonly source: number;
  readonly sourcePort: number;
  readonly destination: number;
  readonly destinationPort: number;
  readonly txBytes: number;
  readonly rxBytes: number;
}

/**
 * The two flows of a record as lines of `-dump-ct`, without an end:
 * `proto=6 src=IP:PORT dst=IP:PORT tx_bytes=N rx_bytes=N expires=DURATION`, forward, then backward. The destination is who
 * really answered. Protocols without ports have 0; so has ICMP.
 */
export function formatRecord(block: ConnectionBlock, index: number): [string, string] {
  const { words } = block;
  const base = index * STRIDE;
  const protocol = words[base + WORD.zoneProtocol]! >>> 16;
  const hasPorts = protocol !== ICMP && protocol !== ICMPV6;
  const forward: Flow = {
    source: base + WORD.originalSource,
    sourcePort: hasPorts ? words[base + WORD.originalPorts]! >>> 16 : 0,
    destination: base + WORD.replySource,
    destinationPort: hasPorts ? words[base + WORD.replyPorts]! >>> 16 : 0,
    txBytes: base + WORD.originalBytes,
    rxBytes: base + WORD.replyBytes,
  };
  const backward: Flow = {
    source: forward.destination,
    sourcePort: forward.destinationPort,
    destination: forward.source,
    destinationPort: forward.sourcePort,
    txBytes: forward.rxBytes,
    rxBytes: forward.txBytes,
  };
  const seconds = (words[base + WORD.flags]! & FLAG.timeout) === 0 ? 0 : words[base + WORD.timeout]!;
  const line = (flow: Flow) => `proto=${protocol} ${formatFlow(words, flow)} expires=${formatSeconds(seconds)}`;
  return [line(forward), line(backward)];
}

const ICMP = 1;
const ICMPV6 = 58;

function formatFlow(words: Uint32Array, flow: Flow): string {
  const source = formatEnd(words, flow.source, flow.sourcePort);
  const destination = formatEnd(words, flow.destination, flow.destinationPort);
  return `src=${source} dst=${destination} tx_bytes=${counter(words, flow.txBytes)} rx_bytes=${counter(words, flow.rxBytes)}`;
}

function formatEnd(words: Uint32Array, address: number, port: number): string {
  const bytes = new Uint8Array(words.buffer, words.byteOffset + 4 * address, 16);
  const text = formatAddress(bytes);
  return isV4(bytes) ? `${text}:${port}` : `[${text}]:${port}`;
}

function counter(words: Uint32Array, low: number): bigint {
  return (BigInt(words[low + 1]!) << 32n) | BigInt(words[low]!);
}

/** Whole seconds as durations are written: `0s`, `59s`, `1m59s`, `23h59m50s`. */
export function formatSeconds(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = `${seconds % 60}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}
