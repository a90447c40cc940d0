import type { RawEntry } from '@egressd/world/cilium/cilium-node';
import {
  type DirectedEntry,
  directedBytes,
  ENTRY_BITS,
  endpointInfo,
  endpointKey,
  type SummedEntry,
  summedBytes,
  TUPLE_F,
  type Tuple,
  tupleBytes,
} from '@egressd/world/cilium/entries';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { recordFields } from '../record-fields.ts';
import { type ClockSource, clockAt } from './clock.ts';
import { decodeEntries, newBlock, startTally, viewEntries } from './decode.ts';
import { Endpoints, EVICT_AFTER_SECONDS } from './endpoints.ts';
import { classifyEntry, layoutOf, noCounts } from './layout.ts';

const POD = '10.1.0.1';
const OTHER_POD = '10.1.0.2';
const HOST = '10.0.0.1';
const REMOTE = '203.0.113.7';
const NOW = { seconds: 1000, tickRate: 250 };

function endpoints(pods: readonly string[], hosts: readonly string[] = []): Endpoints {
  const known = new Endpoints(7);
  learn(known, pods, hosts, 0);
  return known;
}

function learn(known: Endpoints, pods: readonly string[], hosts: readonly string[], now: number): void {
  const all = [...pods, ...hosts];
  const words = (parts: Buffer[]) => new Uint32Array(Uint8Array.from(Buffer.concat(parts)).buffer);
  const infos = all.map((_, i) => endpointInfo(i >= pods.length));
  known.add(words(all.map(endpointKey)), words(infos), infos[0]!.length / 4, all.length, now);
}

/** Decodes entries of one family. */
function decode(
  entries: readonly RawEntry[],
  known = endpoints([POD, OTHER_POD], [HOST]),
  clock: ClockSource = 'ktime',
) {
  const [keys, values] = [0, 1].map((side) => Uint8Array.from(Buffer.concat(entries.map((entry) => entry[side]!))));
  const tally = startTally();
  const context = { endpoints: known, clock: clockAt(clock, NOW), tally };
  const family = entries[0]![0].length === 14 ? 4 : 6;
  const block = newBlock(family, Math.max(1, entries.length));
  const { count } = decodeEntries(viewEntries(family, keys!, values!), 0, entries.length, 0, block, context);
  return { records: Array.from({ length: count }, (_, i) => recordFields({ words: block, count }, i)), tally };
}

const tuple = (part: Partial<Tuple> = {}): Tuple => ({
  source: POD,
  sourcePort: 40_000,
  destination: REMOTE,
  destinationPort: 443,
  protocol: 6,
  flags: TUPLE_F.out,
  ...part,
});
const COUNTED: DirectedEntry = {
  rxPackets: 3,
  rxBytes: 3 * 14 + 3000,
  txPackets: 2,
  txBytes: 2 * 14 + 200,
  lifetime: 1,
};
const entry = (part: Partial<Tuple> = {}, value: Partial<DirectedEntry> = {}): RawEntry => [
  tupleBytes(tuple(part)),
  directedBytes({ ...COUNTED, ...value }),
];

