import { formatAddress, parseAddress } from '@egressd/flow/address';
import type { FlowColumns } from '@egressd/flow/columns';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FLAG, STRIDE, WORD } from '../conntrack/record.ts';
import { Reducer } from './reducer.ts';

/** The words of a connection `source -> originalDestination:port`, answered by `answered`. */
function connection(
  source: string,
  answered: string,
  protocol = 6,
  originalDestination = answered,
  port = 80,
): Uint32Array {
  const words = new Uint32Array(STRIDE);
  const bytes = new Uint8Array(words.buffer);
  bytes.set(parseAddress(source)!, WORD.originalSource * 4);
  bytes.set(parseAddress(answered)!, WORD.replySource * 4);
  bytes.set(parseAddress(originalDestination)!, WORD.originalDestination * 4);
  words[WORD.zoneProtocol] = protocol << 16;
  words[WORD.originalPorts] = (40000 << 16) | port;
  return words;
}

function rows(flows: FlowColumns): string[] {
  const address = (i: number) => formatAddress(flows.addresses, i * 16);
  return Array.from({ length: flows.rows }, (_, i) => {
    const originalDestination = flows.originalDestination;
    const virtual =
      originalDestination === undefined
        ? ''
        : ` via ${originalDestination.address[i] === 0 ? '-' : address(originalDestination.address[i]! - 1)}:${originalDestination.port[i]}`;
    return `${address(flows.source[i]!)} > ${address(flows.destination[i]!)} ${flows.protocol[i]}${virtual} ${flows.txBytes[i]}/${flows.txPackets[i]} ${flows.rxBytes[i]}/${flows.rxPackets[i]}`;
  });
}

/** Adds what one connection moved. */
function add(to: Reducer, pair: number, ...counters: [number, number, number, number]): void {
  to.add({ count: 1, pairs: Uint32Array.of(pair), counters: Float64Array.of(...counters) });
}

const reducer = (options: Partial<ConstructorParameters<typeof Reducer>[0]> = {}) =>
  new Reducer({ maxPairs: 1000, seed: 1, originalDestination: false, ...options });

test('connections of one pair add up, and are handed over once', () => {
  const pairs = reducer();
  add(pairs, pairs.pairOf(connection('10.0.0.1', '10.0.0.2', 6, '10.96.0.1', 80), 0), 100, 1, 50, 1);
  add(pairs, pairs.pairOf(connection('10.0.0.1', '10.0.0.2', 6, '10.96.0.2', 443), 0), 10, 2, 5, 3);
  add(pairs, pairs.pairOf(connection('10.0.0.1', '10.0.0.2', 17), 0), 1, 1, 0, 0);
  expect(rows(pairs.freeze())).toEqual(['10.0.0.1 > 10.0.0.2 6 110/3 55/4', '10.0.0.1 > 10.0.0.2 17 1/1 0/0']);
  expect(rows(pairs.freeze())).toEqual([]);
});

test('what the destination sees under another source is kept apart', () => {
  const pairs = reducer();
  for (const flags of [FLAG.counters, FLAG.counters | FLAG.sourceNat, FLAG.counters | FLAG.sourceNat]) {
    const words = connection('198.51.100.7', '10.0.0.2');
    words[WORD.flags] = flags;
    add(pairs, pairs.pairOf(words, 0), 10, 1, 20, 1);
  }
  const flows = pairs.freeze();
  expect(rows(flows)).toEqual(['198.51.100.7 > 10.0.0.2 6 10/1 20/1', '198.51.100.7 > 10.0.0.2 6 20/2 40/2']);
  expect([...flows.sourceNat]).toEqual([0, 1]);
});

