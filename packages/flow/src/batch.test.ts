import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodePart, decodeSpan, MalformedBatch } from './batch-decode.ts';
import { encodeBatch } from './batch-encode.ts';
import { emptyColumns, type FlowColumns } from './columns.ts';
import { type BatchPart, BatchPartSchema, DeliverRequestSchema } from './gen/egressd/stream/v1/stream_pb.ts';
import { agreeProtocol, MESSAGE_BYTES } from './service.ts';

const SPAN = { number: 7, fromMs: 1_700_000_000_000, toMs: 1_700_000_005_000 };

const COUNTERS = ['txBytes', 'txPackets', 'rxBytes', 'rxPackets'] as const;

function columns(
  rows: number,
  addresses: number,
  fill: (limit: number) => number,
  originalDestination = false,
): FlowColumns {
  const made = emptyColumns(rows, addresses, originalDestination);
  made.addresses.forEach((_, i) => {
    made.addresses[i] = i % 16 < 10 ? 0 : i % 16 < 12 ? 0xff : fill(256);
  });
  // Each once, as a collector has them.
  for (let i = 0; i < addresses; i++) made.addresses[i * 16 + 14] = i;
  for (let row = 0; row < rows; row++) {
    made.source[row] = fill(addresses);
    made.destination[row] = fill(addresses);
    made.protocol[row] = fill(256);
    made.sourceNat[row] = fill(2);
    for (const counter of COUNTERS) made[counter][row] = fill(2 ** fill(54));
    if (made.originalDestination === undefined) continue;
    made.originalDestination.address[row] = fill(addresses + 1);
    made.originalDestination.port[row] = fill(65536);
  }
  return made;
}

function parts(messages: Uint8Array[]): BatchPart[] {
  return messages.map((bytes) => {
    const { message } = fromBinary(DeliverRequestSchema, bytes);
    if (message.case !== 'part') throw new Error('not a part');
    return message.value;
  });
}

/** Rows in a form that does not depend on the dictionary. */
function rows(flows: FlowColumns): string[] {
  const address = (i: number) => Buffer.from(flows.addresses.subarray(i * 16, i * 16 + 16)).toString('hex');
  return Array.from({ length: flows.rows }, (_, i) => {
    const originalDestination = flows.originalDestination;
    const port =
      originalDestination === undefined
        ? ''
        : `${originalDestination.address[i] === 0 ? '-' : address(originalDestination.address[i]! - 1)}:${originalDestination.port[i]}`;
    return [
      address(flows.source[i]!),
      address(flows.destination[i]!),
      flows.protocol[i],
      flows.sourceNat[i],
      ...COUNTERS.map((c) => flows[c][i]),
      port,
    ].join(' ');
  });
}