describe('entries with a counter a direction', () => {
  test('OUT: what the local endpoint sent is the original direction, without Ethernet headers', () => {
    expect(decode([entry()]).records).toEqual([
      {
        zone: 0,
        protocol: 6,
        originalSource: POD,
        originalDestination: REMOTE,
        replySource: REMOTE,
        originalPorts: [40_000, 443],
        replyPorts: [443, 40_000],
        originalPackets: 2n,
        originalBytes: 200n,
        replyPackets: 3n,
        replyBytes: 3000n,
        replyDestination: '::',
        status: 0,
        sourceNat: false,
        timeout: 0,
        start: undefined,
      },
    ]);
  });

  test("IN from elsewhere: what the local endpoint received is the original direction; a server's replies are seen", () => {
    const { records } = decode([entry({ source: REMOTE, destination: POD, flags: TUPLE_F.in })]);
    expect(records).toMatchObject([
      { originalSource: REMOTE, replySource: POD, originalBytes: 3000n, originalPackets: 3n, replyBytes: 200n },
    ]);
  });

  test('IPv6, with all of its addresses', () => {
    const [source, destination] = ['fd00:10:1::2', '2001:db8:113::10'];
    const { records } = decode([entry({ source, destination, protocol: 17 })]);
    expect(records).toMatchObject([{ protocol: 17, originalSource: source, replySource: destination }]);
  });

  test('counters beyond 32 bits', () => {
    const [packets, bytes] = [2 ** 33 + 1, 2 ** 43 + 5];
    const { records } = decode([entry({}, { txPackets: packets, txBytes: bytes })]);
    expect(records).toMatchObject([{ originalPackets: BigInt(packets), originalBytes: BigInt(bytes - 14 * packets) }]);
  });

  test('an echo has its id, in either place, and no ports', () => {
    const ping = { protocol: 1, sourcePort: 0, destinationPort: 0 };
    const { records } = decode([entry({ ...ping, destinationPort: 77 }), entry({ ...ping, sourcePort: 78 })]);
    expect(records.map(({ originalPorts }) => originalPorts)).toEqual([
      [77, 0],
      [78, 0],
    ]);
  });

  test('when it expires, where the clock is known', () => {
    const timeouts = [1060, 1000, 5].map((lifetime) => entry({}, { lifetime }));
    expect(decode(timeouts, undefined, 'ktime').records.map(({ timeout }) => timeout)).toEqual([60, 0, 0]);
  });
});

describe('a flow counts once', () => {
  test('between two pods of the node: the OUT entry', () => {
    const local = { destination: OTHER_POD };
    const { records, tally } = decode([entry(local), entry({ ...local, flags: TUPLE_F.in })]);
    expect(records).toMatchObject([{ originalSource: POD, replySource: OTHER_POD, originalBytes: 200n }]);
    expect(tally.counted_at_source).toBe(1);
  });

  test("between the host and a pod of the node: the pod's entry", () => {
    const toPod = { source: HOST, destination: POD };
    const { records, tally } = decode([entry(toPod), entry({ ...toPod, flags: TUPLE_F.in })]);
    expect(records).toMatchObject([{ originalSource: HOST, replySource: POD, originalBytes: 3000n }]);
    expect(tally.counted_at_source).toBe(1);
    expect(decode([entry({ source: HOST, destination: REMOTE })]).records).toHaveLength(1);
  });

  test("forwarded in a NodePort's name: the pod's own entry", () => {
    const fromOutside = { source: REMOTE, destination: POD };
    const forwarded = entry(fromOutside, { bits: ENTRY_BITS.nodePort });
    const received = entry({ ...fromOutside, flags: TUPLE_F.in }, { bits: ENTRY_BITS.nodePort });
    expect(decode([forwarded, received]).records).toMatchObject([{ originalBytes: 3000n }]);
  });

  test('a pod that reaches itself by a Service: not again from the loop address', () => {
    const loop = entry(
      { source: '10.96.0.1', destination: '169.254.42.1', flags: TUPLE_F.in },
      { bits: ENTRY_BITS.loopback },
    );
    expect(decode([entry({ destination: POD }, { bits: ENTRY_BITS.loopback }), loop]).records).toHaveLength(1);
  });

  test("a Service's and an ICMP error's entries are no flows", () => {
    const service = entry({ flags: TUPLE_F.service }, { rxPackets: 0, rxBytes: 4711, txPackets: 0, txBytes: 0 });
    const related = entry({ protocol: 1, flags: TUPLE_F.related });
    const relatedIn = entry({ protocol: 1, flags: TUPLE_F.related | TUPLE_F.in });
    expect(decode([service, related, relatedIn])).toMatchObject({ records: [], tally: { service: 1, related: 2 } });
  });

  test('an endpoint that went is kept as long as its entries may live, then evicted', () => {
    const known = endpoints([POD, OTHER_POD]);
    const incoming = entry({ destination: OTHER_POD, flags: TUPLE_F.in });
    const later = (now: number) => {
      learn(known, [OTHER_POD], [], now);
      known.expire(now);
      return decode([incoming], known).records.length;
    };
    expect([later(60), later(EVICT_AFTER_SECONDS), later(EVICT_AFTER_SECONDS + 1)]).toEqual([0, 0, 1]);
    expect(known.size).toBe(1);
  });
});

