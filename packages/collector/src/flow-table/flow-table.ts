import { type ConnectionBlock, FLAG, KEY_WORDS, STRIDE, WORD } from '../conntrack/record.ts';
import { WordTable } from '../word-table.ts';
import { Baseline } from './baseline.ts';
import {
  COUNTER_WORDS,
  COUNTERS,
  ENDED,
  type FlowRecords,
  hasIdentity,
  IMAGE_WORDS,
  increase,
  isSameCount,
  isSameKey,
  PAIR,
  RECORD_WORDS,
  total,
  totalsAt,
  VALUE_WORDS,
} from './flow-record.ts';
import { type Moved, MovedList } from './moved.ts';
import { isTunnel } from './tunnels.ts';
import { replyHashOf } from './zone-links.ts';
import { ZoneTwins } from './zone-twins.ts';

/** What gets the bytes: the reducer. */
export interface Pairs {
  /** The number of the pair of the connection at `words[at...]`; 1 or more. */
  pairOf(words: Uint32Array, at: number): number;
  /** Adds what the pairs' sources sent (tx) and received (rx). */
  add(moved: Moved): void;
}

/**
 * The last counters seen of every connection, so that a read of running totals becomes "what moved since the last read".
 *
 *   record  | key | counters | pair |           flow-record.ts
 *   seen    | read that saw record 0 last | record 1 | ...      apart, so that a record that did not move is only read
 *   changed | 1 where record 0 is not as in the last image | ...
 *   replyHash | who really answered record 0, hashed | ...      where several zones are seen: zone-twins.ts
 *
 * A connection that is delivered twice in a read moves nothing the second time; one that is missing keeps its counters until
 * `sweep`. A tuple that comes back with another start is another connection, and its whole count is new.
 *
 * One that ended (DESTROY event) stays for a while as a tombstone: its pair is `ENDED` + the place of its end in the order of all
 * ends, modulo 2^31. A dump that was under way may still deliver it as it was before, and an event may come twice: neither counts
 * again.
 *
 * Where connections carry no start time, another one with the same ports has the same key, since the kernel uses its memory, and
 * so its ids, again. Then a tombstone swallows what the dump under way delivers, or the first after the end, and no more: a later
 * record is another connection's and counts in full, as every end does. So the other one is late by a read at the most; if
 * it ends first, its own DESTROY event has all of it. An event that comes twice looks like another connection's.
 *
 * An image is what outlives the process: `image` copies out the records, without pairs, that changed since the image before, and
 * `restore` puts them into the table of a later process, in the order of the images.
 */
export class FlowTable {
  /** Connections whose counters fell although they are the same: another process read them with zeroing (`CTRZERO`). */
  counterDecreases = 0;
  /**
   * The same in records without any identity, as Cilium's: another connection that follows one with the same ports. One whose
   * counters have grown past its predecessor's already is taken for it; then only the difference counts.
   */
  recreated = 0;
  /** Bytes of all connections that moved so far. What a tunnel carries is in its outer packets once more: those are left out. */
  innerBytes = 0;
  /** Connections whose counters moved in the read that is under way or has ended last. */
  active = 0;
  /** What had been counted before the first read. */
  readonly baseline: Baseline;
  readonly #table: WordTable;
  #seen: Uint32Array<ArrayBuffer> = new Uint32Array(1024);
  #changed: Uint8Array<ArrayBuffer> = new Uint8Array(1024);
  #replyHash: Uint32Array<ArrayBuffer> = new Uint32Array(1024);
  readonly #seed: number;
  /** What was restored has not been delivered by a whole read yet. */
  #isRestoring = false;
  /** The only zone seen so far. */
  #zone = NO_ZONE;
  /** Once there are several. */
  #twins: ZoneTwins | undefined;
  readonly #moved = new MovedList();
  #read = 1;
  /** Ends so far, and of those since the last read ended. */
  #ends = 0;
  #endsSinceRead = 0;
  #tombstones = 0;
  /** Those that the last sweep has left. */
  #tombstonesLeft = 0;

