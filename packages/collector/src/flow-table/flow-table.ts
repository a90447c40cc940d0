import { type ConnectionBlock, FLAG, KEY_WORDS, STRIDE, WORD } from '../conntrack/record.ts';
import { WordTable } from '../word-table.ts';

/** What takes the bytes: the reducer. */
export interface Pairs {
  /** The number of the pair of the connection at `words[at...]`; 1 or more. */
  pairOf(words: Uint32Array, at: number): number;
  /** Adds what the pair's source sent and received. */
  add(pair: number, txBytes: number, txPackets: number, rxBytes: number, rxPackets: number): void;
}

/**
 * The last counters seen of every connection, so that a read of running totals becomes "what moved since the last read".
 *
 *   record  | key: words 0..11 of record.ts | packets, bytes, packets, bytes: low, high each | pair | read that saw it last |
 *             0                               12                                               20     21
 *
 * A connection that is delivered twice in a read moves nothing the second time; one that is missing keeps its counters until
 * `sweep`. A tuple that comes back with another start is another connection, and its whole count is new.
 */
export class FlowTable {
  /** Connections that somebody else zeroed (`CTRZERO`): their counters went backwards although they are the same. */
  backwards = 0;
  /** Connections whose counters moved in the read that is under way or has ended last. */
  active = 0;
  readonly #table: WordTable;
  #read = 1;
  #baselineLow = 0;
  #baselineHigh = 0;
  #baseline = true;

  /**
   * @param seed of the hash, random
   * @param firstReadNs when the first read begins: connections that started before it are the baseline
   */
  constructor(seed: number, firstReadNs: bigint) {
    this.#table = new WordTable(KEY_WORDS, VALUE_WORDS, seed);
    this.#baselineLow = Number(firstReadNs & 0xffff_ffffn);
    this.#baselineHigh = Number(firstReadNs >> 32n);
  }

  /** Connections in the table: those of the last read and those that ended since the last sweep. */
  get size(): number {
    return this.#table.count;
  }

  get byteLength(): number {
    return this.#table.byteLength;
  }

  /** Takes in a block of a read: what moved goes to `pairs`. */
  apply(block: ConnectionBlock, pairs: Pairs): void {
    const { words, count } = block;
    const table = this.#table;
    // The kernel delivers the connections in the same order at every read, and that is the order they are kept in: where the
    // record behind the last one is the right one, no hash is needed. Measured: bench, case "cycle".
    let guess = 0;
    for (let at = 0, end = count * STRIDE; at < end; at += STRIDE) {
      let index = guess < table.count && table.holds(guess, words, at) ? guess : table.find(words, at);
      if (index < 0) {
        index = table.add(words, at);
        if (this.#isBaseline(words, at)) this.#keepCounters(index, words, at);
      }
      guess = index + 1;
      this.#advance(index, words, at, pairs);
    }
  }

  /**
   * Ends a read. Only one that saw the whole table counts towards what `sweep` takes for ended.
   * @returns connections of this read whose counters moved
   */
  endRead(complete: boolean): number {
    const active = this.active;
    this.active = 0;
    if (complete) {
      this.#read++;
      this.#baseline = false;
    }
    return active;
  }

  /**
   * Drops connections that the last `reads` whole reads did not see.
   * @param use is called with the pair of every connection that is kept
   * @returns number of connections dropped
   */
  sweep(reads: number, use: (pair: number) => void): number {
    const { stride } = this.#table;
    const before = this.#table.count;
    const records = this.#table.records;
    const oldest = this.#read - reads;
    this.#table.retain((index) => {
      const kept = records[index * stride + SEEN]! >= oldest;
      if (kept) use(records[index * stride + PAIR]!);
      return kept;
    });
    return before - this.#table.count;
  }

  /** Gives the connections the new numbers of their pairs: `renumbered[old]`, 0 where a pair is to be looked up again. */
  renumberPairs(renumbered: Uint32Array): void {
    const { records, stride, count } = this.#table;
    for (let at = PAIR, end = count * stride; at < end; at += stride) records[at] = renumbered[records[at]!] ?? 0;
  }

  /** Older than the first read. Without a start time all that the first read sees is. */
  #isBaseline(words: Uint32Array, at: number): boolean {
    if (!this.#baseline) return false;
    if ((words[at + WORD.flags]! & FLAG.start) === 0) return true;
    const high = words[at + WORD.identity + 1]!;
    return high < this.#baselineHigh || (high === this.#baselineHigh && words[at + WORD.identity]! < this.#baselineLow);
  }

  #keepCounters(index: number, words: Uint32Array, at: number): void {
    const base = index * this.#table.stride + COUNTERS;
    this.#table.records.set(words.subarray(at + WORD.originalPackets, at + WORD.originalPackets + COUNTER_WORDS), base);
  }

  /** Hands over what moved since the connection was last seen. */
  #advance(index: number, words: Uint32Array, at: number, pairs: Pairs): void {
    const records = this.#table.records;
    const base = index * this.#table.stride;
    const last = base + COUNTERS;
    const now = at + WORD.originalPackets;
    records[base + SEEN] = this.#read;
    // A counter moves only with its packets, and packets move by less than 2^32 between two reads but for the first.
    if (
      records[last] === words[now] &&
      records[last + 4] === words[now + 4] &&
      records[last + 2] === words[now + 2] &&
      records[last + 6] === words[now + 6]
    ) {
      return;
    }
    let txPackets = rise(records, last, words, now);
    let txBytes = rise(records, last + 2, words, now + 2);
    let rxPackets = rise(records, last + 4, words, now + 4);
    let rxBytes = rise(records, last + 6, words, now + 6);
    if (txPackets < 0 || txBytes < 0 || rxPackets < 0 || rxBytes < 0) {
      // The same connection zeroed by somebody else, or without a start time perhaps another one: what it shows is new.
      this.backwards++;
      txPackets = total(words, now);
      txBytes = total(words, now + 2);
      rxPackets = total(words, now + 4);
      rxBytes = total(words, now + 6);
    }
    for (let i = 0; i < COUNTER_WORDS; i++) records[last + i] = words[now + i]!;
    if (records[base + PAIR] === 0) records[base + PAIR] = pairs.pairOf(words, at);
    pairs.add(records[base + PAIR]!, txBytes, txPackets, rxBytes, rxPackets);
    this.active++;
  }
}

/** Words 17 to 24 of a record are kept as they are. */
const COUNTER_WORDS = 8;
const COUNTERS = KEY_WORDS;
const PAIR = COUNTERS + COUNTER_WORDS;
const SEEN = PAIR + 1;
const VALUE_WORDS = COUNTER_WORDS + 2;

/** The counter at `words[at]` (low) and `words[at + 1]` (high). */
function total(words: Uint32Array, at: number): number {
  return words[at + 1]! * 0x1_0000_0000 + words[at]!;
}

/** The difference of two counters: exact, since it is below 2^53 even where they are not. */
function rise(before: Uint32Array, b: number, after: Uint32Array, a: number): number {
  return (after[a + 1]! - before[b + 1]!) * 0x1_0000_0000 + (after[a]! - before[b]!);
}
