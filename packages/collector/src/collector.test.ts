import { fromBinary } from '@bufbuild/protobuf';
import { createLog } from '@egressd/daemon/log';
import { parseAddress } from '@egressd/flow/address';
import { decodePart, decodeSpan } from '@egressd/flow/batch-decode';
import { DeliverRequestSchema } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import type { NodeHealth } from '@egressd/flow/node-health';
import { describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { Collector } from './collector.ts';
import { type ConnectionBlock, FLAG, STRIDE, WORD } from './conntrack/record.ts';
import {
  type ConntrackSource,
  type ConntrackSysctls,
  type DestroyListener,
  NO_LOSS,
  type ReadReport,
  type TableState,
} from './conntrack/source.ts';
import { SourceError } from './conntrack/source-error.ts';
import { createCollectorMetrics } from './metrics.ts';
import { Epoch } from './state/epoch.ts';
import type { FrozenBatch } from './state/frozen-batch.ts';
import type { Stream } from './stream/stream.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** When all begins. */
const BEGIN = 100 * HOUR;

/** A collector whose source, stream and clock the test plays. */
function setUp() {
  const world = {
    now: BEGIN,
    /** Since the boot: only goes forward. */
    boot: 0,
    /** When each connection began, by the kernel's clock. */
    starts: new Map<string, number>(),
    connections: new Map<string, number>(),
    complete: true,
    fails: false,
    lines: [] as string[],
    sent: [] as FrozenBatch[],
    healths: [] as NodeHealth[],
    withoutCounters: 0,
    sourceName: 'netfilter' as 'netfilter' | 'cilium',
    sysctls: { accounting: true, timestamps: true, events: 1 } as ConntrackSysctls,
    table: undefined as TableState | undefined,
    asked: 0,
    listener: undefined as DestroyListener | undefined,
  };
  const stream = {
    connected: true,
    canFreeze: true,
    wantOriginalDestination: false,
    beginEpoch: (_renumber: Parameters<Stream['beginEpoch']>[0]): readonly FrozenBatch[] => [],
    send: (batch: FrozenBatch) => void world.sent.push(batch),
    reportHealth: (health: NodeHealth) => void world.healths.push(health),
  };
  const registry = new Registry();
  const collector = new Collector({
    source: playedSource(world),
    stream,
    epoch: new Epoch(),
    metrics: createCollectorMetrics(registry, {
      sysctls: () => ({ accounting: true, timestamps: false, events: undefined }),
      table: () => world.table,
    }),
    log: createLog('debug', (line) => world.lines.push(line)),
    maxPairs: 1000,
    readIntervalMs: 5000,
    cleanupIntervalMs: 2 * MINUTE,
    seed: 1,
    now: () => world.now,
    sinceBoot: () => world.boot,
    readSooner: () => void world.asked++,
  });
  /** One interval later: reads, and says what the batches of this turn hold, as `destination bytes from to`. */
  const turn = async (changes: Record<string, number> = {}, afterMs = 5000, last = false) => {
    world.now += afterMs;
    world.boot += afterMs;
    for (const [to, bytes] of Object.entries(changes)) {
      world.connections.set(to, bytes);
      if (!world.starts.has(to)) world.starts.set(to, world.now);
    }
    world.sent.length = 0;
    await (last ? collector.finish() : collector.read());
    return world.sent.flatMap(rows);
  };
  /** The kernel sends a DESTROY event: no dump has the connection any more. */
  const end = (to: string, bytes: number) => {
    world.connections.delete(to);
    if (!world.starts.has(to)) world.starts.set(to, world.now);
    world.listener?.onDestroy(block(new Map([[to, bytes]]), world.starts));
  };
  return { world, stream, registry, turn, end };
}

interface PlayedWorld {
  readonly connections: Map<string, number>;
  readonly starts: ReadonlyMap<string, number>;
  readonly complete: boolean;
  readonly fails: boolean;
  readonly withoutCounters: number;
  readonly sourceName: 'netfilter' | 'cilium';
  readonly sysctls: ConntrackSysctls;
  listener: DestroyListener | undefined;
}

function playedSource(world: PlayedWorld): ConntrackSource {
  return {
    get name() {
      return world.sourceName;
    },
    async read(onBlock) {
      if (world.fails) throw new SourceError('system', 'no such thing');
      onBlock(block(world.connections, world.sourceName === 'netfilter' ? world.starts : undefined));
      return report(world.complete, world.connections.size, world.withoutCounters);
    },
    subscribe(listener) {
      world.listener = listener;
    },
    sysctls: () => world.sysctls,
    nodeAddresses: async () => [],
    close: async () => {},
  };
}

function report(complete: boolean, entries: number, withoutCounters: number): ReadReport {
  const skipped = { no_counters: withoutCounters, undecodable: 0, loopback: 0 };
  return { complete, startedNs: 0n, entries, skipped, interrupted: complete ? 0 : 3, overrun: 0, durationMs: 1 };
}

/** @param starts undefined: without start times */
function block(connections: Map<string, number>, starts?: ReadonlyMap<string, number>): ConnectionBlock {
  const words = new Uint32Array(connections.size * STRIDE);
  const bytes = new Uint8Array(words.buffer);
  for (const [i, [to, sent]] of [...connections].entries()) {
    const at = i * STRIDE;
    bytes.set(parseAddress('10.0.0.1')!, (at + WORD.originalSource) * 4);
    bytes.set(parseAddress(to)!, (at + WORD.originalDestination) * 4);
    bytes.set(parseAddress(to)!, (at + WORD.replySource) * 4);
    words[at + WORD.zoneProtocol] = 6 << 16;
    words[at + WORD.originalPorts] = 443;
    const start = BigInt(starts?.get(to) ?? 0) * 1_000_000n;
    words[at + WORD.identity] = Number(start & 0xffff_ffffn);
    words[at + WORD.identity + 1] = Number(start >> 32n);
    words[at + WORD.flags] = starts !== undefined ? FLAG.counters | FLAG.start : FLAG.counters;
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
    const port = (i: number) =>
      flows.originalDestination === undefined ? '' : ` :${flows.originalDestination.port[i]}`;
    return Array.from(
      { length: flows.rows },
      (_, i) => `.${last(i)} ${flows.txBytes[i]} ${fromMs - BEGIN}-${toMs - BEGIN}${port(i)}`,
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

  test('another source begins with a baseline, and that is logged', async () => {
    const { turn, world } = setUp();
    await turn({ '10.0.0.2': 10 });
    world.sourceName = 'cilium';
    expect(await turn({ '10.0.0.2': 500 })).toEqual([]);
    expect(await turn({ '10.0.0.2': 503, '10.0.0.3': 7 })).toEqual(['.2 3 10000-15000', '.3 7 10000-15000']);
    expect(world.lines.join('')).toMatch(/level=warn msg="source of connections changed.* before=netfilter now=cilium/);
  });

  test('while the exporter is unavailable one batch holds a minute', async () => {
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

  test('the last one is handed over also where the exporter is unavailable', async () => {
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
    expect(world.lines.join('')).toContain('reason=read_incomplete interrupted=3');
  });

  test('a read that fails is logged and counted; the next brings what it missed', async () => {
    const { turn, world, registry } = setUp();
    world.fails = true;
    expect(await turn({ '10.0.0.2': 10 })).toEqual([]);
    world.fails = false;
    expect(await turn()).toEqual(['.2 10 0-10000']);
    expect(world.lines.join('')).toMatch(/reason=read_failed error=".*no such thing"/);
    expect(await registry.metrics()).toContain('egressd_collector_conntrack_reads_total{result="failed"} 1');
  });

  test('reports after each read how the kernel counts, and nothing where it failed', async () => {
    const { turn, world } = setUp();
    await turn({ '10.0.0.2': 10 });
    world.sysctls = { accounting: false, timestamps: undefined, events: 2 };
    world.withoutCounters = 3;
    await turn({ '10.0.0.2': 4 });
    world.fails = true;
    await turn();
    expect(world.healths).toEqual([
      { accounting: true, timestamps: true, events: 1, counterDecreases: 0, entriesWithoutCounters: 0 },
      { accounting: false, timestamps: undefined, events: 2, counterDecreases: 1, entriesWithoutCounters: 3 },
    ]);
  });

  test('the exporter may ask for the original destination, and stop asking, without a byte lost', async () => {
    const { turn, stream } = setUp();
    expect(await turn({ '10.0.0.2': 10 })).toEqual(['.2 10 0-5000']);
    stream.wantOriginalDestination = true;
    expect(await turn({ '10.0.0.2': 30 })).toEqual(['.2 20 5000-10000']);
    expect(await turn({ '10.0.0.2': 60 })).toEqual(['.2 30 10000-15000 :443']);
    stream.wantOriginalDestination = false;
    expect(await turn({ '10.0.0.2': 100 })).toEqual(['.2 40 15000-20000 :443']);
    expect(await turn({ '10.0.0.2': 150 })).toEqual(['.2 50 20000-25000']);
  });

  test('a sweep evicts what ended and keeps the rest exact', async () => {
    const { turn, world, registry } = setUp();
    world.sysctls = { ...world.sysctls, events: 0 };
    await turn({ '10.0.0.2': 10, '10.0.0.3': 10 });
    world.connections.delete('10.0.0.2');
    for (let i = 0; i < 5; i++) await turn();
    await turn({}, 3 * MINUTE);
    expect(await registry.metrics()).toMatch(/egressd_collector_flow_table_connections 1\n/);
    expect(await turn({ '10.0.0.3': 25 })).toEqual(['.3 15 210000-215000']);
  });
});

describe('the DESTROY event of a connection', () => {
  test('brings its last bytes, also where no read has seen it', async () => {
    const { turn, end, registry } = setUp();
    await turn({ '10.0.0.2': 10 });
    end('10.0.0.2', 17);
    end('10.0.0.3', 5);
    expect(await turn()).toEqual(['.2 7 5000-10000', '.3 5 5000-10000']);
    end('10.0.0.3', 5);
    expect(await turn()).toEqual([]);
    expect(await registry.metrics()).toMatch(/egressd_collector_conntrack_destroy_events_total 3\n/);
  });

  test('that does not come is waited for, ten minutes by the reads', async () => {
    const { turn, world, end } = setUp();
    await turn({ '10.0.0.2': 10 });
    world.connections.delete('10.0.0.2');
    for (let i = 0; i < 100; i++) await turn();
    end('10.0.0.2', 17);
    expect(await turn()).toEqual(['.2 7 505000-510000']);
  });

  test('is not waited for where the kernel sends none', async () => {
    const { turn, world, registry } = setUp();
    world.sysctls = { ...world.sysctls, events: 0 };
    await turn({ '10.0.0.2': 10 });
    world.connections.delete('10.0.0.2');
    for (let i = 0; i < 30; i++) await turn();
    expect(await registry.metrics()).toMatch(/egressd_collector_flow_table_connections 0\n/);
  });

  test('many of them are evicted soon, between reads too', async () => {
    const { turn, end, registry } = setUp();
    await turn();
    const ended = 20_000;
    for (let i = 0; i < ended; i++) end(`10.1.${i >> 8}.${i & 255}`, 1);
    const bytes = (await turn()).reduce((sum, row) => sum + Number(row.split(' ')[1]), 0);
    expect(bytes).toBe(ended);
    const tombstones = /egressd_collector_flow_table_ended_connections (\d+)/.exec(await registry.metrics())!;
    expect(Number(tombstones[1])).toBeLessThan(ended / 2);
  });

  test('losses are counted; where events were lost the next read is to come sooner', async () => {
    const { world, registry } = setUp();
    world.listener!.onEventLoss({ ...NO_LOSS, deleted: 3 });
    expect(world.asked).toBe(0);
    world.listener!.onEventLoss({ ...NO_LOSS, overruns: 1, lost: 70 });
    expect(world.asked).toBe(1);
    expect(world.lines.join('')).toContain('reason=events_lost overruns=1 lost=70');
    const text = await registry.metrics();
    expect(text).toMatch(/egressd_collector_conntrack_entries_deleted_total 3\n/);
    expect(text).toMatch(/egressd_collector_conntrack_event_overruns_total 1\n/);
    expect(text).toMatch(/egressd_collector_conntrack_events_lost_total 70\n/);
  });
});

describe("the node's clock", () => {
  test('set back after the start: connections that begin then and end between two reads count, in their time', async () => {
    const { turn, end, world, registry } = setUp();
    await turn({ '10.0.0.2': 10 });
    world.now -= HOUR;
    end('10.0.0.3', 5);
    expect(await turn({ '10.0.0.2': 17 })).toEqual([
      `.3 5 ${5000 - HOUR}-${10_000 - HOUR}`,
      `.2 7 ${5000 - HOUR}-${10_000 - HOUR}`,
    ]);
    expect(world.lines.join('')).toMatch(/level=warn msg="node clock was set" direction=back seconds=3600 /);
    expect(await registry.metrics()).toContain('egressd_collector_clock_steps_total{direction="back"} 1');
  });

  test('set forward: the span of what moved does not grow', async () => {
    const { turn, world, registry } = setUp();
    await turn({ '10.0.0.2': 10 });
    world.now += HOUR;
    expect(await turn({ '10.0.0.2': 17 })).toEqual([`.2 7 ${5000 + HOUR}-${10_000 + HOUR}`]);
    expect(await registry.metrics()).toContain('egressd_collector_clock_steps_total{direction="forward"} 1');
  });

  test('set back and forth: what began before the first read stays the baseline', async () => {
    const { turn, end, world } = setUp();
    await turn({ '10.0.0.2': 10 });
    world.now += HOUR;
    await turn();
    world.now -= 2 * HOUR;
    await turn();
    world.starts.set('10.0.0.4', BEGIN - 2 * HOUR);
    end('10.0.0.4', 100);
    end('10.0.0.3', 5);
    world.now += HOUR;
    expect(await turn()).toEqual(['.3 5 15000-20000']);
  });

  test('set back before the start: what began by the clock of then is the baseline', async () => {
    const { turn, world } = setUp();
    world.starts.set('10.0.0.4', world.now + HOUR);
    world.connections.set('10.0.0.4', 100);
    expect(await turn({ '10.0.0.2': 10 })).toEqual(['.2 10 0-5000']);
    expect(await turn({ '10.0.0.4': 103 })).toEqual(['.4 3 5000-10000']);
  });

  test('set back during the first read: what begins then is no baseline', async () => {
    const { turn, world } = setUp();
    world.now -= HOUR;
    expect(await turn({ '10.0.0.2': 10 })).toEqual([`.2 10 ${-HOUR}-${5000 - HOUR}`]);
  });

  test('slewed by a twelfth is not set', async () => {
    const { turn, world, registry } = setUp();
    for (let i = 0; i < 20; i++) {
      world.now -= 416;
      await turn({ '10.0.0.2': i });
    }
    expect(await registry.metrics()).not.toContain('egressd_collector_clock_steps_total{');
  });
});

test("the kernel's table is shown as it is", async () => {
  const { registry, world } = setUp();
  expect(await registry.metrics()).not.toMatch(/^egressd_conntrack_table_(entries|limit)/m);
  world.table = { entries: 5, limit: 100, statistics: { invalid: 1, insert_failed: 2, drop: 3, early_drop: 4 } };
  const text = await registry.metrics();
  expect(text).toContain('egressd_collector_conntrack_table_entries 5');
  expect(text).toContain('egressd_collector_conntrack_table_max_entries 100');
  expect(text).toContain('egressd_collector_conntrack_statistics_total{name="drop"} 3');
});

test('the sysctls are shown as they are', async () => {
  const { registry } = setUp();
  const text = await registry.metrics();
  expect(text).toContain('egressd_collector_conntrack_sysctl{name="nf_conntrack_acct"} 1');
  expect(text).toContain('egressd_collector_conntrack_sysctl{name="nf_conntrack_timestamp"} 0');
  expect(text).not.toContain('egressd_collector_conntrack_sysctl{name="nf_conntrack_events"}');
});
