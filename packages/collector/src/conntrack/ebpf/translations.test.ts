import { formatAddress, parseAddress } from '@egressd/flow/address';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { IMAGE_WORDS } from '../../flow-table/flow-record.ts';
import { FlowTable } from '../../flow-table/flow-table.ts';
import type { Moved } from '../../flow-table/moved.ts';
import { type ConnectionBlock, FLAG, STRIDE, WORD } from '../record.ts';
import { recordFields } from '../record-fields.ts';
import { viewEntries } from './decode.ts';
import { KEY_BYTES, VALUE_BYTES } from './layout.ts';
import { Translations } from './translations.ts';

const [CLIENT, SERVICE, POD, OTHER_POD, NODE, INTERNET] = [
  '10.1.0.5',
  '10.96.0.1',
  '10.1.0.7',
  '10.2.0.8',
  '192.168.0.1',
  '203.0.113.9',
];
const EPOCH = 1_700_000_000n * 10n ** 9n;
const START = EPOCH + 10n ** 9n;

/** Bytes of a pair as sockets count them: from the local end, to it, and what the other end's sockets do. A packet is of 100 bytes. */
interface Pair {
  readonly local: string;
  readonly remote: string;
  readonly sent: number;
  readonly received: number;
  readonly born?: bigint;
  readonly bothLocal?: boolean;
}

interface Connection {
  readonly source: string;
  readonly destination: string;
  readonly answers: string;
  readonly seenAs?: string;
  readonly port?: number;
  readonly sent: number;
  readonly received: number;
  readonly status?: number;
  readonly start?: bigint;
}

function entriesOf(pairs: readonly Pair[]) {
  const keys = Buffer.alloc(pairs.length * KEY_BYTES);
  const values = Buffer.alloc(pairs.length * VALUE_BYTES);
  for (const [i, { local, remote, sent, received, born = 6n, bothLocal = false }] of pairs.entries()) {
    const [own, far] = [Buffer.from(parseAddress(local)!), Buffer.from(parseAddress(remote)!)];
    const isLow = own.readBigUInt64LE(8) < far.readBigUInt64LE(8);
    keys.set(isLow ? own : far, i * KEY_BYTES);
    keys.set(isLow ? far : own, i * KEY_BYTES + 16);
    keys.writeUInt32LE(6, i * KEY_BYTES + 32);
    const ownEnd = [sent, sent / 100, received, received / 100];
    const farEnd = bothLocal ? [received, received / 100, sent, sent / 100] : [0, 0, 0, 0];
    const words = isLow ? [...ownEnd, ...farEnd] : [...farEnd, ...ownEnd];
    for (const [w, word] of words.entries()) values.writeBigUInt64LE(BigInt(word), i * VALUE_BYTES + 8 * w);
    values.writeBigUInt64LE((born & ~1n) | (isLow ? 0n : 1n), i * VALUE_BYTES + 64);
  }
  return viewEntries(keys, values);
}

function blockOf(connections: readonly Connection[]): ConnectionBlock {
  const words = new Uint32Array(connections.length * STRIDE);
  const bytes = Buffer.from(words.buffer);
  for (const [i, one] of connections.entries()) {
    const base = i * STRIDE;
    const { source, destination, answers, seenAs = source, port = 1000, sent, received, start = START } = one;
    words[base + WORD.zoneProtocol] = 6 << 16;
    const put = (word: number, address: string) => bytes.set(parseAddress(address)!, 4 * (base + word));
    put(WORD.originalSource, source);
    put(WORD.originalDestination, destination);
    put(WORD.replySource, answers);
    put(WORD.replyDestination, seenAs);
    words[base + WORD.originalPorts] = port << 16;
    bytes.writeBigUInt64LE(start, 4 * (base + WORD.identity));
    for (const [w, word] of [sent / 100, sent, received / 100, received].entries())
      bytes.writeBigUInt64LE(BigInt(word), 4 * (base + WORD.originalPackets) + 8 * w);
    words[base + WORD.flags] = FLAG.counters | FLAG.start | (seenAs === source ? 0 : FLAG.sourceNat);
    words[base + WORD.status] = one.status ?? 0;
  }
  return { words, count: connections.length };
}

/** A collector: translations, its flow table, and the pairs that it would report. */
class Process {
  readonly table: FlowTable;
  readonly translations: Translations;
  readonly moved: Map<string, number>;
  readonly #keys: string[] = [''];

  constructor(before?: Process, sinceNs = EPOCH) {
    this.translations = new Translations({ seed: 1, sinceNs, firstNumber: before === undefined ? 1 : 5000 });
    this.table = new FlowTable(1, EPOCH, before === undefined);
    this.moved = before?.moved ?? new Map();
    if (before === undefined) return;
    this.table.restore(before.table.image(true));
    this.translations.restore(this.table.image(true), IMAGE_WORDS);
  }

