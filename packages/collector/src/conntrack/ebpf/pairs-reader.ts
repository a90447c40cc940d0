import { BPF_MAP_TYPE_HASH, type BpfMap, openPinnedMap } from '../../native/bpf.ts';
import { closeFd, openPinned } from '../../native/bpf-object.ts';
import { sumOverCpus, takeEntry } from '../../native/bpf-values.ts';
import { tickNanoseconds } from '../../native/library.ts';
import { MapReader } from '../map-reader.ts';
import type { ReadReport, UncountedTotals } from '../source.ts';
import { SourceError } from '../source-error.ts';
import type { Attachment } from './attachment.ts';
import { type Entries, lastTick, viewEntries } from './decode.ts';
import { EVENTS, KEY_BYTES, VALUE_BYTES } from './layout.ts';

/** A batch needs room for the fullest bucket of the map; below this the kernel would refuse it. */
const BATCH_ENTRIES = 4096;
/** An entry without traffic for so long is removed once it was read; sooner where the map is nearly full. */
const IDLE_SECONDS = 600;
const IDLE_SECONDS_FULL = 30;
const NEARLY_FULL = 0.9;
/** A removal is a call of some microseconds. */
const MAX_REMOVALS = 8192;

/** For tests. */
export interface ReaderOptions {
  readonly idleSeconds?: number | undefined;
  readonly batchEntries?: number | undefined;
}

/** Reads what the programs have counted, all pairs at a time, and removes those that are idle. */
export class PairsReader {
  readonly #map: BpfMap;
  /** Of the same map, to remove entries; and of the map of events. */
  readonly #writable: number;
  readonly #events: number;
  readonly #reader: MapReader;
  readonly #ticksASecond = 1e9 / tickNanoseconds();
  readonly #idleSeconds: number;
  /** The latest tick at which any entry counted, as of the last read: a node is never without traffic for long. */
  #latestTick = 0;
  /** Entries after the last read. */
  #pairs = 0;
  /** Keys of those that were idle. */
  #idle: Buffer[] = [];

  /** libbpf must be open. @throws SourceError where a map cannot be opened, or is not ours */
  constructor(
    { pairs, events }: Attachment,
    { idleSeconds = IDLE_SECONDS, batchEntries = BATCH_ENTRIES }: ReaderOptions,
  ) {
    this.#map = openOwn(pairs);
    this.#writable = openPinned(pairs) ?? missing(pairs);
    this.#events = openPinned(events) ?? missing(events);
    this.#idleSeconds = idleSeconds;
    this.#reader = new MapReader(KEY_BYTES, VALUE_BYTES, { batchEntries });
  }

  /** Reads all entries once, while the event loop goes on. @param onEntries may not keep them */
  async read(onEntries: (entries: Entries, count: number) => void): Promise<ReadReport> {
    const startedMs = Date.now();
    const started = performance.now();
    const idleBefore = this.#latestTick - this.#ticksASecond * this.#idleSecondsNow();
    this.#idle = [];
    let pairs = 0;
    for await (const { keys, values, count } of this.#reader.read(this.#map)) {
      const entries = viewEntries(keys, values);
      onEntries(entries, count);
      pairs += count;
      this.#noteIdle(entries, keys, count, idleBefore);
    }
    this.#pairs = pairs;
    return {
      complete: this.#reader.whole,
      startedNs: BigInt(startedMs) * 1_000_000n,
      entries: pairs,
      skipped: { no_counters: 0, undecodable: 0 },
      interrupted: 0,
      overrun: 0,
      durationMs: performance.now() - started,
      uncounted: this.#uncounted(),
    };
  }

  /** Takes the entries that were idle in the last read out of the map. @param onEntries gets once more what each has then */
  removeIdle(onEntries: (entries: Entries, count: number) => void): void {
    const value = Buffer.alloc(VALUE_BYTES);
    for (const key of this.#idle) {
      if (!takeEntry(this.#writable, key, value)) continue;
      onEntries(viewEntries(Uint8Array.from(key), Uint8Array.from(value)), 1);
      this.#pairs--;
    }
    this.#idle = [];
  }

  close(): void {
    this.#reader.free();
    this.#map.close();
    for (const fd of [this.#writable, this.#events]) closeFd(fd);
  }

  #noteIdle({ values }: Entries, keys: Uint8Array, count: number, idleBefore: number): void {
    for (let entry = 0; entry < count; entry++) {
      const tick = lastTick(values, entry);
      if (tick > this.#latestTick) this.#latestTick = tick;
      if (tick < idleBefore && this.#idle.length < MAX_REMOVALS)
        this.#idle.push(Buffer.from(keys.subarray(entry * KEY_BYTES, (entry + 1) * KEY_BYTES)));
    }
  }

  #idleSecondsNow(): number {
    return this.#pairs > this.#map.maxEntries * NEARLY_FULL
      ? Math.min(IDLE_SECONDS_FULL, this.#idleSeconds)
      : this.#idleSeconds;
  }

  #uncounted(): UncountedTotals {
    const [fullPackets, fullBytes, malformed] = sumOverCpus(this.#events, EVENTS.length) as [number, number, number];
    return { fullPackets, fullBytes, malformed, pairs: this.#pairs, maxPairs: this.#map.maxEntries };
  }
}

function openOwn(path: string): BpfMap {
  const map = openPinnedMap(path) ?? missing(path);
  if (map.type === BPF_MAP_TYPE_HASH && map.keyBytes === KEY_BYTES && map.valueBytes === VALUE_BYTES) return map;
  map.close();
  throw new SourceError('sizes', `the map at ${path} is not ours: run the collector once with -cleanup`);
}

function missing(path: string): never {
  throw new SourceError('absent', `nothing is pinned at ${path}: it was removed while a collector started`);
}
