import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FLAG, STRIDE, WORD } from '../conntrack/record.ts';
import { IMAGE_WORDS } from './flow-record.ts';
import { FlowTable, type Pairs } from './flow-table.ts';
import type { Moved } from './moved.ts';

const FIRST_READ = 1_700_000_000n * 1_000_000_000n;

interface Connection {
  /** Makes the tuple. */
  tuple: number;
  /** Seconds after the first read; undefined: no timestamp. */
  start?: number;
  id?: number;
  tx?: number;
  rx?: number;
}

/** A block of connections: packets are a tenth of the bytes. */
function block(...connections: Connection[]) {
  const words = new Uint32Array(connections.length * STRIDE);
  const bytes = new DataView(words.buffer);
  for (const [i, { tuple, start, id = 1, tx = 0, rx = 0 }] of connections.entries()) {
    const at = i * STRIDE;
    words[at + WORD.zoneProtocol] = 6 << 16;
    words[at + WORD.originalSource + 3] = tuple;
    words[at + WORD.replySource + 3] = ~tuple;
    words[at + WORD.flags] = FLAG.counters | (start === undefined ? 0 : FLAG.start);
    const identity = start === undefined ? BigInt(id) : FIRST_READ + BigInt(start) * 1_000_000_000n;
    bytes.setBigUint64((at + WORD.identity) * 4, identity, true);
    bytes.setBigUint64((at + WORD.originalPackets) * 4, BigInt(Math.floor(tx / 10)), true);
    bytes.setBigUint64((at + WORD.originalBytes) * 4, BigInt(tx), true);
    bytes.setBigUint64((at + WORD.replyPackets) * 4, BigInt(Math.floor(rx / 10)), true);
    bytes.setBigUint64((at + WORD.replyBytes) * 4, BigInt(rx), true);
  }
  return { words, count: connections.length };
}

/** One pair a tuple, and what was added to it. */
class Sums implements Pairs {
  readonly sums = new Map<number, [number, number, number, number]>();
  pairOf(words: Uint32Array, at: number): number {
    return words[at + WORD.originalSource + 3]!;
  }
  add({ count, pairs, counters }: Moved): void {
    for (let i = 0; i < count; i++) {
      const before = this.sums.get(pairs[i]!) ?? [0, 0, 0, 0];
      const after = before.map((value, counter) => value + counters[i * 4 + counter]!);
      this.sums.set(pairs[i]!, after as [number, number, number, number]);
    }
  }
}

/** What each read moves, in tx bytes of tuple 1. */
function moves(...reads: Connection[][]): number[] {
  const table = new FlowTable(1, FIRST_READ);
  return reads.map((connections) => {
    const pairs = new Sums();
    table.apply(block(...connections), pairs);
    table.endRead(true);
    return pairs.sums.get(1)?.[0] ?? 0;
  });
}

test('what all connections moved is known as a sum, without the outer packets of tunnels', () => {
  const table = new FlowTable(1, FIRST_READ);
  const read = (bytes: number) => {
    const connections = block(...[1, 2, 3, 4].map((tuple) => ({ tuple, start: 1, tx: bytes, rx: 2 * bytes })));
    // The second is VXLAN, the third IP in IP, the fourth another UDP.
    [6 << 16, 17 << 16, 4 << 16, 17 << 16].forEach((protocol, i) => {
      connections.words[i * STRIDE + WORD.zoneProtocol] = protocol;
      connections.words[i * STRIDE + WORD.originalPorts] = (50_000 << 16) | [443, 8472, 0, 53][i]!;
    });
    table.apply(connections, new Sums());
    table.endRead(true);
    return table.innerBytes;
  };
  expect([read(100), read(100), read(150)]).toEqual([600, 600, 900]);
});

