import { setTimeout as sleep } from 'node:timers/promises';
import { openLibbpf } from '../../native/bpf.ts';
import { type BatchOptions, MapReader } from '../map-reader.ts';
import type { ConnectionBlock } from '../record.ts';
import type { ReadReport } from '../source.ts';
import { SourceError } from '../source-error.ts';
import { type Clock, type ClockSource, clockAt } from './clock.ts';
import { type DecodeContext, decodeEntries, newBlock, startTally, type Tally, viewEntries } from './decode.ts';
import { EndpointsReader } from './endpoints-reader.ts';
import { inspectedClock, inspectedLayout, inspectMaps, isActive, layoutError } from './inspect.ts';
import { readKernelTime } from './kernel-time.ts';
import { CONTRADICTIONS_TO_REJECT, KEY_BYTES_V4, KEY_BYTES_V6, layoutOf, VALUE_BYTES } from './layout.ts';
import { MAPS_FOLDER, type OpenMaps, openMaps } from './maps.ts';

/** Between two inspections, where the first does not show whether Cilium is active. */
const SECOND_INSPECTION_MS = 1500;
/** Maps in which every entry expired so long ago are left from a Cilium that was removed. */
const STALE_SECONDS = 600;
/** Records that are decoded and delivered together: so few that they stay in the processor's cache. */
const BLOCK_RECORDS = 1024;

/** Where and how Cilium's maps are read. */
export interface CtMapsReaderOptions extends BatchOptions {
  /** Folder of the pinned maps. */
  readonly folder?: string | undefined;
  /** The unit of lifetimes: `ktime` in any case; `jiffies`, unless the entries show that it is the other. */
  readonly clockSource?: ClockSource | undefined;
  /** Read maps that do not show that Cilium is active, or not yet what they count. */
  readonly forced?: boolean | undefined;
  /** Of hashes. */
  readonly seed: number;
}

/** Reads Cilium's connection tracking maps, once their layout is known. */
export class CtMapsReader {
  readonly #options: CtMapsReaderOptions;
  readonly #folder: string;
  readonly #readers = new Map<4 | 6, MapReader>();
  readonly #blocks = new Map<4 | 6, Uint32Array>();
  readonly #endpoints: EndpointsReader;
  /** The entries have shown that they are of the layout that can be read. */
  #layoutKnown = false;
  #clockSource: ClockSource = 'jiffies';
  #namesBefore: readonly string[] = [];

  private constructor(options: CtMapsReaderOptions) {
    this.#options = options;
    this.#folder = options.folder ?? MAPS_FOLDER;
    this.#endpoints = new EndpointsReader(options.seed, options);
  }

  /**
   * Opens libbpf and finds out the layout of the maps.
   * @throws SourceError that says why they cannot be read
   */
  static async open(options: CtMapsReaderOptions): Promise<CtMapsReader> {
    openLibbpf();
    const reader = new CtMapsReader(options);
    try {
      await reader.#findLayout();
      return reader;
    } catch (error) {
      reader.close();
      throw error;
    }
  }

