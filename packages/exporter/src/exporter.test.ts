import { SILENT } from '@egressd/daemon/log';
import { parseAddress } from '@egressd/flow/address';
import { emptyColumns } from '@egressd/flow/columns';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { Snapshot } from './aggregate/snapshot.ts';
import { totalOf } from './aggregate/totals.ts';
import { Exporter } from './exporter.ts';
import { OwnerRegistry } from './owners/registry.ts';
import { MAX_PENDING_MS } from './pending/pending-batches.ts';
import type { ReceivedBatch } from './receiver/received.ts';
import { collectorOf } from './receiver/testing.ts';
import { BatchOffsets } from './state/batch-offsets.ts';
import type { CountedImage } from './state/checkpoint/format.ts';

let now = 0;
let offsets: BatchOffsets;
let owners: OwnerRegistry;
let registry: Registry;
let snapshots: Snapshot[];
let committed: number;

const streams = {
  collectors: [],
  commit: (moved: ReadonlyMap<string, { number: number }>) => {
    committed = moved.get('n1')?.number ?? committed;
  },
};

/** A sink that the test plays: it takes what it is offered when the test says so. */
class PlayedSink {
  holdsCommit = true;
  readonly offered: Snapshot[] = [];
  moveStart(): void {}
  offer(snapshot: Snapshot): void {
    this.offered.push(snapshot);
  }
  async close(): Promise<boolean> {
    return true;
  }
}

/** A state directory that the test plays: a snapshot is on the disk when the test says so. */
class PlayedState {
  degraded = false;
  saved: Snapshot | undefined;
  newest: Snapshot | undefined;
  counted: CountedImage | undefined;
  readonly ephemeral: boolean;
  constructor(ephemeral: boolean) {
    this.ephemeral = ephemeral;
  }
  take(snapshot: Snapshot, counted: CountedImage): void {
    this.newest = snapshot;
    this.counted = counted;
  }
  async close(): Promise<boolean> {
    return true;
  }
}

function start(wait: boolean, sinks: ReadonlyMap<string, PlayedSink> = new Map(), state?: PlayedState): Exporter {
  const exposition = { update: (snapshot: Snapshot) => snapshots.push(snapshot) };
  return new Exporter({
    owners,
    offsets,
    waitForOwners: wait,
    sinks,
    exposition,
    state,
    registry,
    log: SILENT,
    now: () => now,
  });
}

beforeEach(() => {
  now = 1_000_000;
  offsets = new BatchOffsets();
  owners = new OwnerRegistry(['api']);
  owners
    .source('api')
    .replace({ nodes: [{ name: 'n1', zone: 'z', region: '', addresses: [] }], pods: [], clusterRanges: [] }, 0);
  registry = new Registry();
  snapshots = [];
  committed = 0;
  offsets.open('n1', 'epoch', now);
});

/** As the receiver does it: handed over, then noted as received. 100 bytes from 10.1.0.9 to the internet. */
function receive(exporter: Exporter, number: number): void {
  const part = emptyColumns(1, 2);
  part.addresses.set(parseAddress('10.1.0.9')!, 0);
  part.addresses.set(parseAddress('8.8.8.8')!, 16);
  part.destination[0] = 1;
  part.txBytes[0] = 100;
  const batch: ReceivedBatch = {
    collector: collectorOf('n1'),
    span: { number, fromMs: now - 1000, toMs: now },
    parts: [part],
  };
  exporter.apply(batch);
  offsets.apply('n1', number, now);
}

function podAppears(): void {
  const pod = {
    key: 'p',
    namespace: 'ns',
    name: 'p',
    node: 'n1',
    addresses: [parseAddress('10.1.0.9')!],
    hostNetwork: false,
  };
  owners.source('api').upsertPod({ ...pod, fromMs: now - 60_000 }, now);
}

/** Bytes of all series in the next snapshot. */
function exportBytes(exporter: Exporter): number {
  exporter.export(streams);
  const { series, totals } = snapshots.at(-1)!;
  return series.reduce((sum, _, row) => sum + totalOf(totals.txBytes, row), 0);
}

async function dropped(): Promise<number> {
  const { values } = await registry.getSingleMetric('egressd_exporter_dropped_bytes_total')!.get();
  return values.reduce((sum, { value }) => sum + value, 0);
}

