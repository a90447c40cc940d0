import { WORD } from '../conntrack/record.ts';
import { WordTable } from '../word-table.ts';
import { COUNTER_WORDS, COUNTERS, ENDED, PAIR, RECORD_WORDS } from './flow-record.ts';

/**
 * Entries of the same packets are confirmed within microseconds of each other; where the first one is lost between two zones, within
 * milliseconds of when it is sent again. TCP does that after 1, 3 and 7 seconds (RFC 6298). More is another connection.
 */
const SAME_PACKET_MS = 8000;
/** A suspect is decided by the first whole read after the one that met it; where none is whole, after so many. */
const MAX_UNDECIDED_READS = 5;
const NOTHING: readonly number[] = [0, 0, 0, 0];

/** Entries of several zones that saw the same packets. Counters: original packets, bytes, reply packets, bytes. */
interface Twins {
  /** Indexes of their records. */
  members: number[];
  readonly zones: number[];
  /** The largest count of any member, by counter: what has been handed over. */
  readonly counted: number[];
  /** The last two reads in which that grew, newest first, and what it was before. */
  growth: readonly { readonly read: number; readonly before: readonly number[] }[];
  /** The read in which they became twins: what grew in it or before is not known. */
  readonly since: number;
  suspect: Suspect | undefined;
  restored: Restored | undefined;
}

/** What nobody can tell yet: whether these are another connection, or one half of `previous` that the kernel made anew. */
interface Suspect {
  readonly previous: Twins;
  readonly previousCounted: readonly number[];
  readonly withheld: number[];
  /** The pair that what is withheld belongs to; 0: nothing is. */
  pair: number;
  readonly read: number;
}

/** What a process before has handed over of them. Which of its records are twins is known once each is delivered again. */
interface Restored {
  /** The largest of what it kept of any member, by counter. */
  readonly handedOver: number[];
  /** The pair that the rest belongs to; 0: there is none yet. */
  pair: number;
  readonly read: number;
}

/** Of another zone, with the same key. `apart`: milliseconds between the starts. */
interface Nearest {
  readonly index: number;
  readonly isTwin: boolean;
  readonly apart: number;
}

/** What a table of connections lends. Read anew at each call: its arrays are exchanged as it grows. */
export interface FlowRecords {
  readonly records: Uint32Array;
  readonly count: number;
  /** By record: the read that saw it last. */
  readonly seen: Uint32Array;
  /** By record: `replyHashOf`; 0: not known yet. */
  readonly replyHash: Uint32Array;
}

/** Takes what moved of a pair. */
export type HandOver = (pair: number, moved: readonly number[]) => void;

/**
 * Counts the same packets once where they pass several conntrack zones, as with Open vSwitch (OVN-Kubernetes, Antrea): each zone
 * has an entry of its own, with equal counters, another id, and a start some microseconds later; only one carries the DNAT or SNAT. As a
 * packet leaves one zone it comes to the next: the same source, and
 *
 *   comes    protocol | original source | original destination, its port and the source's (a hash)
 *   leaves   protocol | original source | reply source, its port and the port that it replies to (a hash)
 *
 * are one key where they are equal, as in each zone without translation. A source's port may be another behind a zone: where two connections
 * to one Service's backend, by two ways, have the same one.
 *
 *   heads  key -> link, next[link] -> link ...      those with the same key, in any life
 *   link   2 * record: by how it leaves             2 * record + 1: by how it comes, where that is another key
 *   twins  record -> members, zones, counted
 *
 * All members count towards one number, the largest of them (a packet may be dropped between two zones). A member's total is its
 * offset + its counters: the offset is 0 but where it was made anew, or its counters were zeroed.
 *
 * An entry in a zone that its twins' connection has had already is another life with the same ports, or the kernel has made one
 * half anew (a time-out or a flush of that zone alone). The other half tells: if it is still there in a whole read that began after,
 * it counts the same packets, since a new life would have taken its place. Until then what the entry counted is withheld. Where both
 * halves end before such a read, what passed between two reads counts twice.
 *
 * After a restart, what the process before kept of two twins is not the same, since a dump comes to one after the other. What they moved
 * since is withheld until a whole read has delivered all that is left.
 */
