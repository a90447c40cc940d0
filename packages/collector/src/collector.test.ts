import { fromBinary } from '@bufbuild/protobuf';
import { createLog } from '@egressd/daemon/log';
import { parseAddress } from '@egressd/flow/address';
import { decodePart, decodeSpan } from '@egressd/flow/batch-decode';
import { DeliverRequestSchema } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { Collector } from './collector.ts';
import { type ConnectionBlock, FLAG, STRIDE, WORD } from './conntrack/record.ts';
import { type ConntrackSource, type ReadReport, SourceError, type SourceSwitches } from './conntrack/source.ts';
import { createCollectorMetrics } from './metrics.ts';
import type { FrozenBatch } from './state/frozen-batch.ts';
import { Numbering } from './state/numbering.ts';
import type { Health } from './stream/health.ts';
import type { Stream } from './stream/stream.ts';

const MINUTE = 60_000;

/** A collector whose source, stream and clock the test plays. */
function setUp() {
  const world = {
    now: 1_000_000,
    connections: new Map<string, number>(),
    complete: true,
    fails: false,
    lines: [] as string[],
    sent: [] as FrozenBatch[],
    told: [] as Health[],
    withoutCounters: 0,
    switches: { accounting: true, timestamps: true, events: 1 } as SourceSwitches,
  };
  const stream = {
    connected: true,
    canFreeze: true,
    wantDialled: false,
    begin: (_rename: Parameters<Stream['begin']>[0]): readonly FrozenBatch[] => [],
    send: (batch: FrozenBatch) => void world.sent.push(batch),
    tell: (health: Health) => void world.told.push(health),
  };
  const registry = new Registry();
  const collector = new Collector({
    source: playedSource(world),
    stream,
    numbering: new Numbering(),
    metrics: createCollectorMetrics(registry, () => ({ accounting: true, timestamps: false, events: undefined })),
    log: createLog('debug', (line) => world.lines.push(line)),
    maxPairs: 1000,
    cleanupIntervalMs: 2 * MINUTE,
    seed: 1,
    now: () => world.now,
  });
  /** One interval later: reads, and says what the batches of this turn hold, as `destination bytes from to`. */
  const turn = async (changes: Record<string, number> = {}, afterMs = 5000, last = false) => {
    world.now += afterMs;
    for (const [to, bytes] of Object.entries(changes)) world.connections.set(to, bytes);
    world.sent.length = 0;
    await (last ? collector.finish() : collector.read());
    return world.sent.flatMap(rows);
  };
  return { world, stream, registry, turn };
}

interface PlayedWorld {
  readonly connections: Map<string, number>;
  readonly complete: boolean;
  readonly fails: boolean;
  readonly withoutCounters: number;
  readonly switches: SourceSwitches;
}

function playedSource(world: PlayedWorld): ConntrackSource {
  return {
    name: 'netfilter',
    async read(onBlock) {
      if (world.fails) throw new SourceError('system', 'no such thing');
      onBlock(block(world.connections));
      return report(world.complete, world.connections.size, world.withoutCounters);
    },
    switches: () => world.switches,
    nodeAddresses: async () => [],
    close: async () => {},
  };
}

function report(complete: boolean, entries: number, withoutCounters: number): ReadReport {
  const skipped = { no_counters: withoutCounters, undecodable: 0, loopback: 0 };
  return { complete, startedNs: 0n, entries, skipped, interrupted: complete ? 0 : 3, overrun: 0, durationMs: 1 };
}

function block(connections: Map<string, number>): ConnectionBlock {
  const words = new Uint32Array(connections.size * STRIDE);
  const bytes = new Uint8Array(words.buffer);
  for (const [i, [to, sent]] of [...connections].entries()) {
    const at = i * STRIDE;
    bytes.set(parseAddress('10.0.0.1')!, (at + WORD.originalSource) * 4);
    bytes.set(parseAddress(to)!, (at + WORD.originalDestination) * 4);
    bytes.set(parseAddress(to)!, (at + WORD.replySource) * 4);
    words[at + WORD.zoneProtocol] = 6 << 16;
    words[at + WORD.originalPorts] = 443;
    words[at + WORD.identity + 1] = 0xffff_ffff;
    words[at + WORD.flags] = FLAG.counters | FLAG.start;
    words[at + WORD.originalBytes] = sent;
    words[at + WORD.originalPackets] = sent;
  }
  return { words, count: connections.size };
}

function rows({ messages }: FrozenBatch): string[] {
  return messages.flatMap((bytes) => {
    const { message } = fromBinary(DeliverRequestSchema, bytes);
    if (message.case !== 'part') throw new Error('not a part');
    const { fromMs, toMs } = decodeSpan(message.value);
    const flows = decodePart(message.value);
    const last = (i: number) => flows.addresses[flows.destination[i]! * 16 + 15];
    const port = (i: number) => (flows.dialled === undefined ? '' : ` :${flows.dialled.port[i]}`);
    return Array.from(
      { length: flows.rows },
      (_, i) => `.${last(i)} ${flows.txBytes[i]} ${fromMs - 1_000_000}-${toMs - 1_000_000}${port(i)}`,
    );
  });
}

