import { Backoff, type Log } from '@egressd/daemon/log';
import type { ConnectionBlock } from './conntrack/record.ts';
import type { ConntrackSource, ReadReport } from './conntrack/source.ts';
import { FlowTable } from './flow-table/flow-table.ts';
import type { CollectorMetrics } from './metrics.ts';
import { Reducer } from './reducer/reducer.ts';
import type { Numbering } from './state/numbering.ts';
import { freezeBatch } from './stream/outbox.ts';
import type { Stream } from './stream/stream.ts';

/** While nobody takes batches, one holds up to this much time: few large ones are better than many, and bytes keep their minute. */
const COALESCE_MS = 60_000;
/** A connection that so many whole reads did not see has ended: an expired one hides from dumps, but does not come back. */
const ENDED_AFTER_READS = 3;

export interface CollectorOptions {
  readonly source: ConntrackSource;
  readonly stream: Pick<Stream, 'send' | 'tell' | 'canFreeze' | 'connected' | 'wantDialled'>;
  readonly numbering: Numbering;
  readonly metrics: CollectorMetrics;
  readonly log: Log;
  readonly maxPairs: number;
  readonly cleanupIntervalMs: number;
  /** Seeds the tables' hashes: random, so that nobody can choose connections that collide. */
  readonly seed: number;
  readonly now: () => number;
  /** Sees every block that was read: for `-log-entries`. */
  readonly onBlock?: (block: ConnectionBlock) => void;
}

/**
 * The collector's work, step by step:
 *
 *   source ──blocks──> flow table ──what moved──> reducer ──rows──> batch ──> stream
 *
 * Whoever keeps the time calls `read` every interval, and `finish` at the end.
 */
export class Collector {
  readonly #options: CollectorOptions;
  readonly #table: FlowTable;
  readonly #backoff: Backoff;
  #reducer: Reducer;
  /** When the last whole read that left nothing pending ended. */
  #sinceMs: number;
  #cleanedMs: number;
  #sourceName: ConntrackSource['name'];

  constructor(options: CollectorOptions) {
    const now = options.now();
    this.#options = options;
    this.#sourceName = options.source.name;
    this.#backoff = new Backoff(options.now);
    this.#table = new FlowTable(options.seed, BigInt(now) * 1_000_000n);
    this.#reducer = this.#newReducer();
    this.#sinceMs = now;
    this.#cleanedMs = now;
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
    this.#handOver(await this.#readTable(), true);
  }

  /** @returns whether the whole table was seen */
  async #readTable(): Promise<boolean> {
    const { source, metrics, onBlock } = this.#options;
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
      metrics.countFailedRead();
      this.#warn('a read of the conntrack table failed; the next one brings what it missed', { error: String(error) });
      return false;
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

  /**
   * Freezes what moved into a batch. Its span begins at the last whole read: one that missed something leaves bytes for the next,
   * whose span reaches back as far.
   */
  #handOver(complete: boolean, last = false): void {
    const { stream, numbering, now } = this.#options;
    const toMs = Math.max(now(), this.#sinceMs);
    if (this.#reducer.rows > 0) {
      const early = !stream.connected && toMs - this.#sinceMs < COALESCE_MS;
      if (!last && (early || !stream.canFreeze)) return;
      const span = { number: numbering.next(), fromMs: this.#sinceMs, toMs };
      stream.send(freezeBatch(span, this.#reducer.freeze(), toMs));
    }
    if (complete) this.#sinceMs = toMs;
    if (stream.connected && stream.wantDialled !== this.#reducer.dialled) this.#exchangeReducer();
  }

  /** The exporter wants other columns: nothing is pending, so the pairs can be looked up anew. */
  #exchangeReducer(): void {
    this.#reducer = this.#newReducer();
    this.#table.renumberPairs(new Uint32Array());
  }

  #newReducer(): Reducer {
    const { maxPairs, seed, stream } = this.#options;
    return new Reducer({ maxPairs, seed, dialled: stream.wantDialled });
  }

  /** Forgets connections that have ended, and pairs that nobody uses any more. */
  #clean(): void {
    const { cleanupIntervalMs, now } = this.#options;
    if (Math.abs(now() - this.#cleanedMs) < cleanupIntervalMs) return;
    this.#cleanedMs = now();
    const used = new Uint8Array(this.#reducer.size + 1);
    this.#table.sweep(ENDED_AFTER_READS, (pair) => {
      used[pair] = 1;
    });
    this.#table.renumberPairs(this.#reducer.compact(used));
  }

  /** What the exporter is to know of this node's kernel: it can tell Kubernetes. */
  #tellHealth({ skipped }: ReadReport): void {
    const { stream, source } = this.#options;
    stream.tell({
      ...source.switches(),
      countersBackwards: this.#table.backwards,
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
    this.#backoff.limit(message, (leftOut) => this.#options.log.warn(message, { ...fields, left_out: leftOut }));
  }
}