export class ZoneTwins {
  readonly #table: () => FlowRecords;
  readonly #seed: number;
  #heads: WordTable;
  #next: Int32Array<ArrayBuffer> = new Int32Array(1024);
  #twins: (Twins | undefined)[] = [];
  #offsets = new Map<number, readonly number[]>();
  #suspects = new Set<Twins>();
  #restored = new Set<Twins>();
  readonly #key = new Uint32Array(KEY_WORDS);

  /** Begins with all connections of the table. @param seed of the hash, random */
  constructor(table: () => FlowRecords, seed: number) {
    this.#table = table;
    this.#seed = seed;
    this.#heads = new WordTable(KEY_WORDS, 1, seed);
    this.#relink();
  }

  /** Entries that are set aside because another zone's counts the same packets. */
  get duplicates(): number {
    const { records } = this.#table();
    let duplicates = 0;
    for (const twins of new Set(this.#twins)) {
      const alive = twins?.members.filter((member) => !isEnded(records, member)).length ?? 0;
      duplicates += Math.max(0, alive - 1);
    }
    return duplicates;
  }

  /**
   * A record is new, or its reply source has become known.
   * @param handedOver its counters have been handed over, or are the baseline; false: they are 0
   */
  join(index: number, read: number, handedOver: boolean): void {
    const nearest = this.#nearest(index);
    this.#link(index);
    this.#join(index, nearest, read, handedOver);
  }

  /** A record that a process before has kept is delivered for the first time: its counters are that one's. */
  joinRestored(index: number, read: number): void {
    const nearest = this.#nearest(index);
    this.#link(index);
    if (nearest === undefined) this.#withhold(this.#twinsOf(index, read), read);
    else this.#join(index, nearest, read, true);
  }

  #withhold(twins: Twins, read: number): void {
    twins.restored = { handedOver: [...twins.counted], pair: 0, read };
    this.#restored.add(twins);
  }