  /**
   * @param seed of the hash, random
   * @param firstReadNs when the first read begins, of this process or the one whose connections are restored: those that started
   *   before it are the baseline
   * @param isOpen false: that one has ended a whole read, and what is not restored has never been seen
   */
  constructor(seed: number, firstReadNs: bigint, isOpen = true) {
    this.#seed = seed;
    this.#table = new WordTable(KEY_WORDS, VALUE_WORDS, seed);
    this.baseline = new Baseline(firstReadNs, isOpen);
  }

  /** Connections in the table that have not ended, as far as we know. */
  get size(): number {
    return this.#table.count - this.#tombstones;
  }

  /** Those that have, and are not swept yet. */
  get tombstones(): number {
    return this.#tombstones;
  }

  /** A sweep is worth its cost: there are many tombstones, also compared with the rest. */
  get wantsSweep(): boolean {
    return this.#tombstones - this.#tombstonesLeft > Math.max(MIN_TOMBSTONES, this.size / 2);
  }

  /** Entries that are set aside because an entry of another conntrack zone counts the same packets. */
  get zoneDuplicates(): number {
    return this.#twins?.duplicates ?? 0;
  }

  /** Bytes of the arrays. */
  get byteLength(): number {
    const { byteLength } = this.#replyHash;
    return this.#table.byteLength + this.#seen.byteLength + this.#changed.byteLength + byteLength;
  }