test('where the exporter asks for it, the original destination keeps them apart', () => {
  const pairs = reducer({ originalDestination: true });
  for (const [originalDestination, port] of [
    ['10.96.0.1', 80],
    ['10.96.0.1', 443],
    ['10.0.0.2', 8080],
  ] as const) {
    add(pairs, pairs.pairOf(connection('10.0.0.1', '10.0.0.2', 6, originalDestination, port), 0), 1, 1, 2, 1);
  }
  add(pairs, pairs.pairOf(connection('10.0.0.1', '10.0.0.2', 1, '10.0.0.2', 0x800), 0), 9, 1, 9, 1);
  expect(rows(pairs.freeze())).toEqual([
    '10.0.0.1 > 10.0.0.2 6 via 10.96.0.1:80 1/1 2/1',
    '10.0.0.1 > 10.0.0.2 6 via 10.96.0.1:443 1/1 2/1',
    '10.0.0.1 > 10.0.0.2 6 via -:8080 1/1 2/1',
    '10.0.0.1 > 10.0.0.2 1 via -:0 9/1 9/1',
  ]);
});

test('too many pairs: public ends are folded, then all is unknown, nothing is lost, each is counted', () => {
  const pairs = reducer({ maxPairs: 4 });
  const flows = [
    '10.0.0.9',
    '10.0.0.8',
    '10.0.0.7',
    '198.51.100.1',
    '198.51.100.2',
    '2001:db8::1',
    '198.51.100.3',
    '10.0.0.6',
    '198.51.100.1',
  ];
  for (const to of flows) add(pairs, pairs.pairOf(connection('10.0.0.1', to), 0), 10, 1, 0, 0);
  expect(rows(pairs.freeze())).toEqual([
    '10.0.0.1 > 10.0.0.9 6 10/1 0/0',
    '10.0.0.1 > 10.0.0.8 6 10/1 0/0',
    '10.0.0.1 > 10.0.0.7 6 10/1 0/0',
    '10.0.0.1 > 198.51.100.1 6 20/2 0/0',
    '10.0.0.1 > 0.0.0.0 6 20/2 0/0',
    ':: > :: 0 20/2 0/0',
  ]);
  expect([pairs.foldedPublic, pairs.foldedUnknown]).toEqual([2, 2]);
});

describe('compact', () => {
  test('keeps pairs that are used or have something pending, under new numbers', () => {
    const pairs = reducer();
    const [gone, used, pending] = ['10.0.0.2', '10.0.0.3', '10.0.0.4'].map((to) =>
      pairs.pairOf(connection('10.0.0.1', to), 0),
    ) as [number, number, number];
    add(pairs, pending, 7, 1, 0, 0);
    const mark = new Uint8Array(pairs.size + 1);
    mark[used] = 1;
    const renumbered = pairs.compact(mark);
    expect(renumbered[gone]).toBe(0);
    expect(pairs.size).toBe(3);
    add(pairs, renumbered[used]!, 5, 1, 0, 0);
    expect(rows(pairs.freeze())).toEqual(['10.0.0.1 > 10.0.0.4 6 7/1 0/0', '10.0.0.1 > 10.0.0.3 6 5/1 0/0']);
    expect(pairs.pairOf(connection('10.0.0.1', '10.0.0.3'), 0)).toBe(renumbered[used]);
  });

  test('loses nothing, whatever comes between', () => {
    const step = fc.tuple(
      fc.nat(30),
      fc.nat(30),
      fc.nat(100),
      fc.constantFrom('add', 'add', 'add', 'add', 'compact', 'freeze'),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.boolean(), (steps, originalDestination) => {
        const pairs = reducer({ maxPairs: 100_000, originalDestination });
        const sums = new Map<string, number>();
        const seen = new Map<string, number>();
        const take = () => {
          for (const row of rows(pairs.freeze())) {
            const [key, bytes] = [row.split(' 6')[0]!, Number(/(\d+)\/\d+ /.exec(row.replace(/via \S+/, ''))![1])];
            seen.set(key, (seen.get(key) ?? 0) + bytes);
          }
        };
        for (const [from, to, bytes, what] of steps) {
          const ends = [`10.0.0.${from}`, `10.0.1.${to}`] as const;
          if (what === 'add') {
            add(pairs, pairs.pairOf(connection(...ends, 6, '10.96.0.1'), 0), bytes, 1, 0, 0);
            sums.set(ends.join(' > '), (sums.get(ends.join(' > ')) ?? 0) + bytes);
          } else if (what === 'compact') pairs.compact(new Uint8Array(pairs.size + 1));
          else take();
        }
        take();
        expect(seen).toEqual(sums);
      }),
    );
  });
});
