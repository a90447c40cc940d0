import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { EventSocket } from '../../native/event-socket.ts';
import { STRIDE } from '../record.ts';
import { type RecordFields, recordFields } from '../record-fields.ts';
import { createShapes } from './attributes.ts';
import { decodeEvents, startEnds } from './decode-events.ts';
import type { Blocks } from './dump.ts';
import { EndReader } from './events.ts';

const FILE = new URL('./testdata/ends.json', import.meta.url);
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
  const ends = startEnds(createShapes());
  const words = new Uint32Array(4 * STRIDE);
  decodeEvents(ends, asWords(datagram), datagram.length, words);
  expect(ends.at).toBe(datagram.length);
  const records = Array.from({ length: ends.count }, (_, i) => recordFields({ words, count: ends.count }, i));
  return { records, deleted: ends.deleted, skipped: ends.skipped };
}

describe('an end event of a real kernel', () => {
  test('of a connection that ended by itself', () => {
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
  test('of one that somebody deleted', () => {
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

describe('what is not an end event', () => {
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

/** One block of so many records. What is given counts; it comes back when it is told to. */
function blockOf(records: number) {
  const given: number[] = [];
  let taken = false;
  let waiting: ((block: number) => void) | undefined;
  const blocks: Blocks = {
    all: [new Uint32Array(records * STRIDE)],
    take() {
      if (!taken) {
        taken = true;
        return 0;
      }
      return new Promise((resolve) => {
        waiting = resolve;
      });
    },
    give: (_, count) => void given.push(count),
  };
  const comeBack = () => {
    if (waiting === undefined) taken = false;
    else waiting(0);
    waiting = undefined;
  };
  return { blocks, given, comeBack };
}

describe('a drain', () => {
  const one = recorded('refused-tcp-v4');
  const deleted = recorded('deleted-udp-v6');

  test('delivers all that is there in one block', async () => {
    const { blocks, given } = blockOf(8);
    const reader = new EndReader(socketOf([one, deleted], [one]), blocks, () => 0);
    await reader.drain();
    expect(given).toEqual([3]);
    expect(reader.report()).toMatchObject({ deleted: 1, overruns: 0 });
    expect(reader.report()).toBeUndefined();
  });

  test('takes no block where nothing is there', async () => {
    const { blocks, given } = blockOf(8);
    await new EndReader(socketOf(), blocks, () => 0).drain();
    expect(given).toEqual([]);
  });

  test('waits while every block is on its way, and is one drain all the while', async () => {
    const { blocks, given, comeBack } = blockOf(2);
    const reader = new EndReader(socketOf([one, one, one], [one]), blocks, () => 0);
    const first = reader.drain();
    expect(reader.drain()).toBe(first);
    for (let i = 0; i < 5; i++) await Promise.resolve();
    expect(given).toEqual([2]);
    comeBack();
    await reader.drained();
    expect(given).toEqual([2, 2]);
  });

  test('counts overruns, and what the kernel lost with each', async () => {
    const { blocks, given, comeBack } = blockOf(8);
    const lost = [5, 12];
    const reader = new EndReader(socketOf('overrun', [one], [], 'overrun', [one]), blocks, () => lost.shift());
    await reader.drain();
    expect(reader.report()).toMatchObject({ overruns: 1, lost: 5 });
    comeBack();
    await reader.drain();
    expect(reader.report()).toMatchObject({ overruns: 1, lost: 7 });
    expect(given).toEqual([1, 1]);
  });
});
