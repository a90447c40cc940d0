import { ADDRESS_BYTES, ANY_V4, ANY_V6, isPublic, isV4 } from '@egressd/flow/address';
import { emptyColumns, type FlowColumns } from '@egressd/flow/columns';
import { FLAG, WORD } from '../conntrack/record.ts';
import type { Moved } from '../flow-table/moved.ts';
import { WordTable } from '../word-table.ts';

/**
 * Connections reduced to pairs: what moved between a source and a destination since the last hand-over.
 *
 *   addresses  | 4 words |                                             each address once
 *   pairs      | source | destination | protocol |                     indexes of addresses
 *              | source | destination | protocol | original destination + 1 | its port |      where the exporter asks for it
 *              the protocol's word has SOURCE_NAT too where the destination sees another source
 *   pending    | txBytes | txPackets | rxBytes | rxPackets |           doubles, side by side: one cache line a pair
 *   changed    the pairs that have something pending, in order of their first change
 *
 * Pair 0 does not exist: it is the connections' "not looked up yet". Pair 1 is the unknown: `::` to `::`, protocol 0.
 *
 * Cardinality limit: beyond `maxPairs` a new pair's public ends become `0.0.0.0` or `::`; beyond a quarter more it is the unknown pair.
 */
export class Reducer {
  /** Connections that were folded because there were too many pairs: into a public end, into the unknown pair. */
  foldedPublic = 0;
  foldedUnknown = 0;
  readonly originalDestination: boolean;
  readonly #maxPairs: number;
  readonly #addresses: WordTable;
  readonly #pairs: WordTable;
  readonly #key = new Uint32Array(5);
  #pending: Float64Array<ArrayBuffer> = new Float64Array(INITIAL_PAIRS * COUNTERS);
  #changed: Uint32Array<ArrayBuffer> = new Uint32Array(INITIAL_PAIRS);
  #rows = 0;

  /**
   * @param seed of the hashes, random
   * @param originalDestination keep apart the original destination (a Service's address and port)
   */
  constructor(options: { maxPairs: number; seed: number; originalDestination: boolean }) {
    this.originalDestination = options.originalDestination;
    this.#maxPairs = options.maxPairs;
    this.#addresses = new WordTable(ADDRESS_BYTES / 4, 0, options.seed);
    this.#pairs = new WordTable(options.originalDestination ? 5 : 3, 0, options.seed + 1);
    this.#addUnknownPair();
  }

  /** Pairs that have something pending. */
  get rows(): number {
    return this.#rows;
  }

  /** Pairs known, with or without something pending. */
  get size(): number {
    return this.#pairs.count;
  }

  get byteLength(): number {
    return this.#addresses.byteLength + this.#pairs.byteLength + this.#changed.byteLength + this.#pending.byteLength;
  }

  /** The pair of a connection: who opened it and, behind DNAT, who answered. @see Pairs.pairOf of the flow table */
  pairOf(words: Uint32Array, at: number): number {
    if (this.#keyOf(words, at, false, false)) {
      const known = this.#pairs.find(this.#key, 0);
      if (known >= 0) return known + 1;
    }
    if (this.#pairs.count <= this.#maxPairs) {
      this.#keyOf(words, at, false, true);
      return this.#addPair();
    }
    return this.#foldedPairOf(words, at);
  }

  /** Adds what the pairs' sources sent (tx) and received (rx). @see Pairs.add of the flow table */
  add({ count, pairs, counters }: Moved): void {
    const pending = this.#pending;
    const changed = this.#changed;
    let rows = this.#rows;
    for (let i = 0, from = 0; i < count; i++, from += COUNTERS) {
      const index = pairs[i]! - 1;
      const to = index * COUNTERS;
      if (pending[to] === 0 && pending[to + 2] === 0 && pending[to + 1] === 0 && pending[to + 3] === 0)
        changed[rows++] = index;
      pending[to] = pending[to]! + counters[from]!;
      pending[to + 1] = pending[to + 1]! + counters[from + 1]!;
      pending[to + 2] = pending[to + 2]! + counters[from + 2]!;
      pending[to + 3] = pending[to + 3]! + counters[from + 3]!;
    }
    this.#rows = rows;
  }

