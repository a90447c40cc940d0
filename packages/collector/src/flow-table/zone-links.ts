import { WORD } from '../conntrack/record.ts';
import { WordTable } from '../word-table.ts';
import { type FlowRecords, RECORD_WORDS } from './flow-record.ts';

/**
 * Which records of a table may be of the same packets in several conntrack zones. As a packet leaves one zone it comes to the next: the same
 * source, and
 *
 *   comes    protocol | original source | original destination, its port and the source's (a hash)
 *   leaves   protocol | original source | reply source, its port and the port that it replies to (a hash)
 *
 * are one key where they are equal, as in each zone without translation. A source's port may be another behind a zone: where two connections
 * to one Service's backend, by two ways, have the same one.
 *
 *   heads  key -> link, next[link] -> link ...      those with the same key, in any life
 *   link   2 * record: by how it leaves             2 * record + 1: by how it comes, where that is another key
 */
export class ZoneLinks {
  readonly #table: () => FlowRecords;
  readonly #seed: number;
  #heads: WordTable;
  #next: Int32Array<ArrayBuffer> = new Int32Array(1024);
  readonly #key = new Uint32Array(KEY_WORDS);

  /** Begins with all connections of the table. @param seed of the hash, random */
  constructor(table: () => FlowRecords, seed: number) {
    this.#table = table;
    this.#seed = seed;
    this.#heads = new WordTable(KEY_WORDS, 1, seed);
    this.relink();
  }

  /** Records have moved: all are linked anew. */
  relink(): void {
    const { count, replyHash } = this.#table();
    this.#heads = new WordTable(KEY_WORDS, 1, this.#seed);
    for (let index = 0; index < count; index++) if (replyHash[index] !== 0) this.link(index);
  }

  /** A record's reply source is known. */
  link(index: number): void {
    const { leaves, comes } = this.#hashesOf(index);
    this.#chain(2 * index, this.#keyOf(index, leaves));
    if (comes !== leaves) this.#chain(2 * index + 1, this.#keyOf(index, comes));
  }

  /** Records that leave as this one comes, come as it leaves, or leave as it does; some of them twice. */
  *linked(index: number): Generator<number> {
    const { leaves, comes } = this.#hashesOf(index);
    for (let link = this.#first(this.#keyOf(index, leaves)); link >= 0; link = this.#next[link]!) yield link >> 1;
    if (comes === leaves) return;
    for (let link = this.#first(this.#keyOf(index, comes)); link >= 0; link = this.#next[link]!)
      if ((link & 1) === 0) yield link >> 1;
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

  #first(key: Uint32Array): number {
    const head = this.#heads.find(key, 0);
    return head < 0 ? -1 : this.#heads.records[head * this.#heads.stride + KEY_WORDS]! - 1;
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

function longer(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.ceil(length * 1.5));
  larger.set(array);
  return larger;
}
