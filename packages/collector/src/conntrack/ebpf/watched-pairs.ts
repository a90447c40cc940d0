import { WordTable } from '../../word-table.ts';
import type { Alias } from './alias.ts';
import { KEY_WORDS as ENTRY_WORDS, isLocal, KEY } from './decode.ts';

/** Both addresses, the lesser first, and the protocol. */
const KEY_WORDS = 9;
/** Reads after which a pair that is in no connection and no entry is not watched any more. */
const WATCHED_READS = 60;

/** A pair of addresses as one end of a translated connection sees it. */
export interface WatchedPair {
  /** By the last read of the map: the end with the lesser address has sockets here, the greater one has. */
  lesserIsLocal: boolean;
  greaterIsLocal: boolean;
  /** When a connection or an entry had it last. */
  seenAtRead: number;
  alias: Alias | undefined;
}

/** Four words of an address: `words[at...]`. */
export type AddressAt = readonly [words: Uint32Array, at: number];

/** Pairs that matter for naming, found for each entry of the map. */
export class WatchedPairs {
  readonly #table: WordTable;
  #pairs: WatchedPair[] = [];
  readonly #key = new Uint32Array(KEY_WORDS);

  constructor(seed: number) {
    this.#table = new WordTable(KEY_WORDS, 0, seed);
  }

  get count(): number {
    return this.#table.count;
  }

  /** The pair of two addresses; a new one where it was not watched. */
  watch(one: AddressAt, other: AddressAt, protocol: number, read: number): WatchedPair {
    this.#makeKey(one, other, protocol);
    const known = this.#table.find(this.#key, 0);
    const pair = known < 0 ? this.#add() : this.#pairs[known]!;
    pair.seenAtRead = read;
    return pair;
  }

  /** The pair of two addresses, where it is watched. */
  peek(one: AddressAt, other: AddressAt, protocol: number): WatchedPair | undefined {
    this.#makeKey(one, other, protocol);
    return this.#pairs[this.#table.find(this.#key, 0)];
  }

  /** The pair that an entry of the map is of. */
  find(keys: Uint32Array, entry: number): WatchedPair | undefined {
    const at = entry * ENTRY_WORDS;
    return this.peek([keys, at + KEY.low], [keys, at + KEY.high], keys[at + KEY.protocol]!);
  }

  /** A read of the map begins: which ends are local is found out anew. */
  beginRead(): void {
    for (const pair of this.#pairs) {
      pair.lesserIsLocal = false;
      pair.greaterIsLocal = false;
    }
  }

  /** Notes which ends of a watched pair have sockets here. */
  note(pair: WatchedPair, keys: Uint32Array, values: Uint32Array, entry: number, read: number): void {
    const at = entry * ENTRY_WORDS;
    const lowIsLesser = isLesser([keys, at + KEY.low], [keys, at + KEY.high]);
    const [low, high] = [isLocal(values, entry, 'low'), isLocal(values, entry, 'high')];
    pair.lesserIsLocal = lowIsLesser ? low : high;
    pair.greaterIsLocal = lowIsLesser ? high : low;
    pair.seenAtRead = read;
  }

  /** Stops watching those that nothing has had for long. */
  sweep(read: number): void {
    const isKept = (index: number) => this.#pairs[index]!.seenAtRead >= read - WATCHED_READS;
    const kept = this.#pairs.filter((_, index) => isKept(index));
    if (kept.length === this.#pairs.length) return;
    this.#table.retain(isKept);
    this.#pairs = kept;
  }

  #add(): WatchedPair {
    const pair = { lesserIsLocal: false, greaterIsLocal: false, seenAtRead: 0, alias: undefined };
    this.#pairs[this.#table.add(this.#key, 0)] = pair;
    return pair;
  }

  #makeKey(one: AddressAt, other: AddressAt, protocol: number): void {
    const [[lesser, l], [greater, g]] = isLesser(one, other) ? [one, other] : [other, one];
    for (let i = 0; i < 4; i++) {
      this.#key[i] = lesser[l + i]!;
      this.#key[4 + i] = greater[g + i]!;
    }
    this.#key[8] = protocol;
  }
}

/** Whether an end of a pair has sockets here. */
export function isLocalEnd(pair: WatchedPair, end: AddressAt, other: AddressAt): boolean {
  return isLesser(end, other) ? pair.lesserIsLocal : pair.greaterIsLocal;
}

function isLesser([a, at]: AddressAt, [b, other]: AddressAt): boolean {
  for (let i = 0; i < 4; i++) if (a[at + i] !== b[other + i]) return a[at + i]! < b[other + i]!;
  return false;
}
