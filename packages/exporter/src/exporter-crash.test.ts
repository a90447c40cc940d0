import { SILENT } from '@egressd/daemon/log';
import { parseAddress } from '@egressd/flow/address';
import { emptyColumns } from '@egressd/flow/columns';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import { Exporter } from './exporter.ts';
import { OwnerRegistry } from './owners/registry.ts';
import type { Collector, ReceivedBatch } from './receiver/received.ts';
import { collectorOf } from './receiver/testing.ts';
import { ANSWERS, ChaosDatabase, ChaosEndpoint } from './sinks/delivery/chaos-receivers.testing.ts';
import type { Mode } from './sinks/delivery/frame.ts';
import { createSinkMetrics } from './sinks/delivery/metrics.ts';
import { SinkDelivery } from './sinks/delivery/sink-delivery.ts';
import type { Sink } from './sinks/sink.ts';
import { STARTED_MS, VirtualTimers } from './sinks/testing.ts';
import { BatchOffsets } from './state/batch-offsets.ts';
import { CheckpointStore } from './state/checkpoint/checkpoint-store.ts';

const NODES = ['n1', 'n2'];
const PODS = [1, 2, 3, 4, 5, 6, 7, 8];
const NEVER = new Promise<never>(() => {});

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A disk that survives what writes to it. A write takes its time, and may fail. */
class Disk {
  readonly path = 'disk';
  fails = false;
  readonly #wait: () => number;
  #content: Buffer | undefined;

  constructor(wait: () => number) {
    this.#wait = wait;
  }

  async read(): Promise<Buffer | undefined> {
    return this.#content;
  }

