import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type ConnectionBlock, FLAG, STRIDE, WORD } from '../conntrack/record.ts';
import { IMAGE_WORDS } from './flow-record.ts';
import { FlowTable, type Pairs } from './flow-table.ts';
import type { Moved } from './moved.ts';

const FIRST_READ_NS = 1_700_000_000n * 1_000_000_000n;

/** One entry of the kernel's table. */
interface Entry {
  zone: number;
  /** Makes the original tuple; `port` tells connections of one pair apart. */
  tuple: number;
  port?: number;
  /** Microseconds after the first read; undefined: no timestamps, `id` is the identity. */
  start?: number | undefined;
  id?: number;
  bytes: number;
  /** Who answers, where not the tuple says it. */
  answers?: number;
  /** The original destination, where another one than who answers (DNAT). */
  service?: number;
  /** The source's port behind the zone, where another one. */
  portBehind?: number;
}

function block(...entries: readonly Entry[]): ConnectionBlock {
  const words = new Uint32Array(entries.length * STRIDE);
  const view = new DataView(words.buffer);
  for (const [
    i,
    { zone, tuple, port = 40_000, start, id = 1, bytes, answers = ~tuple, service = answers, portBehind = port },
  ] of entries.entries()) {
    const at = i * STRIDE;
    words[at + WORD.zoneProtocol] = zone | (6 << 16);
    words[at + WORD.originalSource + 3] = tuple;
    words[at + WORD.originalDestination + 3] = service;
    words[at + WORD.originalPorts] = (port << 16) | (service === answers ? 8080 : 80);
    words[at + WORD.replySource + 3] = answers;
    words[at + WORD.replyPorts] = (8080 << 16) | portBehind;
    words[at + WORD.flags] = FLAG.counters | (start === undefined ? 0 : FLAG.start);
    const identity = start === undefined ? BigInt(id) : FIRST_READ_NS + BigInt(start) * 1000n;
    view.setBigUint64((at + WORD.identity) * 4, identity, true);
    view.setBigUint64((at + WORD.originalPackets) * 4, BigInt(Math.ceil(bytes / 100)), true);
    view.setBigUint64((at + WORD.originalBytes) * 4, BigInt(bytes), true);
    view.setBigUint64((at + WORD.replyBytes) * 4, BigInt(2 * bytes), true);
  }
  return { words, count: entries.length };
}

/** Bytes by tuple; the reply direction must have twice as many. */
class Sums implements Pairs {
  readonly bytes = new Map<number, number>();
  #replies = 0;
  #sent = 0;

  pairOf(words: Uint32Array, at: number): number {
    return words[at + WORD.originalSource + 3]!;
  }

  add({ count, pairs, counters }: Moved): void {
    for (let i = 0; i < count; i++) {
      this.bytes.set(pairs[i]!, (this.bytes.get(pairs[i]!) ?? 0) + counters[4 * i]!);
      this.#sent += counters[4 * i]!;
      this.#replies += counters[4 * i + 2]!;
    }
  }

  get total(): number {
    expect(this.#replies).toBe(2 * this.#sent);
    return this.#sent;
  }
}

/** A table that is read and told of ends, step by step. */
class Reading {
  table = new FlowTable(1, FIRST_READ_NS);
  readonly sums = new Sums();

  read(entries: readonly Entry[], complete = true): this {
    this.table.apply(block(...entries), this.sums);
    this.table.settleZones(complete, this.sums);
    this.table.endRead(complete);
    return this;
  }

  /** Nothing will be read any more. */
  stop(): this {
    this.table.settleZones(false, this.sums, true);
    return this;
  }

