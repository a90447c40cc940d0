import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { ConnectionBlock } from './conntrack/record.ts';
import type { ConntrackSource, EndsReport, LosslessChange, ReadReport } from './conntrack/source.ts';
import { FlowTable } from './flow-table/flow-table.ts';
import { HandOver, type HandOverOptions } from './hand-over.ts';
import type { CollectorMetrics } from './metrics.ts';
import { Reducer } from './reducer/reducer.ts';
import type { KeptConnections } from './state/connections-file.ts';
import type { Epoch } from './state/epoch.ts';
import { freezeBatch } from './state/frozen-batch.ts';
import type { Stream } from './stream/stream.ts';

/** While nobody takes batches, one holds up to this much time: few large ones are better than many, and bytes keep their minute. */
const COALESCE_MS = 60_000;
/** A connection that so many whole reads did not see has ended: an expired one hides from dumps, but does not come back. */
const ENDED_AFTER_READS = 3;
/**
 * Where ends are told it is kept for longer, and never less than the above: an expired one hides from dumps until the kernel comes by,
 * which it does every minute, and then its end is told.
 */
const END_TOLD_WITHIN_MS = 10 * 60_000;

export interface CollectorOptions {
  readonly source: ConntrackSource;
  readonly stream: HandOverOptions['stream'] &
    Pick<Stream, 'tell' | 'canFreeze' | 'connected' | 'wantOriginalDestination'>;
  readonly epoch: Epoch;
  /** Keeps what was counted, so that another process can go on; undefined: nothing is kept. */
  readonly state?: HandOverOptions['state'];
  readonly metrics: CollectorMetrics;
  readonly log: Log;
  readonly maxPairs: number;
  readonly readIntervalMs: number;
  readonly cleanupIntervalMs: number;
  /** Seeds the tables' hashes: random, so that nobody can choose connections that collide. */
  readonly seed: number;
  readonly now: () => number;
  /** Ends were lost: the next read is to come sooner. */
  readonly readSooner?: () => void;
  /** Sees every block that was read: for `-log-entries`. */
  readonly onBlock?: (block: ConnectionBlock) => void;
}

/**
 * The collector's work, step by step:
 *
 *   source ──blocks, ends──> flow table ──what moved──> reducer ──rows──> batch ──> stream
 *                                └──────── image ────────> state ──┘
 *
 * Whoever keeps the time calls `read` every interval, and `finish` at the end.
 */
export class Collector {
  readonly #options: CollectorOptions;
  readonly #out: HandOver;
  #table: FlowTable;
  readonly #logLimiter: LogLimiter;
  #reducer: Reducer;
  /** When the last whole read that left nothing pending ended. */
  #sinceMs: number;
  #cleanedMs: number;
  #sourceName: ConntrackSource['name'];
  #reading = false;

  constructor(options: CollectorOptions) {
    const now = options.now();
    this.#options = options;
    this.#sourceName = options.source.name;
    this.#logLimiter = new LogLimiter(options.now);
    this.#out = new HandOver(options);
    this.#table = new FlowTable(options.seed, BigInt(now) * 1_000_000n);
    this.#reducer = this.#newReducer();
    this.#sinceMs = now;
    this.#cleanedMs = now;
    options.source.follow?.({
      ended: (block) => this.#end(block),
      endsAmiss: (report) => this.#endsAmiss(report),
      losslessChanged: (change) => this.#losslessChanged(change),
    });
  }

  /** Goes on where a process before ended, before the first read. */
  restore({ images }: KeptConnections): void {
    const last = images.at(-1)!;
    this.#table = new FlowTable(this.#options.seed, last.firstReadNs, last.baseline);
    for (const { words } of images) this.#table.restore(words);
    this.#table.backwards = last.backwards;
    this.#sinceMs = last.sinceMs;
    this.#out.restored();
  }

  /** Resolves when the last hand-over is kept and sent. */
  get handedOver(): Promise<void> {
    return this.#out.done;
  }

  /** Begins another epoch. @see HandOver.renumber */
  renumber(): Promise<void> {
    return this.#out.renumber(() => this.#reducer.freeze());
  }

  /**
   * One turn: reads all connections, and hands over what moved if there is somebody or room to take it. A read that fails is
   * counted and said; the counters are running totals, so the next one brings what it missed.
   */
  async read(): Promise<void> {
    const complete = await this.#readTable();
    this.#handOver(complete);
    this.#clean();
    this.#options.metrics.setSizes(this.#table, this.#reducer);
  }

  /** The last turn: what moved becomes a batch, whoever is there to take it. */
  async finish(): Promise<void> {
    const complete = await this.#readTable();
    this.#out.hurry();
    await this.#out.done;
    this.#handOver(complete, true);
    await this.#out.done;
  }