  /** For one life: what dies in the middle of a write leaves the file as it was. */
  of(life: { readonly alive: boolean }) {
    const guarded = async (change: () => void): Promise<void> => {
      await turns(this.#wait());
      if (!life.alive) return NEVER;
      if (this.fails) throw new Error('ENOSPC');
      change();
      await turns(this.#wait());
      if (!life.alive) return NEVER;
    };
    return {
      path: this.path,
      read: () => this.read(),
      write: (...pieces: readonly Uint8Array[]) => {
        const copy = Buffer.concat(pieces);
        return guarded(() => {
          this.#content = copy;
        });
      },
      // Removing takes no room.
      remove: async () => {
        this.#content = undefined;
      },
      putAside: async () => 'aside',
    };
  }
}

/** A collector: it keeps what is not committed, and sends it again on the next stream. */
class CollectorModel {
  readonly node: string;
  readonly epoch = 'epoch';
  readonly outbox = new Map<number, ReceivedBatch>();
  #number = 0;

  constructor(node: string) {
    this.node = node;
  }

  /** What each of these pods has sent to the internet, and received as much. */
  freeze(pods: readonly number[], bytes: readonly number[], nowMs: number): ReceivedBatch {
    const part = emptyColumns(pods.length, pods.length + 1);
    part.addresses.set(parseAddress('8.8.8.8')!, 16 * pods.length);
    for (const [row, pod] of pods.entries()) {
      part.addresses.set(parseAddress(`10.1.0.${pod}`)!, 16 * row);
      part.source[row] = row;
      part.destination[row] = pods.length;
      for (const column of [part.txBytes, part.txPackets, part.rxBytes, part.rxPackets]) column[row] = bytes[row]!;
    }
    const collector = collectorOf(this.node, { epoch: this.epoch });
    const span = { number: ++this.#number, fromMs: nowMs - 1000, toMs: nowMs };
    const batch = { collector, span, parts: [part] };
    this.outbox.set(span.number, batch);
    return batch;
  }

  commit(number: number): void {
    for (const key of this.outbox.keys()) if (key <= number) this.outbox.delete(key);
  }
}

interface World {
  readonly mode: Mode;
  readonly ephemeral: boolean;
  /** 0: the store is degraded as soon as the disk fails. */
  readonly graceMs: number;
  readonly disk: Disk;
  readonly sinks: ReadonlyMap<string, ChaosDatabase | ChaosEndpoint>;
  readonly collectors: readonly CollectorModel[];
  readonly wait: () => number;
  nowMs: number;
  seriesEnded: boolean;
}

/** One life of the exporter, until it is killed. */
class Life {
  alive = true;
  readonly #world: World;
  readonly #offsets = new BatchOffsets();
  readonly #deliveries = new Map<string, SinkDelivery>();
  readonly #exporter: Exporter;
  readonly #state: CheckpointStore;
  readonly acceptedMs = new Map<string, number>();
  readonly #streams;
  #early = false;

  constructor(world: World) {
    this.#world = world;
    const registry = new Registry();
    const settings = { sendTrafficDelta: world.mode === 'delta' };
    this.#streams = {
      collectors: world.collectors.map(() => ({ settings })) as unknown as Collector[],
      commit: (moved: ReadonlyMap<string, { readonly number: number }>) => {
        if (this.alive) for (const one of world.collectors) one.commit(moved.get(one.node)?.number ?? 0);
      },
    };
    this.#state = new CheckpointStore({
      folder: '',
      ephemeral: world.ephemeral,
      onChange: () => this.#exporter.commit(this.#streams),
      registry,
      log: SILENT,
      file: world.disk.of(this),
      retryMs: 0,
      graceMs: world.graceMs,
    });
    this.#exporter = new Exporter({
      owners: owners(),
      offsets: this.#offsets,
      waitForOwners: false,
      sinks: this.#deliveries,
      state: this.#state,
      registry,
      log: SILENT,
      now: () => world.nowMs,
    });
  }

  async begin(): Promise<this> {
    const { sinks, collectors, nowMs } = this.#world;
    const restored = await this.#state.load();
    const totals = restored && this.#exporter.restore(restored);
    this.#early = restored?.mode !== undefined;
    for (const [name, sink] of sinks) {
      const delivery = this.#delivery(name, sink);
      const state = restored?.sinks.get(name);
      if (state !== undefined) delivery.resume(state, totals!);
      else if (totals !== undefined) delivery.startFrom(totals);
      this.#deliveries.set(name, delivery);
    }
    this.#state.start(restored, totals?.series ?? [], this.#deliveries);
    for (const collector of collectors) {
      const { applied } = this.#offsets.open(collector.node, collector.epoch, nowMs)!;
      const pending = [...collector.outbox.values()].filter(({ span }) => span.number > applied);
      // None that this exporter lacks was committed: they follow each other.
      pending.forEach(({ span }, at) => {
        expect(span.number).toBe(applied + 1 + at);
      });
      for (const batch of pending) this.receive(batch);
    }
    return this;
  }

  #delivery(name: string, sink: ChaosDatabase | ChaosEndpoint): SinkDelivery {
    const { wait } = this.#world;
    const send: Sink['send'] = async (request) => {
      await turns(wait());
      if (!this.alive) return NEVER;
      const result = await sink.send(request);
      await turns(wait());
      return this.alive ? result : NEVER;
    };
    const guarded = Object.assign(Object.create(sink) as Sink, {
      send,
      encode: (...args: Parameters<Sink['encode']>) => sink.encode(...args),
      identityOf: (...args: Parameters<Sink['identityOf']>) => sink.identityOf(...args),
    });
    return new SinkDelivery({
      sink: guarded,
      startedMs: STARTED_MS,
      intervalMs: 60_000,
      metrics: {
        ...createSinkMetrics(new Registry()),
        dropped: (_sink, reason) => {
          this.#world.seriesEnded ||= reason === 'series_ended';
        },
      },
      log: SILENT,
      durable: (signal) => this.#state.durable(signal),
      onAccepted: (accepted) => {
        if (!this.alive) return;
        this.acceptedMs.set(name, accepted.timeMs);
        this.#exporter.accepted(name, accepted, this.#streams);
      },
      timers: new VirtualTimers(),
    });
  }

  /** What it has committed is on no disk: killed now, it would lose that, as an exporter without a directory. */
  get unsaved(): boolean {
    return this.#world.graceMs === 0 && (this.#world.disk.fails || this.#state.degraded);
  }

  receive(batch: ReceivedBatch): void {
    this.#exporter.apply(batch);
    this.#offsets.apply(batch.collector.node, batch.span.number, this.#world.nowMs);
  }

  /** The first one comes before any collector is back. */
  export(): void {
    this.#exporter.export(this.#early ? { ...this.#streams, collectors: [] } : this.#streams);
    this.#early = false;
  }

  /** An orderly stop. */
  async finish(): Promise<void> {
    await this.#exporter.finish(this.#streams, 1000);
  }
}

function owners(): OwnerRegistry {
  const registry = new OwnerRegistry(['api']);
  const pods = PODS.map((pod) => ({
    key: `p${pod}`,
    namespace: 'ns',
    name: `p${pod}`,
    node: NODES[pod % NODES.length]!,
    addresses: [parseAddress(`10.1.0.${pod}`)!],
    hostNetwork: false,
    fromMs: 0,
  }));
  const nodes = NODES.map((name) => ({ name, zone: 'z', region: '', addresses: [] }));
  registry.source('api').replace({ nodes, pods, clusterRanges: [] }, 0);
  return registry;
}