  #join(index: number, nearest: Nearest | undefined, read: number, handedOver: boolean): void {
    if (nearest === undefined) return;
    const twins = this.#twinsOf(nearest.index, read);
    if (nearest.isTwin) this.#add(twins, index, NOTHING);
    else if (handedOver) this.#add(twins, index, subtract(twins.counted, this.#countersOf(index)));
    else this.#suspect(twins, index, read);
  }

  /** Without a start time the record has become another connection's, with the same key. Its counters are 0. */
  rejoin(index: number, read: number): void {
    const twins = this.#twins[index];
    if (twins !== undefined) twins.members = twins.members.filter((member) => member !== index);
    this.#twins[index] = undefined;
    this.#offsets.delete(index);
    this.#join(index, this.#nearest(index), read, false);
  }

  /** The record has ended and its counters are about to be zeroed: a twin that ends later counts from them. */
  remember(index: number, read: number): void {
    this.#twinsOf(index, read);
  }

  /** Whether the record has twins. */
  has(index: number): boolean {
    return this.#twins[index] !== undefined;
  }

  /**
   * What a record's new counters move. To be called before they are kept.
   * @param now its new counters
   * @param fell they were zeroed: what is kept is not in them
   * @returns what moved, by counter; undefined: nothing, or not yet
   */
  advance(
    index: number,
    now: readonly number[],
    { fell, pair, read }: { readonly fell: boolean; readonly pair: number; readonly read: number },
  ): readonly number[] | undefined {
    const twins = this.#twins[index]!;
    if (fell) this.#offsets.set(index, add(this.#offsets.get(index) ?? NOTHING, this.#countersOf(index)));
    const total = add(this.#offsets.get(index) ?? NOTHING, now);
    const moved = total.map((value, i) => Math.max(0, value - twins.counted[i]!));
    if (moved.every((value) => value === 0)) return undefined;
    if (twins.growth[0]?.read !== read)
      twins.growth = [{ read, before: [...twins.counted] }, ...twins.growth.slice(0, 1)];
    for (let i = 0; i < 4; i++) twins.counted[i]! += moved[i]!;
    if (twins.restored !== undefined) {
      twins.restored.pair = pair;
      return undefined;
    }
    if (twins.suspect === undefined) return moved;
    for (let i = 0; i < 4; i++) twins.suspect.withheld[i]! += moved[i]!;
    twins.suspect.pair = pair;
    return undefined;
  }

  /** A read has ended. @param last nothing will be read any more: what is withheld is handed over */
  endRead(read: number, complete: boolean, handOver: HandOver, last = false): void {
    for (const twins of this.#restored)
      if (complete || last || read > twins.restored!.read + MAX_UNDECIDED_READS) this.#goOn(twins, handOver);
    for (const twins of this.#suspects) {
      const suspect = twins.suspect!;
      const decided = (complete && read > suspect.read) || read > suspect.read + MAX_UNDECIDED_READS;
      if (decided || last) this.#decide(twins, suspect, !last && this.#isAlive(suspect.previous, read), handOver);
    }
  }

  /** Restored twins are together: what they moved beyond what had been handed over goes on. One without a twin needs no more of this. */
  #goOn(twins: Twins, handOver: HandOver): void {
    const { handedOver, pair } = twins.restored!;
    this.#restored.delete(twins);
    twins.restored = undefined;
    const moved = subtract(twins.counted, handedOver);
    if (pair !== 0 && moved.some((value) => value !== 0)) handOver(pair, moved);
    const [only, another] = twins.members;
    if (only !== undefined && another === undefined && !this.#offsets.has(only)) this.#twins[only] = undefined;
  }

  /** The record is part of what is not decided yet: a later process must not take its counters for handed over. */
  isWithheld(index: number): boolean {
    return this.#suspects.size > 0 && this.#twins[index]?.suspect !== undefined;
  }

  /** Pairs of what is withheld. */
  usePairs(use: (pair: number) => void): void {
    for (const { suspect } of this.#suspects) if (suspect!.pair !== 0) use(suspect!.pair);
    for (const { restored } of this.#restored) if (restored!.pair !== 0) use(restored!.pair);
  }

  renumberPairs(renumbered: Uint32Array): void {
    for (const { suspect } of this.#suspects) suspect!.pair = renumbered[suspect!.pair] ?? suspect!.pair;
    for (const { restored } of this.#restored) restored!.pair = renumbered[restored!.pair] ?? restored!.pair;
  }

  /** Records have moved. @param renumbered by old index: 1 + the new one, or 0 where the record was evicted */
  renumber(renumbered: Uint32Array): void {
    const [twins, offsets] = [this.#twins, this.#offsets];
    this.#twins = [];
    this.#offsets = new Map();
    for (const set of new Set(twins)) {
      if (set === undefined) continue;
      set.members = set.members.flatMap((member) => (renumbered[member] ? [renumbered[member] - 1] : []));
      for (const member of set.members) this.#twins[member] = set;
    }
    for (const [index, offset] of offsets) if (renumbered[index]) this.#offsets.set(renumbered[index] - 1, offset);
    this.#relink();
  }

  #relink(): void {
    const { count, replyHash } = this.#table();
    this.#heads = new WordTable(KEY_WORDS, 1, this.#seed);
    for (let index = 0; index < count; index++) if (replyHash[index] !== 0) this.#link(index);
  }

  #link(index: number): void {
    const { leaves, comes } = this.#hashesOf(index);
    this.#chain(2 * index, this.#keyOf(index, leaves));
    if (comes !== leaves) this.#chain(2 * index + 1, this.#keyOf(index, comes));
  }

  /** Puts a link before those with the same key. */
  #chain(link: number, key: Uint32Array): void {
    if (link >= this.#next.length) this.#next = longer(this.#next, link + 1);
    const known = this.#heads.find(key, 0);
    const head = known >= 0 ? known : this.#heads.add(key, 0);
    const at = head * this.#heads.stride + KEY_WORDS;
    this.#next[link] = this.#heads.records[at]! - 1;
    this.#heads.records[at] = link + 1;
  }

  /** Records that leave as this one comes, come as it leaves, or leave as it does; some of them twice. */
  *#linked(index: number): Generator<number> {
    const { leaves, comes } = this.#hashesOf(index);
    for (let link = this.#first(this.#keyOf(index, leaves)); link >= 0; link = this.#next[link]!) yield link >> 1;
    if (comes === leaves) return;
    for (let link = this.#first(this.#keyOf(index, comes)); link >= 0; link = this.#next[link]!)
      if ((link & 1) === 0) yield link >> 1;
  }

  #first(key: Uint32Array): number {
    const head = this.#heads.find(key, 0);
    return head < 0 ? -1 : this.#heads.records[head * this.#heads.stride + KEY_WORDS]! - 1;
  }

  /** The record of another zone that is likeliest the same connection's. */
  #nearest(index: number): Nearest | undefined {
    const { records } = this.#table();
    const zone = zoneOf(records, index);
    let best: Nearest | undefined;
    for (const other of this.#linked(index)) {
      if (other === index || zoneOf(records, other) === zone) continue;
      const apart = millisecondsApart(records, index, other);
      const isTwin = apart <= SAME_PACKET_MS && !this.#twins[other]?.zones.includes(zone);
      if (!isTwin && (isEnded(records, other) || isOlder(records, index, other))) continue;
      if (best === undefined || (isTwin && !best.isTwin) || (isTwin === best.isTwin && apart < best.apart))
        best = { index: other, isTwin, apart };
    }
    return best;
  }

  /** The twins of a record, which may have been alone until now. */
  #twinsOf(index: number, read: number): Twins {
    const known = this.#twins[index];
    if (known !== undefined) return known;
    const twins: Twins = {
      members: [],
      zones: [],
      counted: [0, 0, 0, 0],
      growth: [],
      since: read,
      suspect: undefined,
      restored: undefined,
    };
    this.#add(twins, index, NOTHING);
    return twins;
  }

  #add(twins: Twins, index: number, offset: readonly number[]): void {
    twins.members.push(index);
    twins.zones.push(zoneOf(this.#table().records, index));
    this.#twins[index] = twins;
    if (offset.some((value) => value !== 0)) this.#offsets.set(index, offset);
    const total = add(offset, this.#countersOf(index));
    for (const counts of [twins.counted, ...(twins.restored === undefined ? [] : [twins.restored.handedOver])])
      for (let i = 0; i < 4; i++) counts[i] = Math.max(counts[i]!, total[i]!);
  }

  #suspect(previous: Twins, index: number, read: number): void {
    const twins = this.#twinsOf(index, read);
    twins.suspect = {
      previous,
      previousCounted: countedBefore(previous, read - 1),
      withheld: [0, 0, 0, 0],
      pair: 0,
      read,
    };
    this.#suspects.add(twins);
  }

  #decide(twins: Twins, suspect: Suspect, isHalf: boolean, handOver: HandOver): void {
    this.#suspects.delete(twins);
    twins.suspect = undefined;
    const { previous, previousCounted, withheld, pair } = suspect;
    const grown = isHalf ? subtract(previous.counted, previousCounted) : NOTHING;
    const own = withheld.map((value, i) => Math.max(0, value - grown[i]!));
    if (pair !== 0 && own.some((value) => value !== 0)) handOver(pair, own);
    if (!isHalf) return;
    for (let i = 0; i < 4; i++) previous.counted[i]! += own[i]!;
    for (const member of twins.members)
      this.#add(previous, member, subtract(previous.counted, this.#countersOf(member)));
  }

  /** One of them was seen in this read and has not ended. */
  #isAlive({ members }: Twins, read: number): boolean {
    const { records, seen } = this.#table();
    return members.some((member) => seen[member] === read && !isEnded(records, member));
  }

  #countersOf(index: number): number[] {
    const { records } = this.#table();
    const at = index * RECORD_WORDS + COUNTERS;
    return Array.from(
      { length: COUNTER_WORDS / 2 },
      (_, i) => records[at + 2 * i + 1]! * 2 ** 32 + records[at + 2 * i]!,
    );
  }

  /** The key, in words that are used again by the next call. */
  #keyOf(index: number, hash: number): Uint32Array {
    const { records } = this.#table();
    const [base, key] = [index * RECORD_WORDS, this.#key];
    key[0] = records[base + WORD.zoneProtocol]! >>> 16;
    for (let i = 0; i < 4; i++) key[1 + i] = records[base + WORD.originalSource + i]!;
    key[5] = hash;
    return key;
  }

  #hashesOf(index: number): { readonly leaves: number; readonly comes: number } {
    const { records, replyHash } = this.#table();
    const base = index * RECORD_WORDS;
    const ports = records[base + WORD.originalPorts]!;
    const end = { at: base + WORD.originalDestination, port: ports & 0xffff, ownPort: ports >>> 16 };
    return { leaves: replyHash[index]!, comes: hashOf(records, end, this.#seed) };
  }
}

/** Protocol, original source, hash of the ends. */
const KEY_WORDS = 6;

/** Hash of who really answered, from which port and to which: never 0. */
export function replyHashOf(words: Uint32Array, at: number, seed: number): number {
  const ports = words[at + WORD.replyPorts]!;
  return hashOf(words, { at: at + WORD.replySource, port: ports >>> 16, ownPort: ports & 0xffff }, seed);
}

/** Hash of an end's address, at `words[end.at...]`, its port and the other's (MurmurHash3's mixing): never 0. */
function hashOf(
  words: Uint32Array,
  { at, port, ownPort }: { readonly at: number; readonly port: number; readonly ownPort: number },
  seed: number,
): number {
  let hash = seed | 0;
  for (let i = 0; i <= 4; i++) {
    const word = i < 4 ? words[at + i]! : (port << 16) | ownPort;
    hash = Math.imul(hash ^ Math.imul(word, 0xcc9e2d51), 0x1b873593);
    hash ^= hash >>> 15;
  }
  return hash >>> 0 || 1;
}

/**
 * What twins had counted for certain before a half of them was made anew, which is after the read before the last looked at it: they may
 * have counted since what the half counts.
 */
function countedBefore({ counted, growth, since }: Twins, read: number): readonly number[] {
  if (since >= read) return NOTHING;
  return growth.findLast((grown) => grown.read >= read)?.before ?? [...counted];
}

function zoneOf(records: Uint32Array, index: number): number {
  return records[index * RECORD_WORDS + WORD.zoneProtocol]! & 0xffff;
}

function isEnded(records: Uint32Array, index: number): boolean {
  return records[index * RECORD_WORDS + PAIR]! >= ENDED;
}

/** Whether one began before the other: then it is no half that was made anew. */
function isOlder(records: Uint32Array, one: number, other: number): boolean {
  const [a, b] = [one * RECORD_WORDS + WORD.identity, other * RECORD_WORDS + WORD.identity];
  return records[a + 1] === records[b + 1] ? records[a]! < records[b]! : records[a + 1]! < records[b + 1]!;
}

/** Between two starts. Without start times (high word 0) nothing says that they are not the same. */
function millisecondsApart(records: Uint32Array, one: number, other: number): number {
  const [a, b] = [one * RECORD_WORDS + WORD.identity, other * RECORD_WORDS + WORD.identity];
  if (records[a + 1] === 0 || records[b + 1] === 0) return 0;
  return Math.abs((records[a + 1]! - records[b + 1]!) * 2 ** 32 + (records[a]! - records[b]!)) / 1e6;
}

function add(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, i) => value + b[i]!);
}

function subtract(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, i) => value - b[i]!);
}

function longer(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.ceil(length * 1.5));
  larger.set(array);
  return larger;
}