describe('what moved', () => {
  test.each<[string, Connection[][], number[]]>([
    [
      'older than the first read: the baseline',
      [[{ tuple: 1, start: -9, tx: 100 }], [{ tuple: 1, start: -9, tx: 130 }]],
      [0, 30],
    ],
    ['begun during the first read: in full', [[{ tuple: 1, start: 0, tx: 100 }]], [100]],
    ['begun later: in full', [[], [{ tuple: 1, start: 3, tx: 100 }], [{ tuple: 1, start: 3, tx: 100 }]], [0, 100, 0]],
    ['older, but hidden from the first read: in full', [[], [{ tuple: 1, start: -9, tx: 100 }]], [0, 100]],
    ['without timestamps: the first read is the baseline', [[{ tuple: 1, tx: 100 }], [{ tuple: 1, tx: 110 }]], [0, 10]],
    ['without timestamps, another id: new', [[{ tuple: 1, tx: 100 }], [{ tuple: 1, id: 2, tx: 110 }]], [0, 110]],
    ['without timestamps, same id, fallen: new', [[{ tuple: 1, tx: 100 }], [{ tuple: 1, tx: 20 }]], [0, 20]],
    [
      'the tuple again with another start: new',
      [[], [{ tuple: 1, start: 1, tx: 100 }], [{ tuple: 1, start: 2, tx: 120 }]],
      [0, 100, 120],
    ],
    [
      'zeroed by another process: what it shows is new',
      [[], [{ tuple: 1, start: 1, tx: 100 }], [{ tuple: 1, start: 1, tx: 40 }]],
      [0, 100, 40],
    ],
    [
      'delivered twice: once',
      [
        [],
        [
          { tuple: 1, start: 1, tx: 100 },
          { tuple: 1, start: 1, tx: 100 },
        ],
      ],
      [0, 100],
    ],
    [
      'missing from a read: goes on',
      [[], [{ tuple: 1, start: 1, tx: 100 }], [], [{ tuple: 1, start: 1, tx: 130 }]],
      [0, 100, 0, 30],
    ],
    [
      'beyond 32 bits',
      [[], [{ tuple: 1, start: 1, tx: 2 ** 32 - 1 }], [{ tuple: 1, start: 1, tx: 2 ** 32 + 9 }]],
      [0, 2 ** 32 - 1, 10],
    ],
  ])('%s', (_, reads, expected) => expect(moves(...reads)).toEqual(expected));

  test('beyond 2^53 the rise is exact', () => {
    const table = new FlowTable(1, FIRST_READ);
    const at = (tx: bigint) => {
      const made = block({ tuple: 1, start: 1 });
      new DataView(made.words.buffer).setBigUint64(WORD.originalBytes * 4, tx, true);
      return made;
    };
    table.apply(at(2n ** 60n + 1n), new Sums());
    const pairs = new Sums();
    table.apply(at(2n ** 60n + 8n), pairs);
    expect(pairs.sums.get(1)).toEqual([7, 0, 0, 0]);
  });

  test('without any identity fallen counters are another connection, not zeroing', () => {
    const table = new FlowTable(1, FIRST_READ);
    const pairs = new Sums();
    for (const tx of [50, 20, 30]) table.apply(block({ tuple: 1, id: 0, tx }), pairs);
    expect([table.recreated, table.counterDecreases]).toEqual([1, 0]);
    expect(pairs.sums.get(1)?.[0]).toBe(20 + 10);
  });

  test('another source has a baseline of its own: its first whole read, or what began before it', () => {
    const table = new FlowTable(1, FIRST_READ);
    const read = (complete: boolean, ...connections: Connection[]) => {
      const pairs = new Sums();
      table.apply(block(...connections), pairs);
      table.endRead(complete);
      return [1, 2].map((tuple) => pairs.sums.get(tuple)?.[0] ?? 0);
    };
    read(true);
    table.baseline.rebase(FIRST_READ + 10_000_000_000n);
    const older = { tuple: 2, start: 9 };
    expect(read(false, { tuple: 1, id: 0, tx: 50 }, { ...older, tx: 70 })).toEqual([0, 0]);
    expect(read(true, { tuple: 1, id: 0, tx: 60 }, { ...older, tx: 71 }, { tuple: 2, start: 11, tx: 5 })).toEqual([
      10, 6,
    ]);
    expect(read(true, { tuple: 1, id: 0, tx: 5 })).toEqual([5, 0]);
  });

  test('counters that fell are counted', () => {
    const table = new FlowTable(1, FIRST_READ);
    table.apply(block({ tuple: 1, start: 1, tx: 50 }), new Sums());
    table.apply(block({ tuple: 1, start: 1, tx: 20 }), new Sums());
    expect(table.counterDecreases).toBe(1);
  });

  test('a whole life of connections adds up to their last counters', () => {
    const rise = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.nat(1000), fc.nat(1000), fc.boolean());
    fc.assert(
      fc.property(
        fc.array(fc.uniqueArray(rise, { maxLength: 30, selector: ([tuple]) => tuple }), { maxLength: 20 }),
        fc.integer(),
        (reads, seed) => {
          const table = new FlowTable(seed, FIRST_READ);
          const pairs = new Sums();
          table.endRead(true);
          // One change a tuple between two reads: what begins and ends between them is not in any dump.
          const truth = new Map<number, { start: number; tx: number; rx: number }>();
          const expected = new Map<number, number>();
          for (const [second, changes] of reads.entries()) {
            for (const [tuple, tx, rx, again] of changes) {
              const known = truth.get(tuple);
              const live = known === undefined || again ? { start: second, tx: 0, rx: 0 } : known;
              live.tx += tx * 10;
              live.rx += rx * 10;
              truth.set(tuple, live);
              expected.set(tuple, (expected.get(tuple) ?? 0) + tx * 10);
            }
            table.apply(block(...[...truth].map(([tuple, live]) => ({ tuple, ...live }))), pairs);
            table.endRead(true);
            table.sweep(2, () => {});
          }
          for (const [tuple, tx] of expected) expect(pairs.sums.get(tuple)?.[0] ?? 0).toBe(tx);
        },
      ),
    );
  });
});

