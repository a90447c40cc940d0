import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { Registry } from 'prom-client';
import { Aggregate, type FoldedFlows } from './aggregate/aggregate.ts';
import type { RestoredTotals } from './aggregate/image.ts';
import { FOLD_REASONS, type FoldReason } from './aggregate/shares.ts';
import type { Snapshot } from './aggregate/snapshot.ts';
import { authorizeNode } from './authorization/authorize-node.ts';
import type { Moved } from './clock/cluster-clock.ts';
import { type EnrichOptions, enrich } from './enrich/enrich.ts';
import { createExporterMetrics, type ExporterMetrics } from './metrics.ts';
import type { OwnerRegistry } from './owners/registry.ts';
import { PendingBatches } from './pending/pending-batches.ts';
import type { Collector, ReceivedBatch } from './receiver/received.ts';
import type { Mode } from './sinks/delivery/frame.ts';
import { ModeChoice } from './sinks/delivery/mode-choice.ts';
import type { Accepted, SinkDelivery } from './sinks/delivery/sink-delivery.ts';
import type { BatchOffsets } from './state/batch-offsets.ts';
import type { CheckpointStore } from './state/checkpoint/checkpoint-store.ts';
import type { CountedImage } from './state/checkpoint/format.ts';

/** The last checkpoint may take so long. */
const LAST_CHECKPOINT_MS = 1500;

/** By whose share of the series was used up. Sums stay exact. */
const ADVICE_FOLDED: Readonly<Record<FoldReason, string>> = {
  pod: 'a pod talks to very many addresses: see which one, or set group-public-ips',
  namespace: 'the pods of a namespace talk to very many addresses: see which ones, or set group-public-ips',
  node: 'the pods of a node, or what is beside them, talk to very many addresses: see which ones, or set group-public-ips',
  all: 'give the exporter more memory, and raise maxSeries of its sinks',
};

/** What the exporter needs of the receiver. */
interface Streams {
  readonly collectors: readonly Collector[];
  commit(moved: ReturnType<BatchOffsets['commitUpTo']>): void;
}

/** What it needs of the state directory. */
type StateDirectory = Pick<CheckpointStore, 'saved' | 'degraded' | 'ephemeral' | 'take' | 'close'>;

/** What it needs of a sink's delivery. */
type ExportTarget = Pick<SinkDelivery, 'offer' | 'holdsCommit' | 'moveStart' | 'close'>;

interface ExporterOptions {
  readonly owners: OwnerRegistry;
  readonly offsets: BatchOffsets;
  /** Owners may become known a little late: batches are pending until then, and `enrichPending` is called now and then. */
  readonly waitForOwners: boolean;
  /** By name. Each calls `accepted` with its own name. */
  readonly sinks: ReadonlyMap<string, ExportTarget>;
  /** Where totals outlive the process; undefined: nowhere. */
  readonly state?: StateDirectory | undefined;
  /** `/metrics`, where it shows traffic: takes every snapshot. */
  readonly exposition?: { update(snapshot: Snapshot): void } | undefined;
  /** What the configuration says of addresses without an owner. */
  readonly enrich?: EnrichOptions;
  /** Cardinality limit: live series; what is beyond is folded. */
  readonly maxSeries?: number;
  /** Bytes of batches that wait for owners. */
  readonly pendingBytes?: number;
  readonly registry: Registry;
  readonly log: Log;
  readonly now?: () => number;
}

/**
 * The exporter's work, step by step:
 *
 *   receiver ──batch──> pending ──> enrich ──flows──> aggregate ──snapshot──> sinks ──frames──┐
 *      <──────────── committed ──────────── offsets <─────── accepted ────────┘             │
 *                                             └──< saved ─── state <── checkpoint: all of it ┘
 *
 * Without a state directory nothing is committed before every sink has accepted it; one that is unavailable too long is not waited for. With
 * one a batch is committed, and a frame is sent, when the checkpoint that holds it is on the disk; where the directory goes with the
 * pod, both have to be.
 */