describe('a batch', () => {
  test('is read as it was written, in as many parts as its size takes', () => {
    const room = fc.integer({ min: 400, max: 5000 });
    fc.assert(
      fc.property(
        fc.nat(300),
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        room,
        fc.gen(),
        (count, addresses, originalDestination, maxBytes, gen) => {
          const flows = columns(count, addresses, (limit) => gen(fc.maxSafeNat) % limit, originalDestination);
          const messages = encodeBatch(SPAN, flows, maxBytes);
          for (const message of messages) expect(message.length).toBeLessThanOrEqual(maxBytes);
          const read = parts(messages);
          expect(read.map((part) => part.part)).toEqual(read.map((_, i) => i));
          expect(read.map((part) => part.last)).toEqual(read.map((_, i) => i === read.length - 1));
          for (const part of read) expect(decodeSpan(part)).toEqual(SPAN);
          expect(read.flatMap((part) => rows(decodePart(part)))).toEqual(rows(flows));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('is one message where it has no rows', () => {
    const [part, ...more] = parts(encodeBatch(SPAN, emptyColumns(0, 0), MESSAGE_BYTES));
    expect(more).toEqual([]);
    expect(part).toMatchObject({ rows: 0, last: true });
    expect(decodePart(part!).rows).toBe(0);
  });

  test('is the same to the byte when it is encoded again', () => {
    const flows = columns(50, 9, (limit) => 12345678912345 % limit);
    expect(encodeBatch(SPAN, flows, 1000)).toEqual(encodeBatch(SPAN, flows, 1000));
  });

  test('keeps a counter of 2^53 - 1', () => {
    const flows = emptyColumns(1, 1);
    flows.txBytes[0] = Number.MAX_SAFE_INTEGER;
    expect(decodePart(parts(encodeBatch(SPAN, flows, MESSAGE_BYTES))[0]!).txBytes[0]).toBe(Number.MAX_SAFE_INTEGER);
  });

  test('a counter beyond 2^53 is capped, the rest of the batch is as it is', () => {
    const flows = emptyColumns(2, 1);
    [flows.txBytes[1], flows.rxBytes[1]] = [7, 8];
    const [part] = parts(encodeBatch(SPAN, flows, MESSAGE_BYTES));
    const beyond = Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 127, 7);
    const { txBytes, rxBytes } = decodePart({ ...part!, txBytes: beyond });
    expect([...txBytes, ...rxBytes]).toEqual([Number.MAX_SAFE_INTEGER, 7, 0, 8]);
  });

  test('needs room for a row', () => {
    expect(() => encodeBatch(SPAN, emptyColumns(1, 1), 100)).toThrow('a message of 100 bytes has no room for a row');
  });
});

const NO_BYTES = new Uint8Array(0);
const NO_ROWS = {
  ...{ rows: 0, source: NO_BYTES, destination: NO_BYTES, protocol: NO_BYTES },
  ...{ txBytes: NO_BYTES, txPackets: NO_BYTES, rxBytes: NO_BYTES, rxPackets: NO_BYTES },
};

describe('a malformed part', () => {
  const good = () =>
    parts(
      encodeBatch(
        SPAN,
        columns(3, 2, (limit) => 3 % limit),
        MESSAGE_BYTES,
      ),
    )[0]!;
  test.each<[string, (part: BatchPart) => Partial<BatchPart>, string]>([
    ['too many rows', () => ({ rows: 1000 }), 'claims 1000 rows in 3 bytes'],
    ['too few rows', () => ({ rows: 2 }), 'column source holds more than 2 numbers'],
    [
      'a short column',
      (part) => ({ rxBytes: part.rxBytes.subarray(1) }),
      'column rx_bytes holds 2 numbers instead of 3',
    ],
    [
      'an index outside',
      () => ({ destination: Uint8Array.of(0, 9, 0) }),
      'column destination holds 9, above the limit 0',
    ],
    [
      'a number without end',
      () => ({ txBytes: new Uint8Array(30).fill(0xff) }),
      'column tx_bytes holds a number longer than 64 bits',
    ],
    [
      'a cut dictionary',
      (part) => ({ addresses: part.addresses.subarray(0, -1) }),
      'the dictionary of addresses is cut off',
    ],
    ['a dictionary of nonsense', () => ({ addresses: Uint8Array.of(16, 0) }), 'an address shares 16 bytes'],
    [
      'more addresses than the rows can name',
      () => ({ addresses: Uint8Array.from({ length: 14 }, (_, i) => (i % 2 === 0 ? 15 : i)) }),
      '7 addresses for rows that name 6 at the most',
    ],
    [
      'an address that no row names',
      (part) => ({ addresses: Uint8Array.of(...part.addresses, 15, 9) }),
      'an address of its dictionary is in no row',
    ],
    [
      'an address twice',
      (part) => ({ addresses: Uint8Array.of(...part.addresses, 15, 3), destination: Uint8Array.of(1, 1, 1) }),
      'its dictionary has an address twice',
    ],
    [
      'addresses without rows',
      () => ({ ...NO_ROWS, addresses: Uint8Array.of(15, 1) }),
      '1 addresses for rows that name 0',
    ],
  ])('%s', (_, spoil, message) => {
    const part = { ...good(), ...spoil(good()) };
    expect(() => decodePart(part)).toThrow(MalformedBatch);
    expect(() => decodePart(part)).toThrow(message);
  });

  test.each<[string, Partial<BatchPart>]>([
    ['number 0', { number: 0n }],
    ['number beyond 2^53', { number: 2n ** 60n }],
    ['times that go back', { fromMs: 10n, toMs: 9n }],
    ['a time beyond 2^53', { fromMs: 0n, toMs: 2n ** 63n }],
  ])('%s', (_, wrong) => expect(() => decodeSpan({ ...good(), ...wrong })).toThrow(MalformedBatch));

  test('of any bytes: refused or read, never more rows than bytes', () => {
    const valid = toBinary(BatchPartSchema, good());
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(valid.length - 1), fc.nat(255), (noise, at, value) => {
        const bent = valid.slice();
        bent[at] = value;
        for (const bytes of [noise, bent]) {
          try {
            const part = fromBinary(BatchPartSchema, bytes);
            expect(decodePart(part).rows).toBeLessThanOrEqual(bytes.length);
          } catch (error) {
            expect(error).toBeInstanceOf(Error);
            expect((error as Error).message).not.toMatch(/BUG|undefined/);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

test.each([
  [1, 1, 1, 1, 1],
  [2, 1, 1, 1, 1],
  [3, 2, 2, 1, 2],
  [4, 3, 2, 1, undefined],
  [1, 1, 3, 2, undefined],
  [2, 1, 3, 2, 2],
])('they speak %i to %i, we %i to %i: %s', (newest, oldest, ourNewest, ourOldest, expected) => {
  expect(agreeProtocol({ newest: newest, oldest }, { newest: ourNewest, oldest: ourOldest })).toBe(expected);
});

test('SNAT is in the message only where a row of it has SNAT', () => {
  const flows = emptyColumns(2, 2);
  const [without] = parts(encodeBatch(SPAN, flows, MESSAGE_BYTES));
  expect(without!.sourceNat).toHaveLength(0);
  flows.sourceNat[1] = 1;
  const [having] = parts(encodeBatch(SPAN, flows, MESSAGE_BYTES));
  expect([decodePart(without!), decodePart(having!)].map(({ sourceNat }) => [...sourceNat])).toEqual([
    [0, 0],
    [0, 1],
  ]);
  expect(() => decodePart({ ...having!, sourceNat: Uint8Array.of(0, 2) })).toThrow('source_nat');
});