describe('a pod that is reported after its first bytes', () => {
  test('its batches are neither counted nor committed, then both', async () => {
    const exporter = start(true);
    receive(exporter, 1);
    receive(exporter, 2);
    expect([exportBytes(exporter), committed]).toEqual([0, 0]);
    now += 2000;
    podAppears();
    exporter.enrichPending();
    expect([exportBytes(exporter), committed, await dropped()]).toEqual([200, 2, 0]);
    expect(await registry.metrics()).toContain('egressd_exporter_batches_held_total{outcome="resolved"} 2');
  });

  test.each([500_000, -500_000])('is waited for as long where the clock is set by %s ms', async (byMs) => {
    const exporter = start(true);
    receive(exporter, 1);
    now += byMs;
    exporter.moveTime({ byMs, learned: false });
    exporter.enrichPending();
    expect(exportBytes(exporter)).toBe(0);
    now += 2000;
    podAppears();
    exporter.enrichPending();
    expect([exportBytes(exporter), await dropped()]).toEqual([100, 0]);
    const times = snapshots.map(({ timeMs }) => timeMs);
    expect(times[1]).toBeGreaterThan(times[0]!);
  });

  test('the first snapshot has the right time, where the clock was set back before', () => {
    const exporter = start(true);
    podAppears();
    receive(exporter, 1);
    now -= 500_000;
    exporter.moveTime({ byMs: -500_000, learned: true });
    exportBytes(exporter);
    expect(snapshots[0]!.timeMs - now).toBeLessThan(10);
  });

  test('that is never reported: after the wait it counts for its node, and is committed', async () => {
    const exporter = start(true);
    receive(exporter, 1);
    now += MAX_PENDING_MS;
    exporter.enrichPending();
    expect([exportBytes(exporter), committed, await dropped()]).toEqual([100, 1, 0]);
  });

  test('its batches are in no checkpoint while pending', () => {
    const state = new PlayedState(false);
    const exporter = start(true, new Map(), state);
    receive(exporter, 1);
    exporter.export(streams);
    expect(state.counted?.nodes[0]?.epochs[0]?.applied).toBe(0);
    podAppears();
    exporter.enrichPending();
    exporter.export(streams);
    expect(state.counted?.nodes[0]?.epochs[0]?.applied).toBe(1);
    expect(state.counted?.totals.ids.length).toBe(1);
  });

  test('at a stop nothing is left behind', async () => {
    const exporter = start(true);
    receive(exporter, 1);
    podAppears();
    await exporter.finish(streams, 1000);
    expect(committed).toBe(1);
    expect(exportBytes(exporter)).toBe(100);
  });

  test('where no pods come later, nothing is pending', async () => {
    const exporter = start(false);
    receive(exporter, 1);
    expect([exportBytes(exporter), committed, await dropped()]).toEqual([100, 1, 0]);
  });
});

describe('committed is', () => {
  const [fast, slow] = [new PlayedSink(), new PlayedSink()];
  const sinks = new Map([
    ['fast', fast],
    ['slow', slow],
  ]);
  let exporter: Exporter;

  /** A batch, then a snapshot that holds it, which goes to both. */
  const turn = (number: number) => {
    receive(exporter, number);
    now += 1000;
    exporter.export(streams);
  };
  const accepts = (name: 'fast' | 'slow') => exporter.accepted(name, sinks.get(name)!.offered.at(-1)!, streams);

  beforeEach(() => {
    for (const sink of sinks.values()) {
      sink.offered.length = 0;
      sink.holdsCommit = true;
    }
    exporter = start(false, sinks);
  });

  test('what every sink has accepted, not before', () => {
    turn(1);
    accepts('fast');
    expect(committed).toBe(0);
    accepts('slow');
    expect(committed).toBe(1);
    turn(2);
    turn(3);
    accepts('fast');
    expect(committed).toBe(1);
    accepts('slow');
    expect(committed).toBe(3);
  });

  test('without a sink that is unavailable too long, and with it again when it is back', () => {
    turn(1);
    accepts('fast');
    slow.holdsCommit = false;
    turn(2);
    expect(committed).toBe(1);
    accepts('fast');
    expect(committed).toBe(2);
    slow.holdsCommit = true;
    turn(3);
    accepts('fast');
    expect(committed).toBe(2);
    accepts('slow');
    expect(committed).toBe(3);
  });

  test('what is in the totals where every sink is unavailable', () => {
    fast.holdsCommit = false;
    slow.holdsCommit = false;
    turn(1);
    expect(committed).toBe(1);
  });
});

describe('with a state directory, committed is', () => {
  const sink = new PlayedSink();
  const sinks = new Map([['sink', sink]]);

  const turn = (exporter: Exporter, state: PlayedState, number: number) => {
    receive(exporter, number);
    now += 1000;
    exporter.export(streams);
    const taken = state.newest;
    return {
      onDisk: () => {
        state.saved = taken;
        exporter.commit(streams);
      },
      accepted: () => exporter.accepted('sink', taken!, streams),
    };
  };

  test('what is on the disk, whatever sinks do', () => {
    const state = new PlayedState(false);
    const exporter = start(false, sinks, state);
    const first = turn(exporter, state, 1);
    first.accepted();
    expect(committed).toBe(0);
    first.onDisk();
    expect(committed).toBe(1);
    turn(exporter, state, 2).onDisk();
    expect(committed).toBe(2);
  });

  test('what is on the disk and accepted, where the directory goes with the pod', () => {
    const state = new PlayedState(true);
    const exporter = start(false, sinks, state);
    const first = turn(exporter, state, 1);
    first.onDisk();
    expect(committed).toBe(0);
    const second = turn(exporter, state, 2);
    second.accepted();
    expect(committed).toBe(1);
    second.onDisk();
    expect(committed).toBe(2);
  });

  test('what is accepted while the directory is degraded', () => {
    const state = new PlayedState(false);
    const exporter = start(false, sinks, state);
    state.degraded = true;
    const first = turn(exporter, state, 1);
    expect(committed).toBe(0);
    first.accepted();
    expect(committed).toBe(1);
  });
});