const answers = fc.array(fc.constantFrom(...ANSWERS), { maxLength: 6 });
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('batch' as const),
      node: fc.nat(NODES.length - 1),
      bytes: fc.array(fc.nat(100), { minLength: PODS.length / 2, maxLength: PODS.length / 2 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('export' as const),
      // A clock may be set back.
      afterMs: fc.oneof(fc.integer({ min: 1, max: 120_000 }), fc.constant(20 * 60_000), fc.constant(-5000)),
      answers,
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), turns: fc.nat(40) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('disk' as const), fails: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('kill' as const), turns: fc.nat(12), answers }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop' as const) }) },
);

const CASES: readonly [string, Mode, () => ChaosDatabase | ChaosEndpoint][] = [
  ['a database, counters', 'counter', () => new ChaosDatabase()],
  ['a database, deltas', 'delta', () => new ChaosDatabase()],
  ['an endpoint that knows keys, deltas', 'delta', () => new ChaosEndpoint()],
];

test.each(CASES)('killed at any moment, it ends with every byte once: %s', async (_name, mode, receiver) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { maxLength: 40 }),
      fc.array(fc.nat(4), { minLength: 1, maxLength: 7 }),
      fc.boolean(),
      fc.constantFrom(0, 3_600_000),
      async (actions, waits, ephemeral, graceMs) => {
        let waited = 0;
        const wait = () => waits[waited++ % waits.length]!;
        const sinks = new Map([
          ['one', receiver()],
          ['two', receiver()],
        ]);
        const collectors = NODES.map((node) => new CollectorModel(node));
        const world: World = {
          ...{ mode, ephemeral, graceMs, disk: new Disk(wait), sinks, collectors, wait },
          nowMs: STARTED_MS + 3_600_000,
          seriesEnded: false,
        };
        let life = await new Life(world).begin();
        let counted = 0;
        const move = (node: number, bytes: readonly number[]) => {
          counted += bytes.reduce((sum, each) => sum + each, 0);
          const pods = PODS.filter((pod) => pod % NODES.length === node);
          life.receive(collectors[node]!.freeze(pods, bytes, world.nowMs));
        };
        for (const act of actions) {
          if (act.do === 'batch') {
            move(act.node, act.bytes);
          } else if (act.do === 'export') {
            world.nowMs += act.afterMs;
            for (const sink of sinks.values()) sink.answers.push(...act.answers);
            life.export();
          } else if (act.do === 'wait') {
            await turns(act.turns);
          } else if (act.do === 'disk') {
            world.disk.fails = act.fails;
          } else if (!life.unsaved) {
            if (act.do === 'kill') {
              await turns(act.turns);
              for (const sink of sinks.values()) sink.answers.unshift(...act.answers);
            } else if (!world.disk.fails) await life.finish();
            life.alive = false;
            life = await new Life(world).begin();
          }
        }
        world.disk.fails = false;
        for (const sink of sinks.values()) sink.answers = [];
        // Bytes too many in the state of a sink would be missing from what comes later.
        for (const node of NODES.keys()) move(node, [1000, 1000, 1000, 1000]);
        // The backoff of refused series ends after a while.
        for (let round = 0; round < 4; round++) {
          world.nowMs += 20 * 60_000;
          life.export();
          await until(() => [...sinks.keys()].every((name) => (life.acceptedMs.get(name) ?? 0) >= world.nowMs));
        }
        for (const sink of sinks.values()) {
          const expected = sink.counters.length * counted;
          expect(sink.sum(mode)).toBeLessThanOrEqual(expected);
          // Refused to the end after its own end: the one loss that is by design, and counted.
          if (world.seriesEnded) continue;
          // Deltas that a receiver refused beside others are lost by design, and counted; but for those whose answer was lost by a kill and
          // that were refused once more: they go later.
          expect(sink.sum(mode)).toBeGreaterThanOrEqual(expected - (mode === 'delta' ? sink.lost : 0));
        }
        await until(() => collectors.every(({ outbox }) => outbox.size === 0));
        life.alive = false;
      },
    ),
    { numRuns: 60 },
  );
});

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 20_000) throw new Error('the exporter makes no progress');
    await turns(1);
  }
}