  read(pairs: readonly Pair[], connections: readonly Connection[], sinceBootNs = 100n): void {
    const deliver = (block: ConnectionBlock) => this.table.apply(block, this);
    this.translations.beginRead(sinceBootNs);
    const entries = entriesOf(pairs);
    this.translations.noteConnections(blockOf(connections));
    this.translations.endDump(true);
    this.translations.scan(entries, pairs.length);
    for (let entry = 0; entry < pairs.length; entry++) this.translations.deliver(entries, entry, deliver);
    this.translations.deliverForwarded(deliver);
    this.table.endRead(true);
  }

  pairOf(words: Uint32Array, at: number): number {
    const { sourceNat } = recordFields({ words: words.subarray(at, at + STRIDE), count: 1 }, 0);
    const bytes = new Uint8Array(words.buffer, words.byteOffset + 4 * at);
    const ends = [WORD.originalSource, WORD.replySource].map((word) => formatAddress(bytes, 4 * word));
    return this.#keys.push(`${ends.join(' ')}${sourceNat ? ' nat' : ''}`) - 1;
  }

  add({ count, pairs, counters }: Moved): void {
    for (let i = 0; i < count; i++) {
      const [, one = '', other = '', nat = ''] = /^(\S+) (\S+)(.*)$/.exec(this.#keys[pairs[i]!]!) ?? [];
      for (const [key, bytes] of [
        [`${one} > ${other}${nat}`, counters[4 * i]!],
        [`${other} > ${one}${nat}`, counters[4 * i + 2]!],
      ] as const)
        if (bytes !== 0) this.moved.set(key, (this.moved.get(key) ?? 0) + bytes);
    }
  }

  get result(): Record<string, number> {
    return Object.fromEntries([...this.moved].toSorted());
  }
}

let node: Process;
beforeEach(() => {
  node = new Process();
  // An empty first read: what comes later counts in full.
  node.read([], []);
});

const toService = (sent: number, received: number, part: Partial<Pair> = {}): Pair => ({
  ...{ local: CLIENT, remote: SERVICE, sent, received, born: 200n },
  ...part,
});
const connection = (answers: string, sent: number, received: number, part: Partial<Connection> = {}): Connection => ({
  ...{ source: CLIENT, destination: SERVICE, answers, sent, received },
  ...part,
});

describe('a client of a Service', () => {
  test('whose pod is elsewhere: the pod, to the byte', () => {
    node.read([toService(500, 900)], [connection(OTHER_POD, 500, 900)]);
    expect(node.result).toEqual({ [`${CLIENT} > ${OTHER_POD}`]: 500, [`${OTHER_POD} > ${CLIENT}`]: 900 });
  });

  test('whose pods are two: each what conntrack counted, once both have been read', () => {
    const [one, other] = [
      (sent: number) => connection(OTHER_POD, sent, 100, { port: 1 }),
      (sent: number) => connection(INTERNET, sent, 300, { port: 2 }),
    ];
    // The sockets were read first: conntrack has more.
    node.read([toService(600, 400)], [one(500), other(700)]);
    node.read([toService(1200, 400)], [one(500), other(700)]);
    expect(node.result).toEqual({
      [`${CLIENT} > ${OTHER_POD}`]: 500,
      [`${OTHER_POD} > ${CLIENT}`]: 100,
      [`${CLIENT} > ${INTERNET}`]: 700,
      [`${INTERNET} > ${CLIENT}`]: 300,
    });
  });

  test('whose pod is here: its own sockets count it, once', () => {
    const served = { local: POD, remote: CLIENT, sent: 900, received: 500, born: 202n };
    node.read([toService(500, 900), served], [connection(POD, 500, 900)]);
    expect(node.result).toEqual({ [`${CLIENT} > ${POD}`]: 500, [`${POD} > ${CLIENT}`]: 900 });
  });

  test('that conntrack does not know: the address that the client sees', () => {
    node.read([toService(500, 900)], []);
    expect(node.result).toEqual({ [`${CLIENT} > ${SERVICE}`]: 500, [`${SERVICE} > ${CLIENT}`]: 900 });
  });

  test('that a flowtable forwards, uncounted: all of it is with the one behind it', () => {
    const offloaded = { status: 1 << 14 };
    node.read([toService(500, 900)], [connection(OTHER_POD, 100, 100, offloaded)]);
    node.read([toService(5000, 9000)], [connection(OTHER_POD, 100, 100, offloaded)]);
    expect(node.result).toEqual({ [`${CLIENT} > ${OTHER_POD}`]: 5000, [`${OTHER_POD} > ${CLIENT}`]: 9000 });
  });

  test('whose entry is made anew: it counts in full', () => {
    node.read([toService(500, 900)], [connection(OTHER_POD, 500, 900)]);
    node.read([], []);
    node.read([toService(200, 300, { born: 300n })], [connection(OTHER_POD, 700, 1200)], 400n);
    expect(node.result).toEqual({ [`${CLIENT} > ${OTHER_POD}`]: 700, [`${OTHER_POD} > ${CLIENT}`]: 1200 });
  });

  test('what conntrack has counted beyond its sockets is not made up for later', () => {
    node.read([toService(400, 900)], [connection(OTHER_POD, 500, 900)]);
    for (let i = 0; i < 5; i++) node.read([toService(400, 900)], [connection(OTHER_POD, 500, 900)]);
    node.read([toService(500, 900)], [connection(OTHER_POD, 500, 900)]);
    expect(node.result).toMatchObject({ [`${CLIENT} > ${OTHER_POD}`]: 400, [`${CLIENT} > ${SERVICE}`]: 100 });
  });
});

describe('a pod that sees the node in place of a client', () => {
  const nat = { source: INTERNET, destination: NODE, seenAs: NODE };

  test('the client, and what is the node itself stays it', () => {
    const served = (sent: number, received: number) => ({ local: POD, remote: NODE, sent, received, born: 200n });
    node.read([served(1000, 700)], [connection(POD, 600, 900, nat)]);
    expect(node.result).toEqual({
      [`${INTERNET} > ${POD}`]: 600,
      [`${POD} > ${INTERNET}`]: 900,
      [`${NODE} > ${POD}`]: 100,
      [`${POD} > ${NODE}`]: 100,
    });
  });

  test('of another node, which this one forwards to: as conntrack counts it, a read later', () => {
    node.read([], [connection(OTHER_POD, 600, 900, nat)]);
    expect(node.result).toEqual({});
    node.read([], [connection(OTHER_POD, 700, 1000, nat)]);
    node.read([], [connection(OTHER_POD, 700, 1000, nat)]);
    expect(node.result).toEqual({ [`${INTERNET} > ${OTHER_POD} nat`]: 700, [`${OTHER_POD} > ${INTERNET} nat`]: 1000 });
  });

  test('a client here that reaches a pod elsewhere by the node: forwarded', () => {
    const byNode = { local: CLIENT, remote: NODE, sent: 600, received: 900, born: 200n };
    node.read([byNode], [connection(OTHER_POD, 600, 900, { destination: NODE, seenAs: NODE })]);
    expect(node.result).toEqual({ [`${CLIENT} > ${OTHER_POD} nat`]: 600, [`${OTHER_POD} > ${CLIENT} nat`]: 900 });
  });

  test('a client that reaches itself: once', () => {
    const seenHere = { local: CLIENT, remote: NODE, sent: 900, received: 600, born: 202n };
    node.read([toService(600, 900), seenHere], [connection(CLIENT, 600, 900, { seenAs: NODE })]);
    expect(node.result).toEqual({ [`${CLIENT} > ${CLIENT}`]: 1500 });
  });
});

describe('another process goes on', () => {
  test('with what was handed over, however often', () => {
    node.read([toService(500, 900)], [connection(OTHER_POD, 500, 900)]);
    for (const [i, more] of [100, 200, 300].entries()) {
      node = new Process(node, START + BigInt(i + 1));
      node.read([toService(500 + more, 900)], [connection(OTHER_POD, 500 + more, 900)]);
      node.read([toService(500 + more, 900)], [connection(OTHER_POD, 500 + more, 900)]);
    }
    const { result } = node;
    expect(result[`${CLIENT} > ${OTHER_POD}`]).toBe(800);
    expect(result).toEqual({ [`${CLIENT} > ${OTHER_POD}`]: 800, [`${OTHER_POD} > ${CLIENT}`]: 900 });
  });

  test('with what it forwards', () => {
    const nat = { source: INTERNET, destination: NODE, seenAs: NODE };
    node.read([], [connection(OTHER_POD, 600, 900, nat)]);
    node.read([], [connection(OTHER_POD, 600, 900, nat)]);
    node = new Process(node, START + 1n);
    for (let i = 0; i < 3; i++) node.read([], [connection(OTHER_POD, 800, 1000, nat)]);
    expect(node.result).toEqual({ [`${INTERNET} > ${OTHER_POD} nat`]: 800, [`${OTHER_POD} > ${INTERNET} nat`]: 1000 });
  });

  test('what began before the first process is nothing of its own', () => {
    node = new Process();
    const old = { start: EPOCH - 1n };
    node.read([toService(500, 900, { born: 4n })], [connection(OTHER_POD, 500, 900, old)]);
    node.read([toService(700, 900, { born: 4n })], [connection(OTHER_POD, 700, 900, old)]);
    expect(node.result).toEqual({ [`${CLIENT} > ${OTHER_POD}`]: 200 });
  });
});
