import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { STRIDE, WORD } from '../record.ts';
import { type RecordFields, recordFields } from '../record-fields.ts';
import { type Dump, decodeDatagram, startDump } from './decode.ts';

interface Recording {
  readonly name: string;
  readonly datagrams: readonly string[];
  readonly library: Readonly<Record<string, string | number>>;
}

const FILE = new URL('./testdata/corpus.json', import.meta.url);
const { recordings } = JSON.parse(readFileSync(FILE, 'utf8')) as { recordings: Recording[] };

/** Datagrams of one dump, decoded into one block whose words were all set before. */
function decode(datagrams: readonly Uint8Array[], capacity = 16): { dump: Dump; records: RecordFields[] } {
  const words = new Uint32Array(capacity * STRIDE).fill(0xdead_beef);
  const dump = startDump();
  for (const datagram of datagrams) {
    dump.at = 0;
    decodeDatagram(dump, wordsOf(datagram), datagram.length, words);
  }
  const records = Array.from({ length: dump.count }, (_, i) => recordFields({ words, count: dump.count }, i));
  return { dump, records };
}

/** A copy as words, padded as the socket's buffer is. */
function wordsOf(datagram: Uint8Array): Uint32Array {
  const bytes = new Uint8Array((datagram.length + 3) & ~3);
  bytes.set(datagram);
  return new Uint32Array(bytes.buffer);
}

const bytesOf = (recording: Recording) => recording.datagrams.map((hex) => Buffer.from(hex, 'hex'));
const named = (name: string) => recordings.find((recording) => recording.name === name)!;
/** The first datagram of a recording, to change. */
const firstOf = (name: string) => bytesOf(named(name))[0]!;

describe('a recorded dump is what libnetfilter_conntrack says', () => {
  const counted = recordings.filter(({ library }) => library.originalBytes !== undefined);

  test.each(counted)('$name', (recording) => {
    const { dump, records } = decode(bytesOf(recording));
    expect(dump).toMatchObject({ done: true, interrupted: false, overrun: false, errno: 0 });
    expect(dump.skipped).toEqual({ no_counters: 0, undecodable: 0, loopback: 0 });
    expect(records).toEqual([expectedOf(recording.library)]);
  });

  test('no-counters', () => {
    const { dump, records } = decode(bytesOf(named('no-counters')));
    expect(records).toEqual([]);
    expect(dump.skipped).toEqual({ no_counters: 1, undecodable: 0, loopback: 0 });
  });
});

/** linux/netfilter/nf_conntrack_common.h */
const IPS_SRC_NAT = 0x10;

/** What a record should hold by the library's reading. */
function expectedOf(library: Recording['library']): unknown {
  const number = (name: string) => Number(library[name] ?? 0);
  const icmp = library.icmpId !== undefined;
  return {
    zone: number('zone') || number('originalZone'),
    protocol: library.protocol,
    originalSource: library.originalSource,
    originalDestination: library.originalDestination,
    replySource: library.replySource,
    originalPorts: icmp
      ? [number('icmpId'), (number('icmpType') << 8) | number('icmpCode')]
      : [number('originalSourcePort'), number('originalDestinationPort')],
    // The library keeps no type of the reply: an echo is answered with type 0, or 129 of ICMPv6.
    replyPorts: icmp
      ? [number('icmpId'), library.protocol === 58 ? 129 << 8 : 0]
      : [number('replySourcePort'), number('replyDestinationPort')],
    originalPackets: BigInt(number('originalPackets')),
    originalBytes: BigInt(number('originalBytes')),
    replyPackets: BigInt(number('replyPackets')),
    replyBytes: BigInt(number('replyBytes')),
    // The library's parser was not asked: `source.kernel.test.ts` compares it with `conntrack -L`.
    replyDestination: expect.any(String),
    status: library.status,
    // Each that was translated got another address, not only another port.
    sourceNat: (number('status') & IPS_SRC_NAT) !== 0,
    timeout: library.timeout,
    start: library.start === undefined ? undefined : BigInt(library.start),
  };
}

describe('identity', () => {
  const words = new Uint32Array(STRIDE);
  const identity = (name: string) => {
    const datagram = firstOf(name);
    decodeDatagram(startDump(), wordsOf(datagram), datagram.length, words);
    return [words[WORD.identity]!, words[WORD.identity + 1]!];
  };

  test('is the start time where the kernel keeps it', () => {
    const [low, high] = identity('tcp-v4');
    expect(((BigInt(high!) << 32n) | BigInt(low!)).toString()).toBe(named('tcp-v4').library.start);
  });
  test('is the id where it does not', () => {
    expect(identity('no-timestamp')).toEqual([named('no-timestamp').library.id, 0]);
  });
});