export class Exporter {
  readonly #options: ExporterOptions;
  readonly #now: () => number;
  readonly #aggregate: Aggregate;
  readonly #metrics: ExporterMetrics;
  readonly #pending: PendingBatches;
  readonly #logLimiter: LogLimiter;
  /** By sink: the newest of its snapshots that it has accepted. */
  readonly #accepted = new Map<string, Accepted>();
  /** The newest snapshot: what is accepted where no sink is waited for. */
  #latest: Accepted | undefined;
  readonly #modeChoice: ModeChoice;
  /** What collectors ask sinks to send; undefined: each sink as it usually does. */
  #mode: Mode | undefined;

  constructor(options: ExporterOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#logLimiter = new LogLimiter(this.#now);
    this.#modeChoice = new ModeChoice(options.log, this.#now);
    const { maxSeries, pendingBytes } = options;
    this.#aggregate = new Aggregate(maxSeries === undefined ? {} : { maxSeries });
    this.#pending = new PendingBatches(options.owners, pendingBytes);
    this.#metrics = createExporterMetrics(options.registry, this.#aggregate, options.owners, this.#pending);
  }

  /** Restores the state of a checkpoint, before anything else. @returns the restored totals */
  restore({ mode, nodes, totals }: CountedImage): RestoredTotals {
    this.#mode = mode;
    this.#options.offsets.restore(nodes);
    return this.#aggregate.restore(totals);
  }

  /** Why no batch can be accepted now; undefined: ready. */
  notReady(): string | undefined {
    return this.#options.owners.synced ? undefined : 'pods and nodes are not listed yet';
  }