  /**
   * Reads all entries once, while the event loop goes on.
   * @param onBlock may not keep the block
   * @throws SourceError that says why they cannot be read, or cannot any more
   */
  async read(onBlock: (block: ConnectionBlock) => void): Promise<ReadReport> {
    const startedMs = Date.now();
    const started = performance.now();
    if (!this.#layoutKnown) await this.#findLayout();
    const maps = openMaps(this.#folder);
    try {
      const clock = clockAt(this.#clockSource, readKernelTime());
      const context = { endpoints: await this.#endpoints.read(maps.endpoints), clock, tally: startTally() };
      const delivered = this.#layoutKnown
        ? await this.#deliver(maps, context, onBlock)
        : { entries: 0, whole: true, restarted: 0 };
      if (this.#layoutKnown) this.#checkLayout(context.tally, delivered.entries, clock);
      return {
        complete: delivered.whole && !this.#hasLostMap(maps),
        startedNs: BigInt(startedMs) * 1_000_000n,
        entries: delivered.entries,
        skipped: skippedOf(context.tally),
        interrupted: 0,
        overrun: 0,
        restarted: delivered.restarted,
        durationMs: performance.now() - started,
      };
    } finally {
      maps.close();
    }
  }

  close(): void {
    for (const reader of this.#readers.values()) reader.free();
    this.#endpoints.free();
  }

  /** Finds out the layout of the entries. Where forced, one that they do not show yet is waited for. */
  async #findLayout(): Promise<void> {
    const { forced = false, clockSource = 'jiffies' } = this.#options;
    const first = await this.#inspect();
    const layout = inspectedLayout(first);
    const error = layoutError(layout);
    if (error !== undefined && !(forced && layout === 'undetermined')) throw error;
    const clock = inspectedClock(first, clockSource, readKernelTime());
    this.#clockSource = clock.source;
    this.#layoutKnown = layout === 'directed';
    if (forced || isActive(first, undefined, clock)) return;
    await sleep(SECOND_INSPECTION_MS);
    if (!isActive(await this.#inspect(), first, clock)) throw stale();
  }

  async #inspect() {
    const maps = openMaps(this.#folder);
    try {
      return await inspectMaps(maps, (family) => this.#readerOf(family));
    } finally {
      maps.close();
    }
  }

  #readerOf(family: 4 | 6): MapReader {
    const known = this.#readers.get(family);
    if (known !== undefined) return known;
    const reader = new MapReader(family === 4 ? KEY_BYTES_V4 : KEY_BYTES_V6, VALUE_BYTES, this.#options);
    this.#readers.set(family, reader);
    return reader;
  }

  async #deliver(maps: OpenMaps, context: DecodeContext, onBlock: (block: ConnectionBlock) => void) {
    const report = { entries: 0, whole: true, restarted: 0 };
    for (const { map, family, zone } of maps.connections) {
      const reader = this.#readerOf(family);
      const words = this.#blockOf(family);
      const before = reader.restarts;
      for await (const batch of reader.read(map)) {
        const entries = viewEntries(family, batch.keys, batch.values);
        for (let at = 0; at < batch.count; ) {
          const { next, count } = decodeEntries(entries, at, batch.count, zone, words, context);
          onBlock({ words, count });
          report.entries += count;
          at = next;
        }
      }
      report.whole &&= reader.whole;
      report.restarted += reader.restarts - before;
    }
    return report;
  }

  #blockOf(family: 4 | 6): Uint32Array {
    const block = this.#blocks.get(family) ?? newBlock(family, BLOCK_RECORDS);
    this.#blocks.set(family, block);
    return block;
  }

  /** The entries may show that the maps are no longer what they were: of another version of Cilium, or of none. */
  #checkLayout({ layoutCounts, latest, undecodable, no_counters }: Tally, delivered: number, clock: Clock): void {
    if (undecodable >= CONTRADICTIONS_TO_REJECT) {
      this.#layoutKnown = false;
      throw layoutError(layoutOf(layoutCounts)) ?? layoutError('unknown')!;
    }
    if (delivered === 0 && no_counters >= CONTRADICTIONS_TO_REJECT) throw layoutError('zero')!;
    const isOver = latest > 0 && clock.secondsLeft(latest) < -STALE_SECONDS;
    if (isOver && this.#options.forced !== true) throw stale();
  }

  /** A map that was there at the last read is not: what it held has not ended. */
  #hasLostMap({ connections }: OpenMaps): boolean {
    const names = connections.map(({ name }) => name);
    const before = this.#namesBefore;
    this.#namesBefore = names;
    return before.some((name) => !names.includes(name));
  }
}

function stale(): SourceError {
  return new SourceError(
    'stale',
    "nothing moves in Cilium's maps: they are left from one that was removed, or it has no traffic at all",
  );
}

function skippedOf({ service, related, counted_at_source, no_counters, undecodable }: Tally): ReadReport['skipped'] {
  return { service, related, counted_at_source, no_counters, undecodable };
}
