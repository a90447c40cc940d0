import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { type ConntrackSocket, DATAGRAM_BYTES } from '../../native/netlink-socket.ts';
import { STRIDE } from '../record.ts';
import type { Blocks } from './buffer-pool.ts';
import { MAX_ATTEMPTS, probeDump, readAll } from './dump.ts';

const FILE = new URL('./testdata/corpus.json', import.meta.url);
const { recordings } = JSON.parse(readFileSync(FILE, 'utf8')) as {
  recordings: { name: string; datagrams: string[] }[];
};
const recorded = (name: string) =>
  recordings.find((recording) => recording.name === name)!.datagrams.map((hex) => Buffer.from(hex, 'hex'));

/** What a socket gives: a datagram, or word of lost ones. */
type Received = Buffer | 'overrun';

const WHOLE: readonly Received[] = recorded('tcp-v4');
const OVERRUN: readonly Received[] = ['overrun', ...WHOLE];
const INTERRUPTED: readonly Received[] = recorded('tcp-v4').map((datagram) => {
  datagram[6] = datagram[6]! | 0x10; // NLM_F_DUMP_INTR
  return datagram;
});
const REFUSED: readonly Received[] = [refusal(1)];

function refusal(errno: number): Buffer {
  const message = Buffer.alloc(36);
  message.writeUInt32LE(36, 0);
  message.writeUInt16LE(2, 4);
  message.writeInt32LE(-errno, 16);
  return message;
}

/** A socket that answers each request with the next dump. */
function socketOf(...dumps: readonly (readonly Received[])[]): ConntrackSocket & { requests: string[] } {
  const datagrams = [0, 1].map(() => new Uint32Array(DATAGRAM_BYTES / 4));
  const lengths: (number | 'overrun')[] = [];
  const requests: string[] = [];
  let left: Received[] = [];
  return {
    datagrams,
    requests,
    requestDump(which) {
      if (left.length > 0) throw new Error('the dump before it was not received to its end');
      left = [...(dumps[requests.length] ?? [])];
      requests.push(which);
    },
    receive() {
      if (left.length === 0) throw new Error('nothing more is sent');
      if (left[0] === 'overrun') return left.shift() as 'overrun';
      const received = left.splice(0, datagrams.length);
      for (const [i, one] of received.entries()) {
        lengths[i] = one === 'overrun' ? one : one.length;
        if (one !== 'overrun') new Uint8Array(datagrams[i]!.buffer).set(one);
      }
      return received.length;
    },
    lengthOf: (i) => lengths[i]!,
    close() {},
  };
}

/** One block of so many records that comes back at once. */
function keepBlocks(records: number): Blocks & { counts: number[] } {
  const counts: number[] = [];
  return {
    counts,
    all: [new Uint32Array(records * STRIDE)],
    take: () => 0,
    give: (_, count) => void counts.push(count),
  };
}

const SAME = () => 65_536;

describe('a read', () => {
  test('of one whole dump', async () => {
    const report = await readAll(socketOf(WHOLE), keepBlocks(8), SAME);
    expect(report).toMatchObject({ complete: true, entries: 1, interrupted: 0, overrun: 0 });
  });
  test.each([
    ['interrupted', [INTERRUPTED, WHOLE], { interrupted: 1, overrun: 0 }],
    ['overrun', [OVERRUN, WHOLE], { interrupted: 0, overrun: 1 }],
    ['both', [OVERRUN, INTERRUPTED, WHOLE], { interrupted: 1, overrun: 1 }],
  ])('is made again: %s', async (_, dumps, expected) => {
    const report = await readAll(socketOf(...dumps), keepBlocks(8), SAME);
    expect(report).toMatchObject({ ...expected, complete: true, entries: 1 });
  });
  test('is not complete where no attempt is', async () => {
    const socket = socketOf(INTERRUPTED, INTERRUPTED, INTERRUPTED, INTERRUPTED, WHOLE);
    const report = await readAll(socket, keepBlocks(8), SAME);
    expect(report).toMatchObject({ complete: false, interrupted: MAX_ATTEMPTS });
    expect(socket.requests.length).toBe(MAX_ATTEMPTS);
  });
  test('is interrupted where the table was resized under it', async () => {
    const sizes = [1024, 2048, 2048, 2048];
    const report = await readAll(socketOf(WHOLE, WHOLE), keepBlocks(8), () => sizes.shift());
    expect(report).toMatchObject({ complete: true, interrupted: 1 });
  });
  test('drains DESTROY events after it received and before it gives what it received', async () => {
    const steps: string[] = [];
    const socket = socketOf(WHOLE);
    const blocks = keepBlocks(8);
    const receive = socket.receive;
    socket.receive = () => {
      steps.push('receive');
      return receive();
    };
    const give = { ...blocks, give: (_: number, count: number) => void steps.push(`give ${count}`) };
    const drain = async () => {
      await Promise.resolve();
      steps.push('drain');
    };
    await readAll(socket, give, SAME, drain);
    expect(steps).toEqual(['receive', 'drain', 'give 1']);
  });
  test('goes on in the next block where one is full', async () => {
    const message = recorded('tcp-v4')[0]!;
    const three = [message, message, message, ...recorded('tcp-v4').slice(1)];
    const blocks = keepBlocks(1);
    expect(await readAll(socketOf(three), blocks, SAME)).toMatchObject({ entries: 3 });
    expect(blocks.counts.reduce((sum, count) => sum + count)).toBe(3);
  });
  test('fails where the kernel refuses, and says what to do', async () => {
    const refused = expect.objectContaining({ code: 'permission', message: expect.stringContaining('NET_ADMIN') });
    await expect(readAll(socketOf(REFUSED), keepBlocks(8), SAME)).rejects.toEqual(refused);
  });
});

describe('a probeDump', () => {
  test('asks for no connection', () => {
    const socket = socketOf(WHOLE.slice(-1));
    probeDump(socket);
    expect(socket.requests).toEqual(['none']);
  });
  test.each([
    ['permission', 1],
    ['unsupported', 22],
    ['system', 12],
  ])('%s', (code, errno) => {
    expect(() => probeDump(socketOf([refusal(errno)]))).toThrow(expect.objectContaining({ code }));
  });
});
