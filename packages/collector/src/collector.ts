import { ClockSteps, MACHINE_CLOCKS, warnAboutStep } from '@egressd/daemon/clock-steps';
import { type Fields, type Log, LogLimiter } from '@egressd/daemon/log';
import type { BlindSpot } from '@egressd/flow/node-health';
import type { PodTraffic } from './conntrack/pod-traffic.ts';
import type { ConnectionBlock } from './conntrack/record.ts';
import type { ConntrackSource, EventLossReport, LosslessChange, ReadReport } from './conntrack/source.ts';
import { IMAGE_WORDS } from './flow-table/flow-record.ts';
import { FlowTable } from './flow-table/flow-table.ts';
import { HandOver, type HandOverOptions } from './hand-over.ts';
import type { CollectorMetrics } from './metrics.ts';
import { Reducer } from './reducer/reducer.ts';
import type { SavedConnections } from './state/connections-file.ts';
import type { Epoch } from './state/epoch.ts';
import { freezeBatch } from './state/frozen-batch.ts';
import type { Stream } from './stream/stream.ts';

/** While the exporter is unavailable a batch holds up to this much time: few large ones are better than many, and bytes keep their minute. */
const COALESCE_MS = 60_000;
/** A connection that so many whole reads did not see has ended: an expired one hides from dumps, but does not come back. */
const ENDED_AFTER_READS = 3;
/**
 * With DESTROY events it is kept for longer, and never less than the above: an expired one hides from dumps until the kernel's garbage
 * collection removes it, within a minute or so, and then its event comes.
 */
const EVENT_WITHIN_MS = 10 * 60_000;

interface CollectorOptions {
  readonly source: ConntrackSource;
  readonly stream: HandOverOptions['stream'] &
    Pick<Stream, 'reportHealth' | 'canFreeze' | 'connected' | 'wantOriginalDestination'>;
  readonly epoch: Epoch;
  /** Saves what was counted, so that another process can go on; undefined: nothing is saved. */
  readonly state?: HandOverOptions['state'];
  readonly metrics: CollectorMetrics;
  readonly log: Log;
  readonly maxPairs: number;
  readonly readIntervalMs: number;
  readonly cleanupIntervalMs: number;
  /** Seeds the tables' hashes: random, so that traffic cannot be made to collide. */
  readonly seed: number;
  readonly now: () => number;
  /** Milliseconds since the boot of the node; not set: the machine's. */
  readonly sinceBoot?: () => number;
  /** The node's own addresses as they are now. */
  readonly nodeAddresses?: () => readonly Uint8Array[];
  /** What passes conntrack by on the node. */
  readonly blindSpots?: () => readonly BlindSpot[];
  /** Compares what is counted with what pods move. */
  readonly podTraffic?: Pick<PodTraffic, 'beginRead' | 'endRead'>;
  /** DESTROY events were lost: the next read is to come sooner. */
  readonly readSooner?: () => void;
  /** Gets every block that was read: for `-log-entries`. */
  readonly onBlock?: (block: ConnectionBlock) => void;
}

/**
 * The collector's work, step by step:
 *
 *   source ──blocks, DESTROY events──> flow table ──what moved──> reducer ──rows──> batch ──> stream
 *                                           └──────── image ────────> state ──┘
 *
 * The caller keeps the time: it calls `read` every interval, and `finish` at the end.
 */
export class Collector {
  readonly #options: CollectorOptions;
  readonly #handOver: HandOver;
  #table: FlowTable;
  readonly #logLimiter: LogLimiter;
  readonly #clock: ClockSteps;
  #reducer: Reducer;
  /** When the last whole read that left nothing pending ended. */
  #sinceMs: number;
  #sweptMs: number;
  #sourceName: ConntrackSource['name'];
  #uncounted: ReadReport['uncounted'];
  #reading = false;
  #finishing = false;
  #hasRead = false;

  constructor(options: CollectorOptions) {
    const now = options.now();
    this.#options = options;
    this.#sourceName = options.source.name;
    this.#logLimiter = new LogLimiter(options.now);
    this.#handOver = new HandOver(options);
    this.#clock = new ClockSteps({ sinceBoot: MACHINE_CLOCKS.sinceBoot, ...options });
    this.#table = new FlowTable(options.seed, nanoseconds(now));
    this.#reducer = this.#newReducer();
    this.#sinceMs = now;
    this.#sweptMs = now;
    options.source.subscribe?.({
      onDestroy: (block) => this.#onDestroy(block),
      onEventLoss: (report) => this.#onEventLoss(report),
      onLosslessChange: (change) => this.#onLosslessChange(change),
    });
  }

