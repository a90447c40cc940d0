import { WordTable } from '../../word-table.ts';
import { type ConnectionBlock, FLAG, KEY_WORDS, STRIDE, WORD } from '../record.ts';

/** `IPS_OFFLOAD` and `IPS_HW_OFFLOAD` of linux/netfilter/nf_conntrack_common.h. */
const OFFLOADED = (1 << 14) | (1 << 15);
const COUNTER_WORDS = 8;
const VALUE_WORDS = COUNTER_WORDS;
/** So many whole dumps that do not have a connection: it has ended. */
const KEPT_DUMPS = 3;

/** What a connection moved since it was seen last: packets and bytes of the original direction, then of the reply direction. */
export type Amounts = readonly [number, number, number, number];

/** A translated connection that moved. */
export interface MovedConnection {
  /** Its record. */
  readonly words: Uint32Array;
  readonly at: number;
  readonly index: number;
  /** Since it was seen last; of one from before the first dump, all of it. */
  readonly amounts: Amounts;
  /** It began before the first dump: how much of it moved since is not known. */
  readonly isOld: boolean;
  /** Packets that a flowtable forwards may pass conntrack by. */
  readonly isOffloaded: boolean;
}

/**
 * Connections of conntrack's whose addresses are translated, with the counters that were seen last.
 *
 *   record | key: words 0..11 of record.ts | packets, bytes, packets, bytes: low, high each |
 *   seen   | dump that saw record 0 last | ...
 */
export class NatConnections {
  readonly #table: WordTable;
  #seen = new Uint32Array(1024);
  #dump = 1;
  /** Of connections that began before it nothing is known but what they had moved when they were first seen. ns since the epoch. */
  readonly #sinceNs: bigint;
  readonly #renumbered: (renumbered: Uint32Array) => void;

  /** @param renumbered is called when connections are removed: by old index, 1 + new index or 0 */
  constructor(seed: number, sinceNs: bigint, renumbered: (renumbered: Uint32Array) => void) {
    this.#table = new WordTable(KEY_WORDS, VALUE_WORDS, seed);
    this.#sinceNs = sinceNs;
    this.#renumbered = renumbered;
  }

  /** Takes in a block of a dump, or of DESTROY events. */
  apply({ words, count }: ConnectionBlock, onMoved: (connection: MovedConnection) => void): void {
    for (let at = 0, end = count * STRIDE; at < end; at += STRIDE)
      if (isTranslated(words, at)) this.#take(words, at, onMoved);
  }

  /** A dump ended. */
  endDump(complete: boolean): void {
    if (!complete) return;
    const oldest = this.#dump - KEPT_DUMPS;
    this.#dump++;
    const { count } = this.#table;
    let kept = 0;
    if (this.#seen.subarray(0, count).every((dump) => dump >= oldest)) return;
    const renumbered = this.#table.retain((index) => {
      if (this.#seen[index]! < oldest) return false;
      this.#seen[kept++] = this.#seen[index]!;
      return true;
    });
    this.#renumbered(renumbered);
  }

  #take(words: Uint32Array, at: number, onMoved: (connection: MovedConnection) => void): void {
    let index = this.#table.find(words, at);
    const isNew = index < 0;
    if (isNew) {
      index = this.#table.add(words, at);
      if (index >= this.#seen.length) this.#seen = new Uint32Array(this.#seen.buffer.transfer(this.#seen.length * 8));
    }
    this.#seen[index] = this.#dump;
    const { records, stride } = this.#table;
    const last = index * stride + KEY_WORDS;
    const since = (i: number) => Math.max(0, difference(words, at + WORD.originalPackets + i, records, last + i));
    const amounts: Amounts = [since(0), since(2), since(4), since(6)];
    for (let i = 0; i < COUNTER_WORDS; i++) records[last + i] = words[at + WORD.originalPackets + i]!;
    const isOffloaded = (words[at + WORD.status]! & OFFLOADED) !== 0;
    if (!isOffloaded && amounts.every((amount) => amount === 0)) return;
    onMoved({ words, at, index, amounts, isOld: isNew && this.#isOld(words, at), isOffloaded });
  }

  /** Without a start time it may be. */
  #isOld(words: Uint32Array, at: number): boolean {
    if ((words[at + WORD.flags]! & FLAG.start) === 0) return this.#dump === 1;
    const start = (BigInt(words[at + WORD.identity + 1]!) << 32n) | BigInt(words[at + WORD.identity]!);
    return start < this.#sinceNs;
  }
}

/** The destination or the source is another one for the other end. */
function isTranslated(words: Uint32Array, at: number): boolean {
  if ((words[at + WORD.flags]! & FLAG.sourceNat) !== 0) return true;
  for (let i = 0; i < 4; i++)
    if (words[at + WORD.originalDestination + i] !== words[at + WORD.replySource + i]) return true;
  return false;
}

function difference(now: Uint32Array, n: number, before: Uint32Array, b: number): number {
  return (now[n + 1]! - before[b + 1]!) * 2 ** 32 + (now[n]! - before[b]!);
}