  /**
   * Takes what is pending; nothing is pending then. The addresses are those of all pairs, not a copy: they are to be encoded
   * before the next connection is looked up.
   */
  freeze(): FlowColumns {
    const columns = emptyColumns(this.#rows, 0, this.originalDestination);
    const { records, stride } = this.#pairs;
    const pending = this.#pending;
    const changed = this.#changed;
    const { source, destination, protocol, txBytes, txPackets, rxBytes, rxPackets, sourceNat, originalDestination } =
      columns;
    for (let row = 0; row < columns.rows; row++) {
      const i = changed[row]!;
      const at = i * stride;
      const from = i * COUNTERS;
      source[row] = records[at]!;
      destination[row] = records[at + 1]!;
      protocol[row] = records[at + 2]! & PROTOCOL;
      sourceNat[row] = records[at + 2]! >= SOURCE_NAT ? 1 : 0;
      txBytes[row] = pending[from]!;
      txPackets[row] = pending[from + 1]!;
      rxBytes[row] = pending[from + 2]!;
      rxPackets[row] = pending[from + 3]!;
      pending[from] = 0;
      pending[from + 1] = 0;
      pending[from + 2] = 0;
      pending[from + 3] = 0;
      if (originalDestination === undefined) continue;
      originalDestination.address[row] = records[at + 3]!;
      originalDestination.port[row] = records[at + 4]!;
    }
    this.#rows = 0;
    return {
      ...columns,
      addresses: new Uint8Array(this.#addresses.records.buffer, 0, this.#addresses.count * ADDRESS_BYTES),
    };
  }

  /**
   * Evicts pairs that no connection uses and that have nothing pending, and addresses that no pair uses.
   * @param used by number of the pair: not 0 where a connection uses it
   * @returns by old number of a pair: its new number, or 0
   */
  compact(used: Uint8Array): Uint32Array {
    const isPending = new Uint8Array(this.#pairs.count);
    for (const pair of this.#changed.subarray(0, this.#rows)) isPending[pair] = 1;
    const renumbered = this.#pairs.retain((i) => i === UNKNOWN_PAIR - 1 || used[i + 1] !== 0 || isPending[i] === 1);
    this.#movePending(renumbered);
    this.#compactAddresses();
    const numbers = new Uint32Array(renumbered.length + 1);
    numbers.set(renumbered, 1);
    return numbers;
  }

  /** A pair with its public ends folded, or the unknown pair. */
  #foldedPairOf(words: Uint32Array, at: number): number {
    const room = this.#pairs.count <= this.#maxPairs * FOLD_ROOM;
    if (this.#keyOf(words, at, true, room)) {
      const known = this.#pairs.find(this.#key, 0);
      if (known >= 0 || room) {
        this.foldedPublic++;
        return known >= 0 ? known + 1 : this.#addPair();
      }
    }
    this.foldedUnknown++;
    return UNKNOWN_PAIR;
  }

  /**
   * Makes the key of a connection's pair in `#key`. Its destination is the reply's source: who answered, behind DNAT.
   * @param add addresses that are not known yet
   * @returns false where an address is not known and was not to be added
   */
  #keyOf(words: Uint32Array, at: number, fold: boolean, add: boolean): boolean {
    const key = this.#key;
    const source = this.#address(words, at + WORD.originalSource, fold, add);
    const destination = this.#address(words, at + WORD.replySource, fold, add);
    if (source < 0 || destination < 0) return false;
    key[0] = source;
    key[1] = destination;
    const protocol = words[at + WORD.zoneProtocol]! >>> 16;
    key[2] = protocol | ((words[at + WORD.flags]! & FLAG.sourceNat) === 0 ? 0 : SOURCE_NAT);
    key[3] = 0;
    key[4] = 0;
    if (!this.originalDestination || fold) return true;
    const originalDestination = this.#address(words, at + WORD.originalDestination, false, add);
    if (originalDestination < 0) return false;
    if (originalDestination !== destination) key[3] = originalDestination + 1;
    if (HAS_PORTS.has(protocol)) key[4] = words[at + WORD.originalPorts]! & 0xffff;
    return true;
  }

  #addPair(): number {
    const pair = this.#pairs.add(this.#key, 0);
    if (pair >= this.#changed.length) this.#grow();
    return pair + 1;
  }

  #addUnknownPair(): void {
    this.#addresses.add(asWords(ANY_V6), 0);
    this.#key.fill(0);
    this.#addPair();
  }

  /** The index of the address of four words at `words[at]`, or -1 where it is not known and was not to be added. */
  #address(words: Uint32Array, at: number, fold: boolean, add: boolean): number {
    if (fold) {
      const bytes = new Uint8Array(words.buffer, words.byteOffset + at * 4, ADDRESS_BYTES);
      if (isPublic(bytes)) return this.#address(asWords(isV4(bytes) ? ANY_V4 : ANY_V6), 0, false, add);
    }
    const known = this.#addresses.find(words, at);
    return known >= 0 || !add ? known : this.#addresses.add(words, at);
  }

