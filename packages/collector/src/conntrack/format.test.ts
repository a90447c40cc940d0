import { parseAddress } from '@egressd/flow/address';
import { describe, expect, test } from '@jest/globals';
import { formatRecord, formatSeconds } from './format.ts';
import { FLAG, STRIDE, WORD } from './record.ts';

interface Example {
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  readonly ports?: readonly [source: number, destination: number];
  readonly timeout?: number;
}

/** A record of 1,000 bytes sent and 2^32 + 1 received. */
function block({ protocol, source, destination, ports = [0, 0], timeout }: Example) {
  const words = new Uint32Array(STRIDE);
  const bytes = new Uint8Array(words.buffer);
  words[WORD.zoneProtocol] = protocol << 16;
  bytes.set(parseAddress(source)!, 4 * WORD.originalSource);
  bytes.set(parseAddress(destination)!, 4 * WORD.replySource);
  words[WORD.originalPorts] = (ports[0] << 16) | 80;
  words[WORD.replyPorts] = (ports[1] << 16) | ports[0];
  words[WORD.originalBytes] = 1000;
  words[WORD.replyBytes] = 1;
  words[WORD.replyBytes + 1] = 1;
  words[WORD.timeout] = timeout ?? 4711;
  words[WORD.flags] = FLAG.counters | (timeout === undefined ? 0 : FLAG.timeout);
  return { words, count: 1 };
}

describe('lines of -dump-ct', () => {
  test('forward and backward, with the end that really answered', () => {
    const tcp = {
      protocol: 6,
      source: '10.0.0.1',
      destination: '10.0.0.2',
      ports: [40_001, 8080] as const,
      timeout: 119,
    };
    expect(formatRecord(block(tcp), 0)).toEqual([
      'proto=6 src=10.0.0.1:40001 dst=10.0.0.2:8080 tx_bytes=1000 rx_bytes=4294967297 expires=1m59s',
      'proto=6 src=10.0.0.2:8080 dst=10.0.0.1:40001 tx_bytes=4294967297 rx_bytes=1000 expires=1m59s',
    ]);
  });
  test('IPv6 in brackets; no timeout', () => {
    const [forward] = formatRecord(
      block({ protocol: 17, source: 'fd00::1', destination: '2001:db8::2', ports: [1, 2] }),
      0,
    );
    expect(forward).toBe('proto=17 src=[fd00::1]:1 dst=[2001:db8::2]:2 tx_bytes=1000 rx_bytes=4294967297 expires=0s');
  });
  test('an ICMP id is not a port', () => {
    const [forward] = formatRecord(
      block({ protocol: 1, source: '10.0.0.1', destination: '10.0.0.2', ports: [7, 7] }),
      0,
    );
    expect(forward).toMatch(/^proto=1 src=10.0.0.1:0 dst=10.0.0.2:0 /);
  });
});

test.each([
  [0, '0s'],
  [59, '59s'],
  [60, '1m0s'],
  [119, '1m59s'],
  [3600, '1h0m0s'],
  [86_390, '23h59m50s'],
  [432_000, '120h0m0s'],
])('%d seconds are %s', (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});
