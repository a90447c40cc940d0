import type { ConnectionBlock } from './record.ts';
import { type RecordFields, recordFields } from './record-fields.ts';

/** Protocols whose words for ports hold something else (IANA). */
const ICMP = 1;
const ICMPV6 = 58;

/**
 * The two flows of a record as lines of `-dump-ct`, without an end:
 * `proto=6 src=IP:PORT dst=IP:PORT tx_bytes=N rx_bytes=N expires=DURATION`, forward, then backward. The destination is the one that
 * really answered. Protocols without ports have port 0. A connection without a timeout, since hardware or the kernel's flow
 * table forwards it, expires in `0s`.
 */
export function formatRecord(block: ConnectionBlock, index: number): [forward: string, backward: string] {
  const record = recordFields(block, index);
  const { protocol, originalBytes, replyBytes } = record;
  const source = formatEnd(record.originalSource, port(record, 'originalPorts'));
  const destination = formatEnd(record.replySource, port(record, 'replyPorts'));
  const expires = formatSeconds(record.timeout ?? 0);
  return [
    `proto=${protocol} src=${source} dst=${destination} tx_bytes=${originalBytes} rx_bytes=${replyBytes} expires=${expires}`,
    `proto=${protocol} src=${destination} dst=${source} tx_bytes=${replyBytes} rx_bytes=${originalBytes} expires=${expires}`,
  ];
}

function port(record: RecordFields, tuple: 'originalPorts' | 'replyPorts'): number {
  return record.protocol === ICMP || record.protocol === ICMPV6 ? 0 : record[tuple][0];
}

function formatEnd(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Whole seconds as durations are written: `0s`, `59s`, `1m59s`, `23h59m50s`. */
export function formatSeconds(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = `${seconds % 60}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}