  #grow(): void {
    const room = this.#changed.length * 2;
    this.#changed = new Uint32Array(this.#changed.buffer.transfer(room * Uint32Array.BYTES_PER_ELEMENT));
    this.#pending = new Float64Array(this.#pending.buffer.transfer(room * COUNTERS * Float64Array.BYTES_PER_ELEMENT));
  }

  /** Moves what is pending to the pairs' new places: always to the front, so nothing is overwritten that is still needed. */
  #movePending(renumbered: Uint32Array): void {
    const changed = this.#changed.subarray(0, this.#rows);
    changed.sort();
    for (let row = 0; row < changed.length; row++) {
      const from = changed[row]!;
      const to = renumbered[from]! - 1;
      changed[row] = to;
      if (from === to) continue;
      this.#pending.copyWithin(to * COUNTERS, from * COUNTERS, (from + 1) * COUNTERS);
      this.#pending.fill(0, from * COUNTERS, (from + 1) * COUNTERS);
    }
  }

  #compactAddresses(): void {
    const { records, stride, count } = this.#pairs;
    const inUse = new Uint8Array(this.#addresses.count);
    for (let at = 0, end = count * stride; at < end; at += stride) {
      inUse[records[at]!] = 1;
      inUse[records[at + 1]!] = 1;
      if (this.originalDestination && records[at + 3] !== 0) inUse[records[at + 3]! - 1] = 1;
    }
    const renumbered = this.#addresses.retain((i) => inUse[i] === 1);
    this.#pairs.rekey((words, at) => {
      words[at] = renumbered[words[at]!]! - 1;
      words[at + 1] = renumbered[words[at + 1]!]! - 1;
      if (this.originalDestination && words[at + 3] !== 0) words[at + 3] = renumbered[words[at + 3]! - 1]!;
    });
  }
}

/** How many pairs there may be in all, in `maxPairs`: the rest is for folded ones. */
const FOLD_ROOM = 1.25;
const UNKNOWN_PAIR = 1;
/** In the protocol's word of a pair: beside the 8 bits of the protocol. */
const SOURCE_NAT = 0x100;
const PROTOCOL = 0xff;
const INITIAL_PAIRS = 1024;
/** Of a pair, pending. */
const COUNTERS = 4;
/** TCP, UDP, DCCP, SCTP, UDP-Lite. */
const HAS_PORTS = new Set([6, 17, 33, 132, 136]);

function asWords(address: Uint8Array): Uint32Array {
  return new Uint32Array(address.buffer, address.byteOffset, 4);
}
