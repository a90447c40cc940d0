import { setTimeout as pause } from 'node:timers/promises';
import { openLibbpf } from '../../native/bpf.ts';
import type { ConnectionBlock } from '../record.ts';
import type { ReadReport } from '../source.ts';
import { SourceError } from '../source-error.ts';
import { type Clock, type ClockSource, clockAt } from './clock.ts';
import { decodeEntries, newBlock, type Reading, startTally, type Tally, viewEntries } from './decode.ts';
import { ENDPOINT_KEY_BYTES, Endpoints } from './endpoints.ts';
import { readKernelTime } from './kernel-time.ts';
import { KEY_BYTES_V4, KEY_BYTES_V6, layoutOf, MOST_AGAINST, VALUE_BYTES } from './layout.ts';
import { type BatchOptions, MapReader } from './map-reader.ts';
import { MAPS_FOLDER, type OpenMaps, openMaps } from './maps.ts';
import { isAtWork, refusalOf, surveyedClock, surveyedLayout, surveyMaps } from './survey.ts';

/** A second look at maps of which the first does not tell whether Cilium is at work. */
const SECOND_LOOK_MS = 1500;
/** Maps in which every entry has expired so long ago are nobody's any more. */
const STALE_SECONDS = 600;
const ENDPOINTS_BATCH = 1024;
/** Records that are decoded and delivered together: so few that they stay in the processor's cache. */
const BLOCK_RECORDS = 1024;

/** Where and how Cilium's maps are read. */
export interface CiliumReadingOptions extends BatchOptions {
  /** Folder of the pinned maps. */
  readonly folder?: string | undefined;
  /** The unit of lifetimes: `ktime` in any case; `jiffies`, unless the entries show that it is the other. */
  readonly clockSource?: ClockSource | undefined;
  /** Read maps that do not show that Cilium is at work, or not yet what they count. */
  readonly forced?: boolean | undefined;
  /** Of hashes. */
  readonly seed: number;
}

/** Cilium's maps, of which it is known what they count. */
export class CiliumReading {
  readonly #options: CiliumReadingOptions;
  readonly #folder: string;
  readonly #readers = new Map<4 | 6, MapReader>();
  readonly #blocks = new Map<4 | 6, Uint32Array>();
  readonly #endpoints: Endpoints;
  #endpointReader: MapReader | undefined;
  /** The entries have shown that they are of the layout that can be read. */
  #settled = false;
  #clockSource: ClockSource = 'jiffies';
  #namesBefore = '';

  private constructor(options: CiliumReadingOptions) {
    this.#options = options;
    this.#folder = options.folder ?? MAPS_FOLDER;
    this.#endpoints = new Endpoints(options.seed);
  }

  /**
   * Looks at the maps and finds out what they are.
   * @throws SourceError that says why they cannot be read
   */
  static async open(options: CiliumReadingOptions): Promise<CiliumReading> {
    openLibbpf();
    const reading = new CiliumReading(options);
    try {
      await reading.#settle();
      return reading;
    } catch (error) {
      reading.close();
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
    if (!this.#settled) await this.#settle();
    const maps = openMaps(this.#folder);
    try {
      const clock = clockAt(this.#clockSource, readKernelTime());
      const reading = { endpoints: await this.#learnEndpoints(maps), clock, tally: startTally() };
      const told = this.#settled
        ? await this.#deliver(maps, reading, onBlock)
        : { entries: 0, whole: true, restarted: 0 };
      if (this.#settled) this.#judge(reading.tally, told.entries, clock);
      return {
        complete: told.whole && !this.#hasLostOne(maps),
        startedNs: BigInt(startedMs) * 1_000_000n,
        entries: told.entries,
        skipped: skippedOf(reading.tally),
        interrupted: 0,
        overrun: 0,
        restarted: told.restarted,
        durationMs: performance.now() - started,
      };
    } finally {
      maps.close();
    }
  }

  close(): void {
    for (const reader of this.#readers.values()) reader.free();
    this.#endpointReader?.free();
  }

  /** Finds out what the entries are. Where forced, those that do not tell yet are waited for. */
  async #settle(): Promise<void> {
    const { forced = false, clockSource = 'jiffies' } = this.#options;
    const first = await this.#survey();
    const layout = surveyedLayout(first);
    const refusal = refusalOf(layout);
    if (refusal !== undefined && !(forced && layout === 'untold')) throw refusal;
    const clock = surveyedClock(first, clockSource, readKernelTime());
    this.#clockSource = clock.source;
    this.#settled = layout === 'directed';
    if (forced || isAtWork(first, undefined, clock)) return;
    await pause(SECOND_LOOK_MS);
    if (!isAtWork(await this.#survey(), first, clock)) throw stale();
  }

  async #survey() {
    const maps = openMaps(this.#folder);
    try {
      return await surveyMaps(maps, (family) => this.#readerOf(family));
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

  /** Who lives here now, and who did a while ago. */
  async #learnEndpoints({ endpoints: map }: OpenMaps): Promise<Endpoints> {
    const reader = this.#endpointReaderOf(map.valueBytes);
    const now = Math.floor(readKernelTime().seconds);
    const words = (bytes: Buffer) => new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    for await (const { keys, values, count } of reader.read(map))
      this.#endpoints.add(words(keys), words(values), Math.ceil(map.valueBytes / 8) * 2, count, now);
    this.#endpoints.expire(now);
    return this.#endpoints;
  }

  /** The values have other sizes in other versions of Cilium, and one may follow the other. */
  #endpointReaderOf(valueBytes: number): MapReader {
    if (this.#endpointReader?.valueBytes === valueBytes) return this.#endpointReader;
    this.#endpointReader?.free();
    this.#endpointReader = new MapReader(ENDPOINT_KEY_BYTES, valueBytes, {
      ...this.#options,
      batchEntries: ENDPOINTS_BATCH,
    });
    return this.#endpointReader;
  }

  async #deliver(maps: OpenMaps, reading: Reading, onBlock: (block: ConnectionBlock) => void) {
    const report = { entries: 0, whole: true, restarted: 0 };
    for (const { map, family, zone } of maps.connections) {
      const reader = this.#readerOf(family);
      const words = this.#blockOf(family);
      const before = reader.restarts;
      for await (const batch of reader.read(map)) {
        const seen = viewEntries(family, batch.keys, batch.values);
        for (let at = 0; at < batch.count; ) {
          const { next, count } = decodeEntries(seen, at, batch.count, zone, words, reading);
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

  /** What was met may show that these are no longer the maps that they were: another version of Cilium, or none. */
  #judge({ evidence, latest, undecodable, no_counters }: Tally, delivered: number, clock: Clock): void {
    if (undecodable >= MOST_AGAINST) {
      this.#settled = false;
      throw refusalOf(layoutOf(evidence)) ?? refusalOf('strange')!;
    }
    if (delivered === 0 && no_counters >= MOST_AGAINST) throw refusalOf('silent')!;
    const isOver = latest > 0 && clock.secondsLeft(latest) < -STALE_SECONDS;
    if (isOver && this.#options.forced !== true) throw stale();
  }

  /** A map that was there at the last read is not: what it held has not ended. */
  #hasLostOne({ connections }: OpenMaps): boolean {
    const names = connections.map(({ name }) => name);
    const before = this.#namesBefore.split(' ').filter(Boolean);
    this.#namesBefore = names.join(' ');
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