  destroy(...entries: readonly Entry[]): this {
    this.table.applyDestroyed(block(...entries), this.sums);
    return this;
  }
}

const one = (zone: number, bytes: number, rest: Partial<Entry> = {}): Entry => ({
  zone,
  tuple: 1,
  start: 1_000_000 + zone,
  bytes,
  ...rest,
});

describe('the same packets in two zones count once', () => {
  const begun = () => new Reading().read([]);

  test.each<[string, () => Reading, number]>([
    ['one zone', () => begun().read([one(0, 500)]), 500],
    ['two zones', () => begun().read([one(10, 500), one(20, 500)]), 500],
    ['three zones', () => begun().read([one(10, 500), one(20, 500), one(0, 500)]), 500],
    ['translated in the first zone only', () => begun().read([one(10, 500, { service: 7 }), one(20, 500)]), 500],
    ['the larger counts: packets dropped between the zones', () => begun().read([one(20, 300), one(10, 500)]), 500],
    [
      'growing',
      () =>
        begun()
          .read([one(10, 500), one(20, 500)])
          .read([one(10, 900), one(20, 900)]),
      900,
    ],
    [
      'read while it moves',
      () =>
        begun()
          .read([one(10, 500), one(20, 510)])
          .read([one(10, 900), one(20, 905)]),
      905,
    ],
    [
      'the second zone comes later',
      () =>
        begun()
          .read([one(10, 500)])
          .read([one(10, 800), one(20, 800)]),
      800,
    ],
    [
      'zones that appear while the collector runs',
      () =>
        begun()
          .read([one(0, 100, { tuple: 2, port: 1 })])
          .read([one(10, 500), one(20, 500), one(0, 100, { tuple: 2, port: 1 })]),
      600,
    ],
    [
      'two connections of a pair',
      () => begun().read([1, 2].flatMap((port) => [one(10, 50, { port }), one(20, 50, { port })])),
      100,
    ],
    [
      'ends in both',
      () =>
        begun()
          .read([one(10, 500), one(20, 500)])
          .destroy(one(10, 700), one(20, 700)),
      700,
    ],
    [
      'never read: two DESTROY events',
      () =>
        begun()
          .read([one(0, 1, { tuple: 2 })])
          .destroy(one(10, 700), one(20, 700)),
      701,
    ],
    [
      'ends at different times',
      () =>
        begun()
          .read([one(10, 500), one(20, 500)])
          .destroy(one(10, 600))
          .read([one(20, 650)])
          .destroy(one(20, 650)),
      650,
    ],
    [
      'the baseline of both',
      () =>
        new Reading()
          .read([one(10, 500, { start: -9e6 }), one(20, 500, { start: -9e6 })])
          .read([one(10, 600, { start: -9e6 }), one(20, 600, { start: -9e6 })]),
      100,
    ],
    [
      'the first packet was lost between the zones, and sent again',
      () =>
        begun()
          .read([one(10, 500), one(20, 440, { start: 2_050_000 })])
          .destroy(one(10, 600), one(20, 540, { start: 2_050_000 })),
      600,
    ],
    [
      'one zone sees the connection long after the other',
      () => {
        const late = { start: 31_000_000 };
        return begun()
          .read([one(10, 500), one(20, 440, late)])
          .read([one(10, 600), one(20, 540, late)])
          .destroy(one(10, 700), one(20, 640, late));
      },
      700,
    ],
    [
      'without timestamps',
      () =>
        begun().read([one(10, 500, { start: undefined, id: 7 }), one(20, 500, { start: undefined, id: 8 })] as Entry[]),
      500,
    ],
    [
      'zeroed by another reader, both',
      () =>
        begun()
          .read([one(10, 500), one(20, 500)])
          .read([one(10, 40), one(20, 40)]),
      540,
    ],
  ])('%s', (_, run, expected) => expect(run().sums.total).toBe(expected));
});

test('other connections count on their own: another port, another tuple', () => {
  const reading = new Reading()
    .read([])
    .read([one(10, 500), one(20, 300, { port: 41_000 }), one(20, 100, { tuple: 2 })]);
  expect(reading.sums.total).toBe(900);
});

test('two connections to one backend by two Services, with one source port: the first zone gives one of them another', () => {
  const byService = [one(10, 500, { service: 7 }), one(20, 500)];
  const byNodePort = [
    one(10, 300, { service: 8, portBehind: 50_000, start: 3_000_000 }),
    one(20, 300, { port: 50_000, start: 3_000_020 }),
  ];
  const orders = [
    [0, 1, 2, 3],
    [2, 1, 0, 3],
    [3, 2, 1, 0],
    [1, 2, 3, 0],
  ];
  const sums = orders.map((order) => {
    const all = [...byService, ...byNodePort];
    return new Reading()
      .read([])
      .read(order.map((i) => all[i]!))
      .destroy(...all).sums.total;
  });
  expect(sums).toEqual([800, 800, 800, 800]);
});

test('zones of one direction each hold half a connection: both count', () => {
  const half = { zone: 2, tuple: ~1, start: 1_000_002, bytes: 200 };
  const reading = new Reading().read([]).read([one(1, 500), half]);
  expect([...reading.sums.bytes.values()]).toEqual([500, 200]);
});

test('masqueraded before the second zone: its entry has another source, and is a second hop', () => {
  // The client's connection in the host's zone, answered by the pod; the same in the pod's zone, opened by the node.
  const client = (bytes: number): Entry => ({ zone: 0, tuple: 1, answers: 9, start: 1_000_000, bytes });
  const node = (bytes: number): Entry => ({ zone: 10, tuple: 2, answers: 9, start: 1_000_010, bytes });
  const reading = new Reading()
    .read([])
    .read([client(500), node(500)])
    .destroy(node(700), client(700));
  expect([...reading.sums.bytes]).toEqual([
    [1, 700],
    [2, 700],
  ]);
});

describe('the same ports again', () => {
  const again = (zone: number, bytes: number) => one(zone, bytes, { start: 9_000_000 + zone });

  test('a new life in both zones counts in full', () => {
    const reading = new Reading()
      .read([])
      .read([one(10, 500), one(20, 500)])
      .destroy(one(10, 500), one(20, 500));
    expect(reading.read([again(10, 300), again(20, 300)]).read([again(10, 300), again(20, 300)]).sums.total).toBe(800);
  });

  test('a new life whose ends come late: in full, after the next read', () => {
    const reading = new Reading()
      .read([])
      .read([one(10, 500), one(20, 500)])
      .read([again(10, 300), again(20, 300)]);
    expect(reading.read([again(10, 300), again(20, 300)]).destroy(one(10, 510), one(20, 510)).sums.total).toBe(810);
  });

  test('within a millisecond too', () => {
    const soon = (zone: number, bytes: number) => one(zone, bytes, { start: 1_000_900 + zone });
    const reading = new Reading()
      .read([])
      .read([one(10, 500), one(20, 500)])
      .destroy(one(10, 500), one(20, 500));
    expect(reading.read([soon(20, 300), soon(10, 300)]).read([soon(20, 310), soon(10, 310)]).sums.total).toBe(810);
  });

  test('one half that the kernel made anew counts nothing that the other counts', () => {
    const reading = new Reading()
      .read([])
      .read([one(10, 500), one(20, 500)])
      .destroy(one(10, 500));
    reading.read([again(10, 40), one(20, 540)]).read([again(10, 60), one(20, 560)]);
    expect(reading.sums.total).toBe(560);
    expect(reading.destroy(one(20, 560)).read([again(10, 100)]).sums.total).toBe(600);
  });

  test('what is withheld is handed over at the end, and is not in an image before', () => {
    const reading = new Reading()
      .read([])
      .read([one(10, 500), one(20, 500)])
      .read([again(10, 300), one(20, 500)]);
    expect(reading.sums.total).toBe(500);
    expect(reading.table.image(true).length).toBe(2 * IMAGE_WORDS);
    reading.table.settleZones(true, reading.sums, true);
    expect(reading.sums.total).toBe(800);
  });
});

test('after a restart twins go on as one', () => {
  const before = new Reading().read([]).read([one(10, 500), one(20, 480)]);
  const after = new Reading();
  after.table.restore(before.table.image(true));
  expect(after.read([one(10, 600), one(20, 600)]).read([one(10, 650), one(20, 650)]).sums.total).toBe(150);
});

describe('after a restart, where a dump had come to one twin before the other', () => {
  const restarted = () => {
    const before = new Reading().read([]).read([one(10, 500), one(20, 480), one(0, 100, { tuple: 2 })]);
    const after = new Reading();
    after.table.restore(before.table.image(true));
    return after;
  };

  test.each<[string, (after: Reading) => Reading, number]>([
    ['both are read', (after) => after.read([one(10, 600), one(20, 600)]), 100],
    ['in another order', (after) => after.read([one(20, 600), one(10, 600)]), 100],
    ['nothing moved', (after) => after.read([one(20, 500), one(10, 500)]), 0],
    ['they end before a read', (after) => after.destroy(one(20, 600), one(10, 600)).read([]), 100],
    [
      'one is read, then the other ends',
      (after) =>
        after
          .read([one(20, 600)], false)
          .destroy(one(10, 600))
          .read([]),
      100,
    ],
    ['it goes on', (after) => after.read([one(20, 600), one(10, 600)]).read([one(20, 700), one(10, 700)]), 200],
    ['without a twin', (after) => after.read([one(0, 150, { tuple: 2 })]).read([one(0, 170, { tuple: 2 })]), 70],
    ['a read that is not whole', (after) => after.read([one(20, 600)], false).read([one(20, 600), one(10, 610)]), 110],
    ['nothing is read any more', (after) => after.read([one(20, 600)], false).stop(), 120],
  ])('%s', (_, go, expected) => expect(go(restarted()).sums.total).toBe(expected));
});

describe('after a restart, where a dump had met one twin alone', () => {
  const restarted = (...zones: number[]) => {
    const before = new Reading().read([]).read(zones.map((zone) => one(zone, 480)).concat(one(0, 100, { tuple: 2 })));
    const after = new Reading();
    // What begins after a restart counts in full.
    after.table = new FlowTable(1, FIRST_READ_NS, false);
    after.table.restore(before.table.image(true));
    return after;
  };

  test.each<[string, (after: Reading) => Reading, number]>([
    ['it comes first', (after) => after.read([one(10, 600), one(20, 600)]), 120],
    ['it comes last', (after) => after.read([one(20, 600), one(10, 600)]), 120],
    ['both end before a read', (after) => after.destroy(one(20, 600), one(10, 600)).read([]), 120],
    ['it is gone: what the other counted is new, as far as can be known', (after) => after.read([one(20, 600)]), 600],
    [
      'another connection',
      (after) => after.read([one(10, 480), one(20, 70, { tuple: 3 }), one(10, 70, { tuple: 3 })]),
      70,
    ],
    ['a read that is not whole', (after) => after.read([one(20, 600)], false).read([one(20, 600), one(10, 610)]), 130],
  ])('%s', (_, go, expected) => expect(go(restarted(10)).sums.total).toBe(expected));

  test('what is withheld is in no image', () => {
    const after = restarted(10);
    after.table.apply(block(one(20, 600)), after.sums);
    expect([after.sums.total, after.table.image(true).length]).toEqual([0, 2 * IMAGE_WORDS]);
  });
});

describe('many short connections, each ended in one zone first', () => {
  const MANY = 17_000;
  const half = (zone: number) =>
    Array.from({ length: MANY }, (_, i) => one(zone, 100, { tuple: 1 + (i >> 14), port: i & 16_383 }));
  const ended = () => {
    const reading = new Reading().read([one(10, 5), one(20, 5)]).destroy(...half(10));
    expect(reading.table.wantsSweep).toBe(true);
    reading.table.sweep(2, () => {});
    return reading;
  };

  test('the other half counts nothing, after a sweep and a read too', () => {
    const reading = ended().read([]);
    reading.table.sweep(2, () => {});
    expect(reading.destroy(...half(20)).sums.total).toBe(5 + MANY * 100);
  });

  test('what is kept for it does not ask for sweep after sweep, and goes', () => {
    const reading = ended();
    expect([reading.table.tombstones, reading.table.wantsSweep]).toEqual([MANY, false]);
    reading
      .read([])
      .read([])
      .read([])
      .table.sweep(2, () => {});
    expect(reading.table.tombstones).toBe(4096);
  });

  test('one that both halves have left goes at once', () => {
    const reading = ended().destroy(...half(20));
    reading.table.sweep(2, () => {});
    expect(reading.table.tombstones).toBe(4096);
  });
});

test('what is set aside is shown, as long as it is there', () => {
  const reading = new Reading().read([]).read([one(10, 500), one(20, 500), one(0, 500), one(0, 7, { tuple: 2 })]);
  expect(reading.table.zoneDuplicates).toBe(2);
  expect(reading.destroy(one(10, 500), one(20, 500)).table.zoneDuplicates).toBe(0);
});

/** Two zones on the way of every packet, as a kernel has them. Events and reads come at any time. */
class TwoZones {
  truth = 0;
  readonly reading = new Reading().read([]);
  readonly #entries = new Map<string, Entry>();
  #events: Entry[] = [];
  /** Reads that must still come before another end, so that they can tell the halves apart. */
  #undecided = 0;
  #now = 1_000_000;