  /** @returns whether the whole table was seen */
  async #readTable(): Promise<boolean> {
    const { source, metrics, onBlock } = this.#options;
    this.#reading = true;
    try {
      const report = await source.read((block) => {
        this.#followSource();
        onBlock?.(block);
        this.#table.apply(block, this.#reducer);
      });
      metrics.countRead(report, this.#table.endRead(report.complete));
      this.#sayTrouble(report);
      this.#tellHealth(report);
      return report.complete;
    } catch (error) {
      this.#table.endRead(false);
      metrics.countFailedRead();
      this.#warn('a read of the conntrack table failed; the next one brings what it missed', { error: String(error) });
      return false;
    } finally {
      this.#reading = false;
    }
  }

  /** Another source begins with a baseline of its own. Called before its first block is taken in. */
  #followSource(): void {
    const { source, now, log } = this.#options;
    if (source.name === this.#sourceName) return;
    log.warn('connections come from another source now: what each has moved before is its baseline', {
      before: this.#sourceName,
      now: source.name,
    });
    this.#sourceName = source.name;
    this.#table.rebase(BigInt(now()) * 1_000_000n);
  }

  /** Connections have ended, during a read or between two: their last bytes go with the next batch. */
  #end(block: ConnectionBlock): void {
    this.#options.onBlock?.(block);
    this.#options.metrics.countEnds(block.count);
    this.#table.end(block, this.#reducer);
    if (this.#table.crowded && !this.#reading) this.#sweep();
  }

  #endsAmiss(report: EndsReport): void {
    this.#options.metrics.countEndsAmiss(report);
    if (report.overruns + report.gaps === 0) return;
    this.#warn(
      'the ends of some connections were not told: what they moved since the last read is lost; reading anew',
      {
        overruns: report.overruns,
        lost: report.lost,
        gaps: report.gaps,
      },
    );
    this.#options.readSooner?.();
  }

  #losslessChanged(change: LosslessChange): void {
    this.#options.metrics.setLossless(change);
    if (change === 'resumed') this.#options.log.info('the kernel keeps ended connections until their end was told');
    else
      this.#warn('the kernel no longer keeps ended connections until their end was told; it will again after a while', {
        reason: change,
      });
  }

  /**
   * Freezes what moved into a batch. Its span begins at the last whole read: one that missed something leaves bytes for the next,
   * whose span reaches back as far.
   */
  #handOver(complete: boolean, last = false): void {
    const { stream, epoch, now } = this.#options;
    const toMs = Math.max(now(), this.#sinceMs);
    const fromMs = this.#sinceMs;
    if (this.#reducer.rows > 0) {
      const early = !stream.connected && toMs - fromMs < COALESCE_MS;
      if (!last && (early || !stream.canFreeze || this.#out.busy)) return;
      if (complete) this.#sinceMs = toMs;
      const batch = freezeBatch({ number: epoch.next(), fromMs, toMs }, this.#reducer.freeze(), toMs);
      this.#out.give(batch, this.#table, this.#sinceMs);
    } else {
      if (complete) this.#sinceMs = toMs;
      if (this.#out.wantsImage) this.#out.give(undefined, this.#table, this.#sinceMs);
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

  /** Forgets connections that have ended, and pairs that nobody uses any more. */
  #clean(): void {
    const { cleanupIntervalMs, now } = this.#options;
    if (Math.abs(now() - this.#cleanedMs) < cleanupIntervalMs && !this.#table.crowded) return;
    this.#cleanedMs = now();
    this.#sweep();
  }

  #sweep(): void {
    const used = new Uint8Array(this.#reducer.size + 1);
    this.#table.sweep(this.#endedAfterReads(), (pair) => {
      used[pair] = 1;
    });
    this.#table.renumberPairs(this.#reducer.compact(used));
  }

  #endedAfterReads(): number {
    const { source, readIntervalMs } = this.#options;
    const told = source.follow !== undefined && source.tellsEnds !== false && source.switches().events !== 0;
    return Math.max(ENDED_AFTER_READS, told ? Math.ceil(END_TOLD_WITHIN_MS / readIntervalMs) : 0);
  }

  /** What the exporter is to know of this node's kernel: it can tell Kubernetes. */
  #tellHealth({ skipped }: ReadReport): void {
    const { stream, source } = this.#options;
    stream.tell({
      ...source.switches(),
      counterDecreases: this.#table.backwards,
      entriesWithoutCounters: skipped.no_counters,
    });
  }

  #sayTrouble(report: ReadReport): void {
    if (!report.complete) {
      this.#warn('the conntrack table changed under every attempt to read it; nothing is lost, the next read goes on', {
        interrupted: report.interrupted,
        overrun: report.overrun,
      });
    }
    if (report.skipped.undecodable > 0) {
      this.#warn('entries could not be decoded and are not counted: please report this with the kernel version', {
        entries: report.skipped.undecodable,
      });
    }
  }

  #warn(message: string, fields: Record<string, string | number>): void {
    this.#logLimiter.limit(message, (leftOut) => this.#options.log.warn(message, { ...fields, left_out: leftOut }));
  }
}