describe('sweep', () => {
  test('drops what the last whole reads did not see, and nothing else', () => {
    const table = new FlowTable(1, FIRST_READ);
    const kept: number[] = [];
    table.apply(block({ tuple: 1, start: 1, tx: 10 }, { tuple: 2, start: 1, tx: 10 }), new Sums());
    table.endRead(true);
    table.apply(block({ tuple: 2, start: 1, tx: 20 }), new Sums());
    table.endRead(true);
    expect(table.sweep(2, () => {})).toBe(0);
    expect(table.sweep(1, (pair) => kept.push(pair))).toBe(1);
    expect(kept).toEqual([2]);
    expect(table.size).toBe(1);
  });

  test('a read that was not whole ends nothing', () => {
    const table = new FlowTable(1, FIRST_READ);
    table.apply(block({ tuple: 1, start: 1 }), new Sums());
    table.endRead(true);
    for (let i = 0; i < 10; i++) table.endRead(false);
    expect(table.sweep(1, () => {})).toBe(0);
  });

  test('what is left is found again', () => {
    const table = new FlowTable(7, FIRST_READ);
    const all = Array.from({ length: 5000 }, (_, tuple) => ({ tuple: tuple + 1, start: 1, tx: 10 }));
    table.apply(block(...all), new Sums());
    table.endRead(true);
    const odd = all.filter(({ tuple }) => tuple % 2 === 1);
    table.apply(block(...odd), new Sums());
    table.endRead(true);
    expect(table.sweep(1, () => {})).toBe(2500);
    const pairs = new Sums();
    table.apply(block(...odd.reverse()), pairs);
    expect(pairs.sums.size).toBe(0);
    expect(table.size).toBe(2500);
  });
});