  /** @param wait microseconds since the last: a life does not follow another sooner than a packet passes from zone to zone */
  packet(port: number, bytes: number, wait: number): void {
    this.#now += wait;
    this.truth += bytes;
    if (this.#entries.has(`10 ${port}`) !== this.#entries.has(`20 ${port}`)) this.#undecided = 2;
    for (const zone of [10, 20]) {
      const key = `${zone} ${port}`;
      const entry = this.#entries.get(key) ?? { zone, tuple: 1, port, start: this.#now + zone, bytes: 0 };
      entry.bytes += bytes;
      this.#entries.set(key, entry);
    }
  }

  /** The entry of one zone goes, or those of both. */
  end(port: number, zones: readonly number[]): void {
    while (this.#undecided > 0) this.read(0, true);
    for (const zone of zones) {
      const entry = this.#entries.get(`${zone} ${port}`);
      if (entry !== undefined) this.#events.push({ ...entry });
      this.#entries.delete(`${zone} ${port}`);
    }
  }

  drain(): void {
    this.reading.destroy(...this.#events);
    this.#events = [];
  }

  /** One half goes by itself seldom, and not while ends wait: the kernel tells at once. */
  half(port: number, zone: number): void {
    this.drain();
    this.read(0, true);
    this.end(port, [zone]);
    this.drain();
  }

  read(order: number, complete: boolean): void {
    if (complete && this.#undecided > 0) this.#undecided--;
    const entries = [...this.#entries.values()];
    const turned = [
      ...entries.slice(order % (entries.length || 1)),
      ...entries.slice(0, order % (entries.length || 1)),
    ];
    this.reading.read(
      turned.map((entry) => ({ ...entry })),
      complete,
    );
  }

  sweep(): void {
    this.reading.table.sweep(1000, () => {});
  }
}

test('whatever ends and comes again, in both zones or in one: the bytes are those that passed', () => {
  const wait = fc.constantFrom(50, 500, 100_000, 2_000_000);
  const step = fc.tuple(
    fc.constantFrom('packet', 'packet', 'end', 'half', 'read', 'partly', 'drain', 'sweep'),
    fc.nat(1),
    fc.integer({ min: 1, max: 900 }),
    wait,
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const world = new TwoZones();
      world.packet(9, 1, 1);
      world.read(0, true);
      for (const [kind, port, number, ms] of steps) {
        if (kind === 'packet') world.packet(port, number, ms);
        else if (kind === 'end') world.end(port, [10, 20]);
        else if (kind === 'half') world.half(port, number % 2 === 0 ? 10 : 20);
        else if (kind === 'read') world.read(number, true);
        else if (kind === 'partly') world.read(number, false);
        else if (kind === 'sweep') world.sweep();
        else world.drain();
      }
      world.drain();
      for (let read = 0; read < 3; read++) world.read(read, true);
      expect(world.reading.sums.total).toBe(world.truth);
    }),
    { numRuns: 500 },
  );
});
