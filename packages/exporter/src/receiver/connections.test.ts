import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { type ConnectionLimits, Connections } from './connections.ts';
import { filesForConnections, shareFiles } from './open-files.ts';
import { streamLimit } from './stream-limit.ts';

const LIMITS: ConnectionLimits = { all: 4, perAddress: 3, graceMs: 1_000, idleMs: 10_000 };

/** A socket as far as limits see it. */
class FakeSocket extends EventEmitter {
  destroyed = false;
  readonly remoteAddress: string;
  readonly remotePort: number;

  constructor(remoteAddress: string, remotePort: number) {
    super();
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

/** Connections, and what was refused, as `peer reason`. */
function make() {
  const refused: string[] = [];
  const connections = new Connections(LIMITS, (reason, peer) => refused.push(`${peer} ${reason}`));
  let port = 0;
  const open = (address: string) => {
    const socket = new FakeSocket(address, ++port);
    connections.open(socket as unknown as Socket);
    return socket;
  };
  return { connections, refused, open };
}

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

describe('a connection', () => {
  test('without an accepted stream ends', () => {
    const { connections, refused, open } = make();
    open('a');
    jest.advanceTimersByTime(9_999);
    expect(connections.size).toBe(1);
    jest.advanceTimersByTime(1);
    expect([connections.size, refused]).toEqual([0, ['a:1 idle']]);
  });

  test('with one stays, until some time after the stream', () => {
    const { connections, refused, open } = make();
    open('a');
    connections.accepted('a:1');
    jest.advanceTimersByTime(100_000);
    expect(connections.size).toBe(1);
    connections.ended('a:1');
    jest.advanceTimersByTime(10_000);
    expect(refused).toEqual(['a:1 idle']);
  });

  test('with two stays while one is open', () => {
    const { connections, open } = make();
    open('a');
    for (const _ of [1, 2]) connections.accepted('a:1');
    connections.ended('a:1');
    jest.advanceTimersByTime(100_000);
    expect(connections.size).toBe(1);
  });
});

describe('too many without an accepted stream', () => {
  test('of one address: young ones stay, the next is refused', () => {
    const { refused, open } = make();
    for (const _ of [1, 2, 3, 4]) open('a');
    expect(refused).toEqual(['a:4 address_limit']);
  });

  test('of one address: after a while the oldest makes room', () => {
    const { refused, open } = make();
    for (const _ of [1, 2, 3]) open('a');
    jest.advanceTimersByTime(1_000);
    expect(open('a').destroyed).toBe(false);
    expect(refused).toEqual(['a:1 address_limit']);
  });

  test('in all: who has most makes room', () => {
    const { refused, open } = make();
    for (const address of ['a', 'a', 'a', 'b', 'c']) open(address);
    expect(refused).toEqual(['a:1 limit']);
  });

  test('do not count once they have a stream, or are gone', () => {
    const { connections, refused, open } = make();
    for (let i = 1; i <= 20; i++) {
      const socket = open('a');
      if (i % 2 === 0) connections.accepted(`a:${i}`);
      else socket.destroy();
    }
    expect([connections.size, refused]).toEqual([10, []]);
  });
});

test.each([
  [1_048_576, 1_047_552],
  [20_000, 18_976],
  [1_024, 512],
  [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
])('of %d descriptors connections take at most %d', (limit, expected) =>
  expect(filesForConnections(limit)).toBe(expected),
);

test.each([
  [1024, { untrusted: 128, streams: 384 }],
  [4096, { untrusted: 768, streams: 2304 }],
  [1_048_576, { untrusted: 1024, streams: 1_046_528 }],
])('with %d descriptors some are left for untrusted connections and for streams', (limit, expected) =>
  expect(shareFiles(1024, limit)).toEqual(expected),
);

test.each([
  [7000, 1024, { streams: 384, by: 'open_files' }],
  [7000, 1_048_576, { streams: 7000, by: 'memory' }],
  [384, 1024, { streams: 384, by: 'memory' }],
])('memory for %d streams and %d descriptors: the lesser of both, and which', (byMemory, files, expected) =>
  expect(streamLimit(byMemory, shareFiles(1024, files))).toEqual(expected),
);