describe('connections that have ended', () => {
  /** Applies DESTROY events and reads by turns: `read` or `end`, and what it delivers. @returns tx bytes of tuple 1 at each step */
  function play(...steps: ['read' | 'end' | 'stale', Connection][]): number[] {
    const table = new FlowTable(1, FIRST_READ);
    table.endRead(true);
    return steps.map(([kind, connection]) => {
      const pairs = new Sums();
      if (kind === 'end') table.applyDestroyed(block(connection), pairs);
      else table.apply(block(connection), pairs);
      if (kind === 'read') table.endRead(true);
      return pairs.sums.get(1)?.[0] ?? 0;
    });
  }
  const at = (tx: number, start?: number): Connection => ({ tuple: 1, tx, ...(start === undefined ? {} : { start }) });

  test.each<[string, ['read' | 'end' | 'stale', Connection][], number[]]>([
    ['never read: in full', [['end', at(100, 3)]], [100]],
    [
      'read before: what moved since',
      [
        ['read', at(100, 3)],
        ['end', at(130, 3)],
      ],
      [100, 30],
    ],
    [
      'an event that comes twice: once',
      [
        ['end', at(100, 3)],
        ['end', at(100, 3)],
      ],
      [100, 0],
    ],
    [
      'read late by a dump under way: nothing more',
      [
        ['read', at(50, 3)],
        ['end', at(100, 3)],
        ['stale', at(60, 3)],
        ['read', at(70, 3)],
      ],
      [50, 50, 0, 0],
    ],
    ['begun before the first read, which did not show it: it had expired', [['end', at(100, -3)]], [0]],
    [
      'the tuple again: in full',
      [
        ['end', at(100, 3)],
        ['end', at(90, 4)],
        ['read', at(80, 5)],
      ],
      [100, 90, 80],
    ],
    [
      'zeroed by another process: what it shows is new',
      [
        ['read', at(100, 3)],
        ['end', at(20, 3)],
      ],
      [100, 20],
    ],
    [
      'nothing moved since: nothing',
      [
        ['read', at(100, 3)],
        ['end', at(100, 3)],
        ['end', at(100, 3)],
      ],
      [100, 0, 0],
    ],
  ])('%s', (_, steps, expected) => expect(play(...steps)).toEqual(expected));

  test.each<[string, ['read' | 'end' | 'stale', Connection][], number[]]>([
    ['never read: in full', [['end', at(100)]], [100]],
    [
      'the next with the same id, by its DESTROY event: in full',
      [
        ['end', at(100)],
        ['end', at(100)],
      ],
      [100, 100],
    ],
    [
      'read late by a dump under way: nothing more',
      [
        ['read', at(50)],
        ['end', at(100)],
        ['stale', at(60)],
        ['read', at(70)],
      ],
      [50, 50, 0, 0],
    ],
    [
      'the next with the same id: late by a read, in full',
      [
        ['end', at(100)],
        ['read', at(40)],
        ['read', at(40)],
        ['end', at(60)],
      ],
      [100, 0, 40, 20],
    ],
    [
      'the next with the same id, swallowed by the read, by its DESTROY event',
      [
        ['end', at(100)],
        ['read', at(40)],
        ['end', at(60)],
      ],
      [100, 0, 60],
    ],
  ])('without timestamps: %s', (_, steps, expected) => expect(play(...steps)).toEqual(expected));

  test('without timestamps, before the first read has ended: the baseline', () => {
    const table = new FlowTable(1, FIRST_READ);
    const pairs = new Sums();
    table.applyDestroyed(block({ tuple: 1, tx: 100 }), pairs);
    expect(pairs.sums.size).toBe(0);
  });

  test('their pair is not used, and is not given a new number', () => {
    const table = new FlowTable(1, FIRST_READ);
    const used: number[] = [];
    table.apply(block({ tuple: 1, start: 1, tx: 10 }, { tuple: 2, start: 1, tx: 10 }), new Sums());
    table.applyDestroyed(block({ tuple: 1, start: 1, tx: 10 }), new Sums());
    table.endRead(true);
    expect(table.sweep(1, (pair) => used.push(pair))).toBe(0);
    expect(used).toEqual([2]);
    table.renumberPairs(Uint32Array.of(0, 0, 1));
    const pairs = new Sums();
    table.apply(block({ tuple: 1, start: 1, tx: 9 }), pairs);
    expect([pairs.sums.size, table.size, table.tombstones]).toEqual([0, 1, 1]);
  });

  test('a sweep keeps the last ones, and the rest of the table', () => {
    const table = new FlowTable(1, FIRST_READ);
    const ended = Array.from({ length: 20_000 }, (_, i) => ({ tuple: i + 2, start: 1, tx: 10 }));
    table.apply(block({ tuple: 1, start: 1, tx: 10 }), new Sums());
    table.endRead(true);
    expect(table.wantsSweep).toBe(false);
    table.applyDestroyed(block(...ended), new Sums());
    expect([table.size, table.tombstones, table.wantsSweep]).toEqual([1, 20_000, true]);
    expect(table.sweep(3, () => {})).toBe(0);
    expect([table.size, table.tombstones, table.wantsSweep]).toEqual([1, 4096, false]);
    const pairs = new Sums();
    table.applyDestroyed(block(...ended.slice(-4096)), pairs);
    table.apply(block({ tuple: 1, start: 1, tx: 15 }), pairs);
    expect([...pairs.sums]).toEqual([[1, [5, 0, 0, 0]]]);
  });

  test('an image leaves them out, but where another connection may come with their key', () => {
    const table = new FlowTable(1, FIRST_READ);
    table.endRead(true);
    table.apply(block({ tuple: 1, start: 1, tx: 10 }, { tuple: 2, tx: 10 }), new Sums());
    table.applyDestroyed(block({ tuple: 1, start: 1, tx: 20 }, { tuple: 2, tx: 20 }), new Sums());
    for (const whole of [false, true]) {
      const image = table.image(whole);
      expect(image.length).toBe(IMAGE_WORDS);
      const later = new FlowTable(2, FIRST_READ, false);
      later.restore(image);
      const pairs = new Sums();
      later.apply(block({ tuple: 2, tx: 7 }), pairs);
      expect([...pairs.sums]).toEqual([[2, [7, 0, 0, 0]]]);
    }
  });

  /**
   * A kernel in small. It hides entries from dumps, dumps entries as they were a while ago, sends DESTROY events late and, where connections
   * have start times, also twice; but an event sent before it wrote a record is delivered before that record.
   */
  class Kernel {
    readonly counted = new Map<number, number>();
    readonly #live = new Map<number, Connection & { tx: number; hidden: boolean }>();
    #table: FlowTable;
    readonly #images: Uint32Array[] = [];
    readonly #pairs = new Sums();
    readonly #timestamps: boolean;
    #events: Connection[] = [];
    #delivered: Connection[] = [];
    #written: Connection[] | undefined;
    #clock = 1;

    constructor(seed: number, timestamps: boolean) {
      this.#table = new FlowTable(seed, FIRST_READ);
      this.#table.endRead(true);
      this.#timestamps = timestamps;
    }

    move(tuple: number, bytes: number): void {
      const start = this.#timestamps ? { start: this.#clock++ } : {};
      const one = this.#live.get(tuple) ?? { tuple, tx: 0, hidden: false, ...start };
      if (one.hidden) return;
      one.tx += bytes;
      this.#live.set(tuple, one);
      this.counted.set(tuple, (this.counted.get(tuple) ?? 0) + bytes);
    }

    hide(tuple: number): void {
      const one = this.#live.get(tuple);
      if (one !== undefined) one.hidden = true;
    }

    end(tuple: number): void {
      const one = this.#live.get(tuple);
      if (one !== undefined) this.#events.push({ ...one });
      this.#live.delete(tuple);
    }

    /** The kernel writes records of a dump; those written before are delivered now. */
    dump(from: number): void {
      const before = this.#written ?? [];
      this.drain();
      this.#table.apply(block(...before), this.#pairs);
      this.#written = [...this.#live.values()]
        .filter(({ tuple, hidden }) => !hidden && tuple >= from)
        .map((one) => ({ ...one }));
    }

    drain(): void {
      this.#table.applyDestroyed(block(...this.#events), this.#pairs);
      this.#delivered.push(...this.#events);
      this.#events = [];
    }

    repeat(which: number): void {
      const ended = this.#delivered[which % Math.max(1, this.#delivered.length)];
      if (ended !== undefined && this.#timestamps) this.#table.applyDestroyed(block(ended), this.#pairs);
    }

    endRead(sweep: boolean): void {
      this.dump(Number.POSITIVE_INFINITY);
      this.#written = undefined;
      this.#table.endRead(true);
      if (sweep) this.#table.sweep(100, () => {});
    }

    /** Another process goes on from the images. It does not get the events of the one before. */
    restart(seed: number): void {
      this.endRead(false);
      this.#images.push(this.#table.image(this.#images.length === 0));
      this.#table = new FlowTable(seed, FIRST_READ, false);
      for (const image of this.#images) this.#table.restore(image);
      this.#delivered = [];
    }

    /** What was counted of each tuple in the end: two reads later, since without timestamps one may be late. */
    settle(): Map<number, number> {
      this.drain();
      for (let i = 0; i < 3; i++) {
        for (const one of this.#live.values()) one.hidden = false;
        this.dump(0);
        this.endRead(false);
      }
      return new Map([...this.#pairs.sums].map(([tuple, [tx]]) => [tuple, tx]));
    }
  }

  /** Short, for the unit tests; it holds for many more. */
  const RUNS = 150;
  const tuple = fc.integer({ min: 1, max: 6 });
  const step = fc.oneof(
    fc.tuple(fc.constant('move' as const), tuple, fc.integer({ min: 1, max: 500 })),
    fc.tuple(fc.constantFrom('end', 'hide', 'dump', 'drain', 'repeat', 'endRead', 'restart'), tuple, fc.nat(50)),
  );

  test.each([true, false])('whatever comes between what, all is counted once; timestamps: %s', (timestamps) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer(), (steps, seed) => {
        const kernel = new Kernel(seed, timestamps);
        for (const [kind, which, number] of steps) {
          if (kind === 'move') kernel.move(which, number);
          else if (kind === 'drain') kernel.drain();
          else if (kind === 'endRead') kernel.endRead(number % 3 === 0);
          else if (kind === 'restart') kernel.restart(seed + number);
          else if (kind === 'repeat') kernel.repeat(number);
          else kernel[kind as 'end' | 'hide' | 'dump'](which);
        }
        expect(kernel.settle()).toEqual(kernel.counted);
      }),
      { numRuns: RUNS },
    );
  });
});

describe('an image', () => {
  const seen = (...connections: Connection[]) => {
    const table = new FlowTable(1, FIRST_READ);
    table.apply(block(...connections), new Sums());
    return table;
  };
  /** A table of another process, made of images. */
  const later = (...images: Uint32Array[]) => {
    const table = new FlowTable(99, FIRST_READ, false);
    for (const image of images) table.restore(image);
    return table;
  };
  const tx = (table: FlowTable, ...connections: Connection[]) => {
    const pairs = new Sums();
    table.apply(block(...connections), pairs);
    return [...pairs.sums].map(([tuple, [bytes]]) => [tuple, bytes]);
  };

  test('what is in it goes on, what is not counts in full', () => {
    const table = later(seen({ tuple: 1, start: 1, tx: 100 }).image(true));
    expect(tx(table, { tuple: 1, start: 1, tx: 130 }, { tuple: 2, start: -9, tx: 7 })).toEqual([
      [1, 30],
      [2, 7],
    ]);
  });

  test('of changes only holds what changed, and the later one counts', () => {
    const table = seen({ tuple: 1, start: 1, tx: 100 }, { tuple: 2, start: 1, tx: 200 });
    const whole = table.image(false);
    tx(table, { tuple: 1, start: 1, tx: 100 }, { tuple: 2, start: 1, tx: 250 });
    const changes = table.image(false);
    expect([whole.length, changes.length, table.image(false).length]).toEqual([2 * IMAGE_WORDS, IMAGE_WORDS, 0]);
    expect(tx(later(whole, changes), { tuple: 1, start: 1, tx: 101 }, { tuple: 2, start: 1, tx: 252 })).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  test('holds the baseline', () => {
    const table = later(seen({ tuple: 1, start: -9, tx: 100 }).image(false));
    expect(tx(table, { tuple: 1, start: -9, tx: 130 })).toEqual([[1, 30]]);
  });

  test('of changes is right after a sweep too', () => {
    const table = seen({ tuple: 1, start: 1, tx: 10 }, { tuple: 2, start: 1, tx: 20 });
    table.endRead(true);
    table.image(true);
    tx(table, { tuple: 2, start: 1, tx: 25 });
    table.endRead(true);
    table.sweep(1, () => {});
    const changes = table.image(false);
    expect(changes.length).toBe(IMAGE_WORDS);
    expect(tx(later(changes), { tuple: 2, start: 1, tx: 26 })).toEqual([[2, 1]]);
  });

  test('what was restored and is never seen again is swept', () => {
    const table = later(seen({ tuple: 1, start: 1, tx: 10 }).image(true));
    for (let read = 0; read < 3; read++) table.endRead(true);
    expect(table.sweep(2, () => {})).toBe(1);
  });

  test('the end of one that is older than the first read of all, and that no read has seen, moves nothing', () => {
    const pairs = new Sums();
    later().applyDestroyed(block({ tuple: 1, start: -9, tx: 100 }, { tuple: 2, start: 9, tx: 200 }), pairs);
    expect([...pairs.sums].filter(([, [tx]]) => tx > 0)).toEqual([[2, [200, 20, 0, 0]]]);
  });

  test('without a whole read the baseline stays open, also for a later table', () => {
    const table = seen({ tuple: 1, start: -9, tx: 100 });
    table.endRead(false);
    expect([table.baseline.firstReadNs, table.baseline.isOpen]).toEqual([FIRST_READ, true]);
    const next = new FlowTable(99, table.baseline.firstReadNs, table.baseline.isOpen);
    next.restore(table.image(true));
    expect(tx(next, { tuple: 1, start: -9, tx: 130 }, { tuple: 2, start: -9, tx: 7 })).toEqual([[1, 30]]);
    next.endRead(true);
    expect([next.baseline.firstReadNs, next.baseline.isOpen]).toEqual([FIRST_READ, false]);
  });
});