describe('a turn', () => {
  test('hands over what moved since the last', async () => {
    const { turn } = setUp();
    expect(await turn({ '10.0.0.2': 10 })).toEqual(['.2 10 0-5000']);
    expect(await turn()).toEqual([]);
    expect(await turn({ '10.0.0.2': 15, '10.0.0.3': 7 })).toEqual(['.2 5 10000-15000', '.3 7 10000-15000']);
  });

  test('while nobody listens one batch holds a minute', async () => {
    const { turn, stream } = setUp();
    stream.connected = false;
    expect(await turn({ '10.0.0.2': 10 })).toEqual([]);
    expect(await turn({ '10.0.0.2': 20 })).toEqual([]);
    expect(await turn({ '10.0.0.2': 30 }, MINUTE)).toEqual(['.2 30 0-70000']);
    expect(await turn({ '10.0.0.2': 40 })).toEqual([]);
  });

  test('while there is no room all is merged, and nothing lost', async () => {
    const { turn, stream } = setUp();
    stream.canFreeze = false;
    expect(await turn({ '10.0.0.2': 10 }, 10 * MINUTE)).toEqual([]);
    expect(await turn({ '10.0.0.2': 30 }, 10 * MINUTE)).toEqual([]);
    stream.canFreeze = true;
    expect(await turn()).toEqual(['.2 30 0-1205000']);
  });

  test('the last one is handed over whoever listens', async () => {
    const { turn, stream } = setUp();
    stream.connected = false;
    stream.canFreeze = false;
    expect(await turn({ '10.0.0.2': 10 }, 5000, true)).toEqual(['.2 10 0-5000']);
  });

  test('a read that was not whole reaches into the next span', async () => {
    const { turn, world } = setUp();
    world.complete = false;
    expect(await turn({ '10.0.0.2': 10 })).toEqual(['.2 10 0-5000']);
    world.complete = true;
    expect(await turn({ '10.0.0.3': 7 })).toEqual(['.3 7 0-10000']);
    expect(world.lines.join('')).toContain('the next read goes on" interrupted=3');
  });

  test('a read that fails is said and counted; the next brings what it missed', async () => {
    const { turn, world, registry } = setUp();
    world.fails = true;
    expect(await turn({ '10.0.0.2': 10 })).toEqual([]);
    world.fails = false;
    expect(await turn()).toEqual(['.2 10 0-10000']);
    expect(world.lines.join('')).toContain('no such thing');
    expect(await registry.metrics()).toContain('egressd_conntrack_reads_total{result="failed"} 1');
  });

  test('tells after each read how the kernel counts, and nothing where it failed', async () => {
    const { turn, world } = setUp();
    await turn({ '10.0.0.2': 10 });
    world.switches = { accounting: false, timestamps: undefined, events: 2 };
    world.withoutCounters = 3;
    await turn({ '10.0.0.2': 4 });
    world.fails = true;
    await turn();
    expect(world.told).toEqual([
      { accounting: true, timestamps: true, events: 1, countersBackwards: 0, entriesWithoutCounters: 0 },
      { accounting: false, timestamps: undefined, events: 2, countersBackwards: 1, entriesWithoutCounters: 3 },
    ]);
  });

  test('the exporter may ask for what was dialled, and stop asking, without a byte lost', async () => {
    const { turn, stream } = setUp();
    expect(await turn({ '10.0.0.2': 10 })).toEqual(['.2 10 0-5000']);
    stream.wantDialled = true;
    expect(await turn({ '10.0.0.2': 30 })).toEqual(['.2 20 5000-10000']);
    expect(await turn({ '10.0.0.2': 60 })).toEqual(['.2 30 10000-15000 :443']);
    stream.wantDialled = false;
    expect(await turn({ '10.0.0.2': 100 })).toEqual(['.2 40 15000-20000 :443']);
    expect(await turn({ '10.0.0.2': 150 })).toEqual(['.2 50 20000-25000']);
  });

  test('cleaning up forgets what ended and keeps the rest exact', async () => {
    const { turn, world, registry } = setUp();
    await turn({ '10.0.0.2': 10, '10.0.0.3': 10 });
    world.connections.delete('10.0.0.2');
    for (let i = 0; i < 5; i++) await turn();
    await turn({}, 3 * MINUTE);
    expect(await registry.metrics()).toMatch(/egressd_flow_table_connections 1\n/);
    expect(await turn({ '10.0.0.3': 25 })).toEqual(['.3 15 210000-215000']);
  });
});

test('the switches are shown as they are', async () => {
  const { registry } = setUp();
  const text = await registry.metrics();
  expect(text).toContain('egressd_conntrack_switch{name="nf_conntrack_acct"} 1');
  expect(text).toContain('egressd_conntrack_switch{name="nf_conntrack_timestamp"} 0');
  expect(text).not.toContain('egressd_conntrack_switch{name="nf_conntrack_events"}');
});
