import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { EventSocket } from '../../native/event-socket.ts';
import { STRIDE } from '../record.ts';
import { type RecordFields, recordFields } from '../record-fields.ts';
import { createShapes } from './attributes.ts';
import { BufferPool } from './buffer-pool.ts';
import { decodeDestroyEvents, newDestroyEvents } from './decode-events.ts';
import { EventReader } from './events.ts';

const FILE = new URL('./testdata/destroy-events.json', import.meta.url);
const { recordings } = JSON.parse(readFileSync(FILE, 'utf8')) as { recordings: { name: string; datagram: string }[] };
const recorded = (name: string) => Buffer.from(recordings.find((one) => one.name === name)!.datagram, 'hex');

/** Words of datagrams one behind the other. */
function asWords(...datagrams: Buffer[]): Uint32Array {
  const bytes = Buffer.concat(datagrams);
  const words = new Uint32Array(Math.ceil(bytes.length / 4));
  new Uint8Array(words.buffer).set(bytes);
  return words;
}

function decode(datagram: Buffer) {
  const events = newDestroyEvents(createShapes());
  const words = new Uint32Array(4 * STRIDE);
  decodeDestroyEvents(events, asWords(datagram), datagram.length, words);
  expect(events.at).toBe(datagram.length);
  const records = Array.from({ length: events.count }, (_, i) => recordFields({ words, count: events.count }, i));
  return { records, deleted: events.deleted, skipped: events.skipped };
}

describe('a DESTROY event of a real kernel', () => {
  test('of a connection that was refused', () => {
    const { records, deleted } = decode(recorded('refused-tcp-v4'));
    expect(records).toMatchObject([
      {
        protocol: 6,
        originalSource: '10.77.0.2',
        originalPorts: [34230, 81],
        originalPackets: 1n,
        originalBytes: 60n,
        replyPackets: 1n,
        replyBytes: 40n,
        start: 1795320934029334068n,
      },
    ]);
    expect(deleted).toBe(0);
  });
  test('of one that a process deleted', () => {
    const { records, deleted } = decode(recorded('deleted-udp-v6'));
    expect(records).toMatchObject([{ protocol: 17, originalSource: 'fd77::2', originalBytes: 49n, replyBytes: 0n }]);
    expect(deleted).toBe(1);
  });
  test('without a start time', () => {
    const [record] = decode(recorded('no-timestamp')).records as [RecordFields];
    expect([record.start, record.originalBytes]).toEqual([undefined, 60n]);
  });
  test('without counters', () => {
    const { records, skipped } = decode(recorded('no-counters'));
    expect([records.length, skipped.no_counters]).toEqual([0, 1]);
  });
});

describe('what is not a DESTROY event', () => {
  const changed = (at: number, value: number) => {
    const datagram = recorded('refused-tcp-v4');
    datagram.writeUInt16LE(value, at);
    return datagram;
  };
  test('another message is passed over', () => {
    const { records, skipped } = decode(changed(4, 0x0100));
    expect([records.length, skipped.undecodable]).toEqual([0, 0]);
  });
  test.each([
    ['longer than its datagram', changed(0, 5000)],
    ['shorter than its header', changed(0, 8)],
    ['cut off', recorded('refused-tcp-v4').subarray(0, 12)],
  ])('%s: counted as undecodable', (_, datagram) => expect(decode(datagram).skipped.undecodable).toBe(1));
});

/** A socket that gives these at each receive call, in this order. */
function socketOf(...received: (Buffer[] | 'overrun')[]): EventSocket {
  let now: Buffer[] = [];
  const datagrams = [0, 1, 2].map(() => new Uint32Array(512));
  return {
    fd: -1,
    inode: 0,
    datagrams,
    receive() {
      const next = received.shift() ?? [];
      if (next === 'overrun') return next;
      now = next;
      for (const [i, one] of now.entries()) new Uint8Array(datagrams[i]!.buffer).set(one);
      return now.length;
    },
    lengthOf: (i) => now[i]!.length,
    close() {},
  };
}

/** A pool of one block of so many records, with the counts that were given. */
function poolOf(records: number) {
  const given: number[] = [];
  const pool = new BufferPool([new Uint32Array(records * STRIDE)], 0, 1, (_, count) => void given.push(count));
  return { pool, given };
}

describe('a drain', () => {
  const one = recorded('refused-tcp-v4');
  const deleted = recorded('deleted-udp-v6');

  test('delivers all that is there in one block', async () => {
    const { pool, given } = poolOf(8);
    const reader = new EventReader(socketOf([one, deleted], [one]), pool, () => 0);
    await reader.drain();
    expect(given).toEqual([3]);
    expect(reader.report()).toMatchObject({ deleted: 1, overruns: 0 });
    expect(reader.report()).toBeUndefined();
  });

  test('takes no block where nothing is there', async () => {
    const { pool, given } = poolOf(8);
    await new EventReader(socketOf(), pool, () => 0).drain();
    expect(given).toEqual([]);
  });

  test('waits while every block is on its way, and is one drain all the while', async () => {
    const { pool, given } = poolOf(2);
    const reader = new EventReader(socketOf([one, one, one], [one]), pool, () => 0);
    const first = reader.drain();
    expect(reader.drain()).toBe(first);
    for (let i = 0; i < 5; i++) await Promise.resolve();
    expect(given).toEqual([2]);
    pool.recycle(0);
    await reader.drained();
    expect(given).toEqual([2, 2]);
  });

  test('counts overruns, and what the kernel lost with each', async () => {
    const { pool, given } = poolOf(8);
    const lost = [5, 12];
    const reader = new EventReader(socketOf('overrun', [one], [], 'overrun', [one]), pool, () => lost.shift());
    await reader.drain();
    expect(reader.report()).toMatchObject({ overruns: 1, lost: 5 });
    pool.recycle(0);
    await reader.drain();
    expect(reader.report()).toMatchObject({ overruns: 1, lost: 7 });
    expect(given).toEqual([1, 1]);
  });
});