describe('entries that are not of this layout are left out', () => {
  const summed: SummedEntry = { packets: 9, bytes: 9000, lifetime: 1 };

  test.each<[string, RawEntry, keyof ReturnType<typeof noCounts>]>([
    ['no counters', entry({}, { rxPackets: 0, rxBytes: 0, txPackets: 0, txBytes: 0 }), 'zero'],
    [
      'IN, both directions together',
      [tupleBytes(tuple({ source: REMOTE, destination: POD, flags: 1 })), summedBytes(summed)],
      'summed',
    ],
    [
      'OUT with an address before the counters',
      [tupleBytes(tuple()), summedBytes({ ...summed, natAddress: Buffer.from('0a000001', 'hex') })],
      'summed',
    ],
    ['bytes without packets', entry({}, { txPackets: 0 }), 'unknown'],
    ['packets smaller than their headers', entry({}, { txBytes: 67 }), 'unknown'],
    ['packets larger than any', entry({}, { txBytes: 2 * 600_000 }), 'unknown'],
  ])('%s', (_, raw, kind) => {
    const { records, tally } = decode([raw]);
    expect(records).toEqual([]);
    expect(tally.layoutCounts).toEqual({ ...noCounts(), [kind]: 1 });
    expect([tally.no_counters, tally.undecodable]).toEqual(kind === 'zero' ? [1, 0] : [0, 1]);
  });

  test('any bytes are decoded without harm, and never to more than there was', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 70, maxLength: 70 }), (bytes) => {
        const { records, tally } = decode([[Buffer.from(bytes.subarray(0, 14)), Buffer.from(bytes.subarray(14))]]);
        const leftOut = tally.service + tally.related + tally.counted_at_source + tally.no_counters + tally.undecodable;
        expect(records.length + leftOut).toBe(1);
      }),
    );
  });
});

describe('which layout entries are of', () => {
  const classify = (direction: number, protocol: number, value: Buffer) =>
    classifyEntry(direction, protocol, 34, new Uint32Array(Uint8Array.from(value).buffer), 0);
  const summed = (part: Partial<SummedEntry> = {}) => summedBytes({ packets: 9, bytes: 9000, lifetime: 1, ...part });

  test.each<[string, number, number, Buffer, string]>([
    ['answered', TUPLE_F.out, 6, directedBytes(COUNTED), 'directed'],
    ['IN, not answered', TUPLE_F.in, 17, directedBytes({ ...COUNTED, txPackets: 0, txBytes: 0 }), 'directed'],
    ['OUT, not answered', TUPLE_F.out, 17, directedBytes({ ...COUNTED, rxPackets: 0, rxBytes: 0 }), 'ambiguous'],
    ['OUT, both together, UDP', TUPLE_F.out, 17, summed(), 'ambiguous'],
    ['OUT, both together, TCP that was answered', TUPLE_F.out, 6, summed({ rxFlags: 0x12 }), 'summed'],
    ['IN, both together', TUPLE_F.in, 17, summed(), 'summed'],
    ['off', TUPLE_F.in, 6, summed({ packets: 0, bytes: 0 }), 'zero'],
    ["a Service's", TUPLE_F.service, 6, summed({ backendId: 5 }), 'excluded'],
    ['a loop', TUPLE_F.in, 6, directedBytes({ ...COUNTED, bits: ENTRY_BITS.loopback }), 'excluded'],
  ])('%s', (_, direction, protocol, value, expected) => {
    expect(classify(direction, protocol, value)).toBe(expected);
  });

  test.each<[Partial<ReturnType<typeof noCounts>>, string]>([
    [{}, 'undetermined'],
    [{ ambiguous: 5 }, 'undetermined'],
    [{ directed: 1, ambiguous: 5 }, 'directed'],
    [{ zero: 5 }, 'zero'],
    [{ zero: 5, directed: 1 }, 'directed'],
    [{ zero: 5, ambiguous: 1 }, 'undetermined'],
    [{ summed: 1 }, 'summed'],
    [{ unknown: 1 }, 'unknown'],
    [{ directed: 1000, summed: 7 }, 'directed'],
    [{ directed: 100, summed: 7 }, 'summed'],
    [{ directed: 100_000, summed: 8 }, 'summed'],
    [{ directed: 100_000, unknown: 8 }, 'unknown'],
  ])('%j together: %s', (counts, expected) => {
    expect(layoutOf({ ...noCounts(), ...counts })).toBe(expected);
  });
});
