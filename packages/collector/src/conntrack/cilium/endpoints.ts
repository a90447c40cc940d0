import { WordTable } from '../../word-table.ts';

/**
 * The map of the node's own endpoints, `cilium_lxc` (bpf/lib/common.h of Cilium: endpoint_key, endpoint_info).
 *
 *   key, 20 bytes     address @0 (IPv4: the first 4), family @16: 1 or 2
 *   value             ... flags @8: 1 for the host itself ...
 */
export const ENDPOINT_KEY_BYTES = 20;
/** What is looked at of a value. */
export const ENDPOINT_VALUE_MIN_BYTES = 12;
const KEY_WORDS = ENDPOINT_KEY_BYTES / 4;
const FAMILY_V4 = 1;
const FAMILY_V6 = 2;
const FLAGS_WORD = 2;
const FLAG_HOST = 1;
const MAPPED = 0xffff_0000;

/**
 * An address stays an endpoint's for so long after the endpoint went: the longest that an entry lives without traffic, so that what
 * is left of its connections is not taken for those of a remote address. (Cilium: CT_CONNECTION_LIFETIME_TCP, 21,600 s; later 8,000 s.)
 */
export const EVICT_AFTER_SECONDS = 21_600;
/** Addresses: Cilium's own map holds no more. */
const MAX_ENDPOINTS = 65_536;

/** What has an address. */
export const ENDPOINT = { none: 0, pod: 1, host: 2 } as const;
type EndpointKind = (typeof ENDPOINT)[keyof typeof ENDPOINT];

/** IPv4 addresses that were looked up lately: nearly every entry is of one of them. A power of two. */
const RECENT = 1024;
const RECENT_SHIFT = 22;

/**
 * The endpoints of the node, by address:
 *
 *   table    | address: 4 words | kind | when it was last in the map, seconds |
 *   recent   | IPv4 address |      recentKind   | kind |      a slot each, chosen by the address; 0.0.0.0 has no endpoint
 */
export class Endpoints {
  readonly #table: WordTable;
  readonly #key = new Uint32Array(4);
  readonly #recent = new Int32Array(RECENT);
  readonly #recentKind = new Uint8Array(RECENT);

  /** @param seed of the hash */
  constructor(seed: number) {
    this.#table = new WordTable(4, 2, seed);
  }

  /** Addresses known, of endpoints that are there or went a while ago. */
  get size(): number {
    return this.#table.count;
  }

  /** What has the address of four words at `words[at]`. */
  kindOf(words: Uint32Array, at: number): EndpointKind {
    const isV4 = words[at + 2] === MAPPED && words[at] === 0 && words[at + 1] === 0;
    return isV4 ? this.kindOfV4(words[at + 3]! | 0) : this.#find(words, at);
  }

  /** What has the IPv4 address of one word, as a signed number. */
  kindOfV4(address: number): EndpointKind {
    const slot = Math.imul(address, 0x9e3779b1) >>> RECENT_SHIFT;
    if (this.#recent[slot] !== address) {
      this.#key.set([0, 0, MAPPED, address]);
      this.#recentKind[slot] = this.#find(this.#key, 0);
      this.#recent[slot] = address;
    }
    return this.#recentKind[slot] as EndpointKind;
  }

  #find(words: Uint32Array, at: number): EndpointKind {
    const index = this.#table.find(words, at);
    return index < 0 ? ENDPOINT.none : (this.#table.records[index * this.#table.stride + 4] as EndpointKind);
  }

  /**
   * Takes in entries of the map.
   * @param valueWords words of a value, padding included
   * @param now seconds, of any clock that only goes forward
   */
  add(keys: Uint32Array, values: Uint32Array, valueWords: number, count: number, now: number): void {
    this.#clearRecent();
    for (let entry = 0; entry < count; entry++) {
      if (!this.#takeKey(keys, entry * KEY_WORDS)) continue;
      const known = this.#table.find(this.#key, 0);
      if (known < 0 && this.#table.count >= MAX_ENDPOINTS) continue;
      const at = (known < 0 ? this.#table.add(this.#key, 0) : known) * this.#table.stride;
      const isHost = (values[entry * valueWords + FLAGS_WORD]! & FLAG_HOST) !== 0;
      this.#table.records[at + 4] = isHost ? ENDPOINT.host : ENDPOINT.pod;
      this.#table.records[at + 5] = now;
    }
  }

  /** Evicts endpoints that went long ago. */
  expire(now: number): void {
    const { records, stride, count } = this.#table;
    for (let at = 5; at < count * stride; at += stride) {
      if (now - records[at]! <= EVICT_AFTER_SECONDS) continue;
      this.#table.retain((index) => now - records[index * stride + 5]! <= EVICT_AFTER_SECONDS);
      this.#clearRecent();
      return;
    }
  }

  #clearRecent(): void {
    this.#recent.fill(0);
    this.#recentKind.fill(ENDPOINT.none);
  }

  #takeKey(keys: Uint32Array, at: number): boolean {
    const family = keys[at + 4]! & 0xff;
    if (family !== FAMILY_V4 && family !== FAMILY_V6) return false;
    for (let i = 0; i < 4; i++) this.#key[i] = keys[at + i]!;
    if (family === FAMILY_V4) this.#key.set([0, 0, MAPPED, keys[at]!]);
    return true;
  }
}