  /**
   * Copies connections out, `IMAGE_WORDS` each: key and counters.
   * @param whole all, instead of those that changed since the last image
   */
  image(whole: boolean): Uint32Array<ArrayBuffer> {
    const { records, count } = this.#table;
    const changed = this.#changed;
    let wanted = 0;
    for (let i = 0; i < count; i++) if ((whole || changed[i] !== 0) && this.#mayComeAgain(i)) wanted++;
    const image = new Uint32Array(wanted * IMAGE_WORDS);
    let to = 0;
    for (let i = 0; i < count; i++) {
      if ((!whole && changed[i] === 0) || !this.#mayComeAgain(i)) continue;
      const from = i * RECORD_WORDS;
      for (let word = 0; word < IMAGE_WORDS; word++) image[to++] = records[from + word]!;
    }
    changed.fill(0);
    return image;
  }

  /**
   * Not a connection that has ended and had a start time. Without one another may come with its key, and counts in full. Nor one whose
   * counters are withheld.
   */
  #mayComeAgain(index: number): boolean {
    if (this.#twins?.isWithheld(index)) return false;
    const { records } = this.#table;
    const at = index * RECORD_WORDS;
    return records[at + PAIR]! < ENDED || records[at + WORD.identity + 1] === 0;
  }

  /**
   * Takes in the connections of an image. What they counted until then has been handed over: only what is more counts. Without start
   * times one that took the place of another between two processes, with the same id too, counts only what it has more than that one.
   */
  restore(image: Uint32Array): void {
    this.#makeRoom(image.length / IMAGE_WORDS);
    this.#isRestoring = true;
    this.#twins?.beginRestored();
    for (let at = 0; at < image.length; at += IMAGE_WORDS) {
      const known = this.#table.find(image, at);
      const index = known >= 0 ? known : this.#table.add(image, at);
      this.#seen[index] = this.#read;
      this.#replyHash[index] = 0;
      const { records } = this.#table;
      const base = index * RECORD_WORDS;
      for (let word = KEY_WORDS; word < IMAGE_WORDS; word++) records[base + word] = image[at + word]!;
      this.#noteZone(image, at);
    }
  }

  /** Takes in a block of a read: what moved goes to `pairs`. */
  apply(block: ConnectionBlock, pairs: Pairs): void {
    const { words, count } = block;
    const table = this.#table;
    const read = this.#read;
    let records = table.records;
    this.#makeRoom(count);
    const seen = this.#seen;
    const replyHash = this.#replyHash;
    // The kernel delivers the connections in the same order at every read, and that is the order they are kept in: where the
    // record behind the last one is the right one, no hash is needed. Measured: `npm run bench`.
    let index = -1;
    for (let at = 0, end = count * STRIDE; at < end; at += STRIDE) {
      index++;
      if (index >= table.count || !isSameKey(records, index * RECORD_WORDS, words, at)) {
        index = this.#locate(words, at);
        records = table.records;
      }
      const base = index * RECORD_WORDS;
      seen[index] = read;
      if (replyHash[index] === 0) this.#learnRestoredReply(index, words, at);
      if (!isSameCount(records, base + COUNTERS, words, at + WORD.originalPackets)) {
        this.#changed[index] = 1;
        this.#advance(index, words, at, pairs);
      }
    }
    this.active += this.#moved.count;
    // All at once: the pairs lie anywhere in memory, and in a loop this short the processor waits for many of them together.
    pairs.add(this.#moved);
  }

  /**
   * Takes in connections of DESTROY events, with their final counters: what moved since they were seen last goes to `pairs`. One that
   * no read has seen counts in full, unless it began before the first read: that one hid from it, expired, and has moved nothing
   * since.
   */
  applyDestroyed(block: ConnectionBlock, pairs: Pairs): void {
    const { words, count } = block;
    this.#makeRoom(count);
    for (let at = 0, end = count * STRIDE; at < end; at += STRIDE) this.#destroy(words, at, pairs);
    pairs.add(this.#moved);
  }

  #destroy(words: Uint32Array, at: number, pairs: Pairs): void {
    const hasStart = (words[at + WORD.flags]! & FLAG.start) !== 0;
    let index = this.#table.find(words, at);
    if (index < 0) {
      index = this.#table.add(words, at);
      const isBaseline = hasStart ? this.baseline.isOlder(words, at) : this.baseline.isOpen;
      if (isBaseline) this.#keepCounters(index * RECORD_WORDS, words, at);
      this.#learnReply(index, words, at, isBaseline);
    } else if (this.#table.records[index * RECORD_WORDS + PAIR]! >= ENDED) {
      if (hasStart) return;
      this.#revive(index);
    } else if (this.#replyHash[index] === 0) this.#learnRestoredReply(index, words, at);
    const base = index * RECORD_WORDS;
    const { records } = this.#table;
    if (!isSameCount(records, base + COUNTERS, words, at + WORD.originalPackets))
      this.#advance(index, words, at, pairs);
    // Without a start time the key may come back: nothing of this one is to be taken for the other's.
    if (!hasStart) {
      this.#twins?.remember(index, this.#read);
      records.fill(0, base + COUNTERS, base + COUNTERS + COUNTER_WORDS);
    }
    records[base + PAIR] = ENDED + (this.#ends % ENDED);
    this.#seen[index] = this.#read;
    this.#changed[index] = 1;
    this.#ends++;
    this.#endsSinceRead++;
    this.#tombstones++;
  }

  /** Ends since this one's, itself counted. */
  #endedAgo(tombstone: number): number {
    return (this.#ends - tombstone) & (ENDED - 1);
  }

  /** One half of a connection has ended and counts for both: the other's DESTROY event would be a new connection's if this were forgotten. */
  #awaitsTwin(index: number): boolean {
    if (this.#twins?.isAlone(index) !== true || this.#seen[index]! + TWIN_END_READS < this.#read) return false;
    return this.#endedAgo(this.#table.records[index * RECORD_WORDS + PAIR]!) <= MAX_AWAITING_TWIN;
  }

  #revive(index: number): void {
    this.#table.records[index * RECORD_WORDS + PAIR] = 0;
    this.#tombstones--;
    this.#twins?.rejoin(index, this.#read);
  }

  #makeRoom(count: number): void {
    const room = this.#table.count + count;
    if (room > this.#seen.length) {
      const larger = Math.ceil(room * 1.5);
      this.#seen = new Uint32Array(this.#seen.buffer.transfer(larger * Uint32Array.BYTES_PER_ELEMENT));
      this.#changed = new Uint8Array(this.#changed.buffer.transfer(larger));
      this.#replyHash = new Uint32Array(this.#replyHash.buffer.transfer(larger * Uint32Array.BYTES_PER_ELEMENT));
    }
    this.#moved.begin(count);
  }

  /**
   * Ends a read, also one that failed: nothing of it will be delivered any more. Only one that saw the whole table counts towards
   * what `sweep` takes for ended.
   * @returns connections of this read whose counters moved
   */
  endRead(complete: boolean): number {
    const active = this.active;
    this.active = 0;
    this.#endsSinceRead = 0;
    if (complete) {
      this.#read++;
      this.baseline.close();
      this.#isRestoring = false;
    }
    return active;
  }

  /**
   * Evicts connections that the last `reads` whole reads did not see, and tombstones but the last `KEPT_TOMBSTONES` and those whose other
   * half may still end. Not while a read is under way: it may still deliver connections that have ended.
   * @param use is called with the pair of every connection that is kept
   * @returns number of connections evicted, tombstones not counted
   */
  sweep(reads: number, use: (pair: number) => void): number {
    const before = this.size;
    const records = this.#table.records;
    const seen = this.#seen;
    const changed = this.#changed;
    const replyHash = this.#replyHash;
    const oldest = this.#read - reads;
    let kept = 0;
    let tombstones = 0;
    const renumbered = this.#table.retain((index) => {
      const pair = records[index * RECORD_WORDS + PAIR]!;
      if (pair >= ENDED) {
        if (this.#endedAgo(pair) > KEPT_TOMBSTONES && !this.#awaitsTwin(index)) return false;
        tombstones++;
      } else if (seen[index]! < oldest) return false;
      else use(pair);
      // Those that are kept stay in their order: none is overwritten before it was looked at.
      changed[kept] = changed[index]!;
      replyHash[kept] = replyHash[index]!;
      seen[kept++] = seen[index]!;
      return true;
    });
    changed.fill(0, kept);
    replyHash.fill(0, kept);
    this.#twins?.renumber(renumbered);
    this.#twins?.usePairs(use);
    this.#tombstones = tombstones;
    this.#tombstonesLeft = tombstones;
    return before - this.size;
  }

  /** Gives the connections the new numbers of their pairs: `renumbered[old]`, 0 where a pair is to be looked up again. */
  renumberPairs(renumbered: Uint32Array): void {
    const { records, count } = this.#table;
    for (let at = PAIR, end = count * RECORD_WORDS; at < end; at += RECORD_WORDS)
      if (records[at]! < ENDED) records[at] = renumbered[records[at]!] ?? 0;
    this.#twins?.renumberPairs(renumbered);
  }

  /** The record of a connection; a new one where there is none. */
  #locate(words: Uint32Array, at: number): number {
    const known = this.#table.find(words, at);
    if (known >= 0) return known;
    const index = this.#table.add(words, at);
    const hasStart = (words[at + WORD.flags]! & FLAG.start) !== 0;
    const isBaseline = this.baseline.covers(words, at, hasStart);
    if (isBaseline) {
      this.#changed[index] = 1;
      this.#keepCounters(index * RECORD_WORDS, words, at);
    }
    this.#learnReply(index, words, at, isBaseline);
    return index;
  }

  /** Who answers is in no key and in no image: it is known once the connection is delivered. */
  #learnReply(index: number, words: Uint32Array, at: number, handedOver: boolean): void {
    this.#noteZone(words, at);
    this.#replyHash[index] = replyHashOf(words, at, this.#seed);
    this.#twins?.join(index, this.#read, handedOver);
  }

