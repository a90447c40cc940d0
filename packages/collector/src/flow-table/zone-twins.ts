import {
  COUNTERS,
  type FlowRecords,
  isEnded,
  isOlder,
  millisecondsApart,
  RECORD_WORDS,
  totalsAt,
  zoneOf,
} from './flow-record.ts';
import { ZoneLinks } from './zone-links.ts';

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

/** Of another zone, linked. `apart`: milliseconds between the starts. */
interface Nearest {
  readonly index: number;
  readonly isTwin: boolean;
  readonly apart: number;
}

/** Takes what moved of a pair. */
export type HandOver = (pair: number, moved: readonly number[]) => void;

/**
 * Counts the same packets once where they pass several conntrack zones, as with Open vSwitch (OVN-Kubernetes, Antrea): each zone
 * has an entry of its own, with equal counters, another id, and a start some microseconds later; only one carries the DNAT or SNAT
 * (`ZoneLinks`).
 *
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
 * After a restart, what the process before kept of two twins is not the same, since a dump comes to one after the other; it may have met
 * one alone. What they moved since is withheld until a whole read has delivered all that is left, and so is what is new.
 */
export class ZoneTwins {
  readonly #table: () => FlowRecords;
  readonly #links: ZoneLinks;
  #twins: (Twins | undefined)[] = [];
  #offsets = new Map<number, readonly number[]>();
  #suspects = new Set<Twins>();
  #restored = new Set<Twins>();
  #isRestoring = false;

  /** Begins with all connections of the table. @param seed of the hash, random */
  constructor(table: () => FlowRecords, seed: number) {
    this.#table = table;
    this.#links = new ZoneLinks(table, seed);
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
    this.#links.link(index);
    // A twin that was restored may be delivered only later.
    if (nearest === undefined && !handedOver && this.#isRestoring) this.#withhold(this.#twinsOf(index, read), read);
    else this.#join(index, nearest, read, handedOver);
  }

  /** What a process before has kept is in the table: until a whole read, it is not known whose twin is whose. */
  beginRestored(): void {
    this.#isRestoring = true;
  }

  /** A record that a process before has kept is delivered for the first time: its counters are that one's. */
  joinRestored(index: number, read: number): void {
    const nearest = this.#nearest(index);
    this.#links.link(index);
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

  /** No other zone's entry of the same packets is known. */
  isAlone(index: number): boolean {
    return (this.#twins[index]?.zones.length ?? 1) === 1;
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
    if (complete) this.#isRestoring = false;
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
    if (this.#suspects.size === 0 && this.#restored.size === 0) return false;
    const twins = this.#twins[index];
    return twins?.suspect !== undefined || (twins?.restored?.handedOver.every((value) => value === 0) ?? false);
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
    this.#links.relink();
  }

  /** The record of another zone that is likeliest the same connection's. */
  #nearest(index: number): Nearest | undefined {
    const { records } = this.#table();
    const zone = zoneOf(records, index);
    let best: Nearest | undefined;
    for (const other of this.#links.linked(index)) {
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
    return totalsAt(records, index * RECORD_WORDS + COUNTERS);
  }
}

/**
 * What twins had counted for certain before a half of them was made anew, which is after the read before the last looked at it: they may
 * have counted since what the half counts.
 */
function countedBefore({ counted, growth, since }: Twins, read: number): readonly number[] {
  if (since >= read) return NOTHING;
  return growth.findLast((grown) => grown.read >= read)?.before ?? [...counted];
}

function add(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, i) => value + b[i]!);
}

function subtract(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, i) => value - b[i]!);
}