describe('changed bytes', () => {
  const FLAGS = 6;
  const SEQUENCE = 8;

  test('a connection without a timeout is offloaded, not expired', () => {
    const { records } = decode([without(firstOf('tcp-v4'), 7)]);
    expect(records).toMatchObject([{ protocol: 6, timeout: undefined }]);
  });
  test('an interrupted dump', () => {
    const datagram = firstOf('tcp-v4');
    datagram[FLAGS] = datagram[FLAGS]! | 0x10;
    const { dump, records } = decode([datagram]);
    expect([dump.interrupted, records.length]).toEqual([true, 1]);
  });
  test('a message of another dump is left out', () => {
    const other = firstOf('udp-v4');
    const datagram = firstOf('tcp-v4');
    other.writeUInt32LE(datagram.readUInt32LE(SEQUENCE) + 1, SEQUENCE);
    expect(decode([datagram, other]).records).toMatchObject([{ protocol: 6 }]);
  });
  test('both ends loopback', () => {
    const datagram = replaceAll(
      replaceAll(firstOf('tcp-v4'), [10, 66, 1, 2], [127, 0, 0, 1]),
      [10, 66, 2, 2],
      [127, 1, 2, 3],
    );
    expect(decode([datagram]).dump.skipped).toEqual({ no_counters: 0, undecodable: 0, loopback: 1 });
  });
  test('one end loopback', () => {
    const datagram = replaceAll(firstOf('tcp-v4'), [10, 66, 1, 2], [127, 0, 0, 1]);
    expect(decode([datagram]).records).toMatchObject([{ originalSource: '127.0.0.1' }]);
  });
  test.each([
    ['original tuple', 1],
    ['reply tuple', 2],
  ])('an entry without its %s', (_, type) => {
    expect(decode([without(firstOf('tcp-v4'), type)]).dump.skipped.undecodable).toBe(1);
  });
  test.each([
    ['original counters', 9],
    ['reply counters', 10],
  ])('an entry without its %s', (_, type) => {
    expect(decode([without(firstOf('tcp-v4'), type)]).dump.skipped.no_counters).toBe(1);
  });
  test('an undecodable entry leaves the next one whole', () => {
    const bad = firstOf('tcp-v4');
    bad.writeUInt16LE(2, 20);
    const { dump, records } = decode([bad, firstWithSequence('udp-v4', bad)]);
    expect([dump.skipped.undecodable, records.length]).toEqual([1, 1]);
  });
  test.each([
    ['of no length', 0],
    ['shorter than its header', 15],
    ['longer than the datagram', 60_000],
  ])('a message %s ends the datagram and the dump is not whole', (_, length) => {
    const datagram = firstOf('tcp-v4');
    datagram.writeUInt32LE(length, 0);
    const { dump } = decode([datagram]);
    expect(dump).toMatchObject({ at: datagram.length, overrun: true, done: false });
  });
  test('a message that the end of the datagram cuts off: what was before it counts, the dump is not whole', () => {
    const one = firstOf('tcp-v4');
    const message = one.subarray(0, one.readUInt32LE(0));
    const { dump, records } = decode([Buffer.concat([message, message.subarray(0, 40)])]);
    expect([dump.overrun, dump.skipped.undecodable, records.length]).toEqual([true, 1, 1]);
  });
  test.each([
    ['NLMSG_ERROR', 2, { errno: 1, done: false }],
    ['NLMSG_DONE with an error', 3, { errno: 1, done: true }],
    ['NLMSG_OVERRUN', 4, { overrun: true, done: false }],
  ])('%s', (_, type, expected) => {
    const message = Buffer.alloc(20);
    message.writeUInt32LE(20, 0);
    message.writeUInt16LE(type, 4);
    message.writeInt32LE(-1, 16);
    expect(decode([message]).dump).toMatchObject(expected);
  });

  function firstWithSequence(name: string, like: Buffer): Buffer {
    const datagram = firstOf(name);
    datagram.writeUInt32LE(like.readUInt32LE(SEQUENCE), SEQUENCE);
    return datagram;
  }
});

test('a full block is gone on with in the next', () => {
  const one = firstOf('tcp-v4');
  const message = one.subarray(0, one.readUInt32LE(0));
  const datagram = Buffer.concat([message, message, message]);
  const words = wordsOf(datagram);
  const block = new Uint32Array(2 * STRIDE);
  const dump = startDump();
  decodeDatagram(dump, words, datagram.length, block);
  expect([dump.at, dump.count]).toEqual([2 * message.length, 2]);
  dump.count = 0;
  decodeDatagram(dump, words, datagram.length, block);
  expect([dump.at, dump.count]).toEqual([datagram.length, 1]);
});

test('entries of all kinds in one dump, in any order', () => {
  const entries = recordings.filter(({ name }) => name !== 'no-counters');
  const twice = [...entries, ...entries.toReversed()];
  const datagrams = twice.map(({ datagrams: [hex] }) => {
    const datagram = Buffer.from(hex!, 'hex');
    const message = datagram.subarray(0, datagram.readUInt32LE(0));
    message.writeUInt32LE(1, 8);
    return message;
  });
  expect(decode(datagrams, twice.length).records).toEqual(twice.map(({ library }) => expectedOf(library)));
});

/** The first message of a datagram without its attribute of a type. */
function without(datagram: Buffer, type: number): Buffer {
  const message = datagram.subarray(0, datagram.readUInt32LE(0));
  const parts = [message.subarray(0, 20)];
  for (let at = 20; at < message.length; ) {
    const size = (message.readUInt16LE(at) + 3) & ~3;
    if ((message.readUInt16LE(at + 2) & 0x3fff) !== type) parts.push(message.subarray(at, at + size));
    at += size;
  }
  const rest = Buffer.concat(parts);
  rest.writeUInt32LE(rest.length, 0);
  return rest;
}

function replaceAll(bytes: Buffer, from: readonly number[], to: readonly number[]): Buffer {
  const copy = Buffer.from(bytes);
  for (let at = copy.indexOf(Buffer.from(from)); at >= 0; at = copy.indexOf(Buffer.from(from), at + 1))
    copy.set(to, at);
  return copy;
}