  /** Of a connection that was restored. */
  #learnRestoredReply(index: number, words: Uint32Array, at: number): void {
    this.#noteZone(words, at);
    this.#replyHash[index] = replyHashOf(words, at, this.#seed);
    this.#twins?.joinRestored(index, this.#read);
  }

  /** One zone, as on most nodes, needs no more than this. */
  #noteZone(words: Uint32Array, at: number): void {
    const zone = words[at + WORD.zoneProtocol]! & 0xffff;
    if (zone === this.#zone || this.#twins !== undefined) return;
    if (this.#zone === NO_ZONE) this.#zone = zone;
    else {
      this.#twins = new ZoneTwins(() => this.#lent(), this.#seed);
      if (this.#isRestoring) this.#twins.beginRestored();
    }
  }

  #lent(): FlowRecords {
    const { records, count } = this.#table;
    return { records, count, seen: this.#seen, replyHash: this.#replyHash };
  }

  /**
   * What was withheld until it is known whether another zone's entry counts the same packets goes to `pairs`. To be called when a read
   * has delivered all, before `endRead`.
   * @param last nothing will be read any more: nothing stays withheld
   */
  settleZones(complete: boolean, pairs: Pairs, last = false): void {
    if (this.#twins === undefined) return;
    this.#moved.begin(0);
    this.#twins.endRead(
      this.#read,
      complete,
      (pair, moved) => {
        this.#moved.reserve(this.#moved.count + 1);
        this.#push(pair, moved[0]!, moved[1]!, moved[2]!, moved[3]!);
      },
      last,
    );
    pairs.add(this.#moved);
  }

  #keepCounters(base: number, words: Uint32Array, at: number): void {
    const { records } = this.#table;
    for (let i = 0; i < COUNTER_WORDS; i++) records[base + COUNTERS + i] = words[at + WORD.originalPackets + i]!;
  }

  /**
   * Whether what a read delivers for a tombstone is another connection with the same key: its record is like a new one's then.
   */
  #isAnother(index: number, words: Uint32Array, at: number): boolean {
    if ((words[at + WORD.flags]! & FLAG.start) !== 0) return false;
    if (this.#endedAgo(this.#table.records[index * RECORD_WORDS + PAIR]!) <= this.#endsSinceRead) return false;
    this.#revive(index);
    return true;
  }

  /** Hands over what moved since the connection was last seen. */
  #advance(index: number, words: Uint32Array, at: number, pairs: Pairs): void {
    const { records } = this.#table;
    const base = index * RECORD_WORDS;
    if (records[base + PAIR]! >= ENDED && !this.#isAnother(index, words, at)) return;
    if ((words[at + WORD.flags]! & FLAG.countedElsewhere) !== 0) {
      this.#keepCounters(base, words, at);
      return;
    }
    const last = base + COUNTERS;
    const now = at + WORD.originalPackets;
    let txPackets = increase(records, last, words, now);
    let txBytes = increase(records, last + 2, words, now + 2);
    let rxPackets = increase(records, last + 4, words, now + 4);
    let rxBytes = increase(records, last + 6, words, now + 6);
    const fell = txPackets < 0 || txBytes < 0 || rxPackets < 0 || rxBytes < 0;
    if (fell) {
      // The same connection zeroed by another process, or without a start time perhaps another one: what it shows is new.
      if (hasIdentity(words, at)) this.counterDecreases++;
      else this.recreated++;
      txPackets = total(words, now);
      txBytes = total(words, now + 2);
      rxPackets = total(words, now + 4);
      rxBytes = total(words, now + 6);
    }
    let pair = records[base + PAIR]!;
    if (pair === 0) {
      pair = pairs.pairOf(words, at);
      records[base + PAIR] = pair;
    }
    if (this.#twins?.has(index)) {
      const moved = this.#twins.advance(index, totalsAt(words, now), { fell, pair, read: this.#read });
      this.#keepCounters(base, words, at);
      if (moved !== undefined) this.#push(pair, moved[0]!, moved[1]!, moved[2]!, moved[3]!);
      return;
    }
    this.#keepCounters(base, words, at);
    this.#push(pair, txPackets, txBytes, rxPackets, rxBytes);
    if (isTunnel(words, at)) this.innerBytes -= txBytes + rxBytes;
  }

  #push(pair: number, txPackets: number, txBytes: number, rxPackets: number, rxBytes: number): void {
    this.innerBytes += txBytes + rxBytes;
    this.#moved.push(pair, txPackets, txBytes, rxPackets, rxBytes);
  }
}

/** Larger than any zone, which has 16 bits. */
const NO_ZONE = 0x1_0000;
/**
 * The last tombstones outlive every sweep: where a dump begins right after a DESTROY event, the kernel may not have taken the entry out
 * of its table yet.
 */
const KEPT_TOMBSTONES = 4096;
/**
 * Entries of the same packets expire at the same time, and a read ends all that have expired: the event of the last half comes in the
 * read after the first's, or soon after that.
 */
const TWIN_END_READS = 2;
/** Tombstones that wait for their other half: at 4,000 ends a second, those of a minute; 30 MB. */
const MAX_AWAITING_TWIN = 262_144;
/** Fewer tombstones are not worth a sweep: at 2,000 ends a second that is one every eight seconds. */
const MIN_TOMBSTONES = 16_384;