  /** Continues where the process before ended. To be called before the first read. */
  restore({ images }: SavedConnections): void {
    const last = images.at(-1)!;
    this.#table = new FlowTable(this.#options.seed, last.firstReadNs, last.baseline);
    for (const { words } of images) this.#table.restore(words);
    if (this.#options.source.restore !== undefined) this.#options.source.restore(this.#table.image(true), IMAGE_WORDS);
    // The clock may have been set back while no collector ran.
    const now = this.#options.now();
    this.#table.baseline.lower(nanoseconds(now));
    this.#table.counterDecreases = last.counterDecreases;
    this.#sinceMs = Math.min(last.sinceMs, now);
    this.#handOver.markRestored();
  }

  /** The first read has ended. */
  get hasRead(): boolean {
    return this.#hasRead;
  }

  /** Resolves when the last hand-over is saved and sent. */
  get handedOver(): Promise<void> {
    return this.#handOver.done;
  }

  /** Begins another epoch. @see HandOver.beginEpoch */
  beginEpoch(): Promise<void> {
    return this.#handOver.beginEpoch(() => this.#reducer.freeze());
  }

  /**
   * One turn: reads all connections, and hands over what moved where the exporter or the outbox takes it. A read that fails is
   * counted and logged; the counters are running totals, so the next one brings what it missed.
   */
  async read(): Promise<void> {
    const complete = await this.#readTable();
    this.#handOverMoved(complete);
    this.#sweepIfDue();
    this.#options.metrics.setSizes(this.#table, this.#reducer);
    this.#hasRead = true;
  }

  /** The last turn: what moved becomes a batch, also where the exporter is unavailable. */
  async finish(): Promise<void> {
    this.#finishing = true;
    const complete = await this.#readTable();
    this.#handOver.beginShutdown();
    await this.#handOver.done;
    this.#handOverMoved(complete, true);
    await this.#handOver.done;
  }

  /** @returns whether the whole table was seen */
  async #readTable(): Promise<boolean> {
    const { source, metrics, onBlock, podTraffic } = this.#options;
    this.#reading = true;
    podTraffic?.beginRead();
    try {
      const report = await source.read((block) => {
        this.#rebaseOnNewSource();
        this.#followClock();
        onBlock?.(block);
        this.#table.apply(block, this.#reducer);
      });
      this.#table.settleZones(report.complete, this.#reducer, this.#finishing);
      metrics.countRead(report, this.#table.endRead(report.complete));
      this.#warnAboutRead(report);
      this.#reportHealth(report);
      podTraffic?.endRead(this.#countedBytes(report));
      return report.complete;
    } catch (error) {
      this.#table.endRead(false);
      podTraffic?.endRead(undefined);
      metrics.countFailedRead();
      this.#warn('read_failed', 'conntrack read failed, the next one brings what it missed', { error: String(error) });
      return false;
    } finally {
      this.#reading = false;
    }
  }

  /** Another source begins with a baseline of its own. Called before its first block is applied. */
  #rebaseOnNewSource(): void {
    const { source, now, log } = this.#options;
    if (source.name === this.#sourceName) return;
    log.warn('source of connections changed, starting from a baseline', {
      before: this.#sourceName,
      now: source.name,
    });
    this.#sourceName = source.name;
    this.#options.metrics.countSourceChange();
    this.#table.baseline.rebase(nanoseconds(now()));
  }

  /** Where the node's clock was set, what is compared with it moves along. */
  #followClock(): void {
    const { now, log, metrics } = this.#options;
    // The kernel's clock is finer than ours, and goes on while connections are on their way.
    this.#table.baseline.latestStartNs = nanoseconds(now() + 1);
    const step = this.#clock.take();
    if (step === undefined) return;
    this.#table.baseline.lower(nanoseconds(step.sinceMs));
    this.#sinceMs += step.stepMs;
    metrics.countClockStep(step);
    this.#logLimiter.limit('clock', () => warnAboutStep(log, 'node clock was set', step));
  }

  /** DESTROY events came, during a read or between two: the last bytes of their connections go with the next batch. */
  #onDestroy(block: ConnectionBlock): void {
    this.#followClock();
    this.#options.onBlock?.(block);
    this.#options.metrics.countDestroyEvents(block.count);
    this.#table.applyDestroyed(block, this.#reducer);
    if (this.#table.wantsSweep && !this.#reading) this.#sweep();
  }

  #onEventLoss(report: EventLossReport): void {
    this.#options.metrics.countEventLoss(report);
    const { overruns, lost, gaps } = report;
    if (overruns + gaps === 0) return;
    this.#warn('events_lost', 'DESTROY events lost: what their connections moved since the last read is not counted', {
      overruns,
      lost,
      gaps,
    });
    this.#options.readSooner?.();
  }

  #onLosslessChange(change: LosslessChange): void {
    this.#options.metrics.setLossless(change);
    if (change === 'resumed') this.#options.log.info('lossless conntrack events resumed');
    else
      this.#warn('lossless_suspended', 'lossless conntrack events suspended, they are resumed after a while', {
        cause: change,
      });
  }

  /**
   * Freezes what moved into a batch. Its span begins at the last whole read: one that missed something leaves bytes for the next,
   * whose span reaches back as far.
   */
  #handOverMoved(complete: boolean, last = false): void {
    const { stream, epoch, now } = this.#options;
    this.#followClock();
    const toMs = Math.max(now(), this.#sinceMs);
    const fromMs = this.#sinceMs;
    if (this.#reducer.rows > 0) {
      const early = !stream.connected && toMs - fromMs < COALESCE_MS;
      if (!last && (early || !stream.canFreeze || this.#handOver.busy)) return;
      if (complete) this.#sinceMs = toMs;
      const batch = freezeBatch({ number: epoch.next(), fromMs, toMs }, this.#reducer.freeze(), toMs);
      this.#handOver.submit(batch, this.#table, this.#sinceMs);
    } else {
      if (complete) this.#sinceMs = toMs;
      if (this.#handOver.wantsImage) this.#handOver.submit(undefined, this.#table, this.#sinceMs);
    }
    if (stream.connected && stream.wantOriginalDestination !== this.#reducer.originalDestination)
      this.#exchangeReducer();
  }

  /** The exporter wants other columns: nothing is pending, so the pairs can be looked up anew. */
  #exchangeReducer(): void {
    this.#reducer = this.#newReducer();
    this.#table.renumberPairs(new Uint32Array());
  }

  #newReducer(): Reducer {
    const { maxPairs, seed, stream } = this.#options;
    return new Reducer({ maxPairs, seed, originalDestination: stream.wantOriginalDestination });
  }

  #sweepIfDue(): void {
    const { cleanupIntervalMs, now } = this.#options;
    if (Math.abs(now() - this.#sweptMs) < cleanupIntervalMs && !this.#table.wantsSweep) return;
    this.#sweptMs = now();
    this.#sweep();
  }

  /** Evicts connections that have ended, and pairs that no connection uses. */
  #sweep(): void {
    const used = new Uint8Array(this.#reducer.size + 1);
    this.#table.sweep(this.#endedAfterReads(), (pair) => {
      used[pair] = 1;
    });
    this.#table.renumberPairs(this.#reducer.compact(used));
  }

  #endedAfterReads(): number {
    const { source, readIntervalMs } = this.#options;
    const hasEvents =
      source.subscribe !== undefined && source.deliversDestroyEvents !== false && source.sysctls().events !== 0;
    return Math.max(ENDED_AFTER_READS, hasEvents ? Math.ceil(EVENT_WITHIN_MS / readIntervalMs) : 0);
  }

  /** How this node's kernel counts: the exporter reports it to Kubernetes. */
  #reportHealth({ skipped }: ReadReport): void {
    const { stream, source, nodeAddresses, blindSpots } = this.#options;
    stream.reportHealth({
      ...source.sysctls(),
      counterDecreases: this.#table.counterDecreases,
      entriesWithoutCounters: skipped.no_counters,
      ...(blindSpots === undefined ? {} : { blindSpots: blindSpots() }),
      ...(nodeAddresses === undefined ? {} : { nodeAddresses: nodeAddresses() }),
    });
  }

  /** undefined: conntrack has seen more. Without counters it has seen those entries too. */
  #countedBytes({ complete, skipped }: ReadReport): number | undefined {
    return complete && skipped.no_counters === 0 ? this.#table.innerBytes : undefined;
  }

  #warnAboutRead({ complete, interrupted, overrun, skipped, uncounted }: ReadReport): void {
    this.#warnAboutUncounted(uncounted);
    if (!complete)
      this.#warn('read_incomplete', 'conntrack table changed under every attempt to read it, the next read goes on', {
        interrupted,
        overrun,
      });
    if (skipped.undecodable > 0)
      this.#warn('undecodable', 'conntrack entries could not be decoded and are not counted', {
        entries: skipped.undecodable,
        advice: 'please report this with the kernel version',
      });
  }

  /** More than at the last read. */
  #warnAboutUncounted(now: ReadReport['uncounted']): void {
    const before = this.#uncounted;
    this.#uncounted = now;
    if (now === undefined || before === undefined) return;
    if (now.fullPackets > before.fullPackets)
      this.#warn('ebpf_full', 'eBPF map is full: traffic of new pairs is not counted', {
        packets: now.fullPackets - before.fullPackets,
        bytes: now.fullBytes - before.fullBytes,
        max_pairs: now.maxPairs,
        advice: 'run the collector once with -cleanup, then with a larger -ebpf-max-pairs',
      });
  }

  #warn(reason: string, message: string, fields: Fields): void {
    this.#logLimiter.limit(reason, (suppressed) => this.#options.log.warn(message, { reason, ...fields, suppressed }));
  }
}

function nanoseconds(ms: number): bigint {
  return BigInt(ms) * 1_000_000n;
}