  /** Why a collector is not authorized for its node; undefined: it is. Then its node's addresses are taken. */
  admit(collector: Collector, nodeAddresses: readonly Uint8Array[]): string | undefined {
    const { owners, log } = this.#options;
    const refusal = authorizeNode(owners, { ...collector, nodeAddresses }, this.#now());
    if (refusal !== undefined) return refusal;
    owners.addNodeAddresses(collector.node, nodeAddresses, this.#now());
    if (owners.node(collector.node) === undefined) {
      this.#logLimiter.limit(`unknown node ${collector.node}`, () =>
        log.warn('collector streams for an unknown node, its traffic is given to no pod', {
          node: collector.node,
          advice: "its NODE_NAME must be the node's name in Kubernetes or the inventory",
        }),
      );
    }
    return undefined;
  }

  /** A node's addresses as they are now: they come and go, as a virtual address that moves to another node. */
  takeAddresses({ node }: Collector, nodeAddresses: readonly Uint8Array[]): void {
    this.#options.owners.addNodeAddresses(node, nodeAddresses, this.#now());
  }

  /** The clock was set: what was measured by it moves along. What has left with a time stays before what comes. */
  moveTime({ byMs, learned }: Moved): void {
    const { owners, offsets, sinks } = this.#options;
    owners.shift(byMs, learned);
    offsets.shift(byMs);
    this.#pending.shift(byMs);
    this.#aggregate.moveStart(byMs);
    for (const sink of sinks.values()) sink.moveStart(byMs);
  }

  /** Takes a batch: it is in the totals when this returns, or pending until the pods in it are known. */
  apply(batch: ReceivedBatch): void {
    if (this.#options.waitForOwners) this.#enrich(this.#pending.offer(batch, this.#now()));
    else this.#enrich([batch]);
  }

  /** Enriches the batches that are no longer pending. */
  enrichPending(): void {
    this.#enrich(this.#pending.due(this.#now()));
  }

  /** One turn, every export interval: a snapshot of all totals goes to every sink. */
  export(streams: Streams): void {
    const { owners, offsets, sinks, exposition, state } = this.#options;
    const now = this.#now();
    owners.evict(now);
    this.#aggregate.evictIdle(now, this.#acceptedByAll()?.timeMs ?? 0);
    // What is pending is in no total yet: it must not be committed.
    const snapshot = this.#aggregate.snapshot(now, this.#pending.withoutHeld(offsets.positions()));
    exposition?.update(snapshot);
    const asked = streams.collectors.map(({ settings }) => settings.sendTrafficDelta);
    if (asked.length > 0) this.#mode = this.#modeChoice.choose(asked);
    // It captures the rest at the end of this turn, when all have absorbed the snapshot and those that are idle have frozen a frame.
    state?.take(snapshot, this.#counted(snapshot));
    for (const sink of sinks.values()) sink.offer(snapshot, this.#mode);
    this.#latest = snapshot;
    this.commit(streams);
  }

  /** A sink has accepted a snapshot. */
  accepted(sink: string, accepted: Accepted, streams: Streams): void {
    this.#accepted.set(sink, accepted);
    this.commit(streams);
  }

  /** Acknowledges to collectors what can no longer be lost. */
  commit(streams: Streams): void {
    const safe = this.#safe();
    if (safe === undefined) return;
    const moved = this.#options.offsets.commitUpTo(safe.position);
    if (moved.size > 0) streams.commit(moved);
  }

  /** The last turn: what is in the totals goes to every sink, as far as they take it within the time. */
  async finish(streams: Streams, deadlineMs: number): Promise<void> {
    this.#enrich(this.#pending.all());
    this.export(streams);
    const { sinks, state } = this.#options;
    const late: string[] = [];
    await Promise.all(
      [...sinks].map(async ([name, sink]) => {
        if (!(await sink.close(deadlineMs))) late.push(name);
      }),
    );
    const saved = (await state?.close(LAST_CHECKPOINT_MS)) ?? false;
    for (const name of late) this.#warnLate(name, saved);
    this.commit(streams);
  }

  #warnLate(sink: string, saved: boolean): void {
    const who = saved ? 'the next start sends what it lacks' : 'collectors will send again what it lacks';
    this.#options.log.warn(`sink did not take the last snapshot in time; ${who}`, { sink });
  }

  #counted(snapshot: Snapshot): CountedImage {
    const nodes = this.#options.offsets.image((node, epoch) => this.#pending.firstHeld(node, epoch));
    return { mode: this.#mode, nodes, totals: this.#aggregate.image(snapshot) };
  }

  #enrich(batches: readonly ReceivedBatch[]): void {
    // Part by part: what is made of one takes several times its size.
    for (const batch of batches)
      for (const part of batch.parts) {
        const enriched = enrich({ ...batch, parts: [part] }, this.#options.owners, this.#options.enrich);
        const added = this.#aggregate.add(enriched, this.#now());
        this.#metrics.count(enriched, added);
        this.#warnFolded(batch.collector.node, added.folded);
      }
  }

  #warnFolded(node: string, folded: FoldedFlows): void {
    for (const reason of FOLD_REASONS) {
      if (folded[reason] === 0) continue;
      this.#logLimiter.limit(`folded ${reason}`, (suppressed) =>
        this.#options.log.warn('cardinality limit reached, series are folded into ~other', {
          reason,
          node,
          series: this.#aggregate.size,
          limit: this.#aggregate.limit,
          advice: ADVICE_FOLDED[reason],
          suppressed,
        }),
      );
    }
  }

  /** The newest snapshot of which nothing can be lost any more; undefined: none. */
  #safe(): Accepted | undefined {
    const { state } = this.#options;
    if (state === undefined || state.degraded) return this.#acceptedByAll();
    if (!state.ephemeral || state.saved === undefined) return state.saved;
    const accepted = this.#acceptedByAll();
    return accepted === undefined || accepted.timeMs < state.saved.timeMs ? accepted : state.saved;
  }

  /** The oldest of what each sink that is waited for has accepted last; undefined where one has accepted nothing yet. */
  #acceptedByAll(): Accepted | undefined {
    const holding = [...this.#options.sinks].filter(([, sink]) => sink.holdsCommit);
    let oldest = this.#latest;
    for (const [name] of holding) {
      const accepted = this.#accepted.get(name);
      if (accepted === undefined || oldest === undefined) return undefined;
      if (accepted.timeMs < oldest.timeMs) oldest = accepted;
    }
    return oldest;
  }
}
