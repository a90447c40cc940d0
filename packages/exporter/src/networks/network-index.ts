import { ADDRESS_BYTES, isV4, type Range } from '@egressd/flow/address';
import type { Network, Networks } from './network.ts';

/** A range and the network that it is. */
export type NetworkRange = readonly [range: Range, network: Network];

const V4_MAPPED = 0xffff_0000_0000n;
const V6_END = 1n << 128n;
const WORDS = 4;

/**
 * Finds the longest prefix by binary search: the ranges, which contain each other, are flattened once into intervals that do not.
 *
 *   ranges     10.0.0.0/8 corp ────────────────────────     10.1.0.0/16 lab ───
 *   starts     10.0.0.0   10.1.0.0   10.2.0.0   11.0.0.0    rising; an interval ends where the next one starts
 *   networks   corp       lab        corp       (none)
 *
 *   pages      by the first half of an IPv4 address: how many starts have a lower one, so that few are left to search
 *
 * IPv4 has a column of its own, one word an address; of IPv6 a start is four words.
 */
export class NetworkIndex implements Networks {
  readonly #v4Starts: Uint32Array;
  readonly #v4Pages: Uint32Array;
  readonly #v4Networks: readonly (Network | undefined)[];
  readonly #v6Starts: Uint32Array;
  readonly #v6Networks: readonly (Network | undefined)[];

  /** @param ranges of the same range the last one counts */
  constructor(ranges: Iterable<NetworkRange>) {
    const intervals = flatten(ranges);
    const v4 = intervals.filter(({ start }) => start >= V4_MAPPED && start < V4_MAPPED + (1n << 32n));
    this.#v4Starts = Uint32Array.from(v4, ({ start }) => Number(start - V4_MAPPED));
    this.#v4Pages = pagesOf(this.#v4Starts);
    this.#v4Networks = v4.map(({ network }) => network);
    this.#v6Starts = Uint32Array.from(intervals.flatMap(({ start }) => wordsOf(start)));
    this.#v6Networks = intervals.map(({ network }) => network);
  }

  find(bytes: Uint8Array, at: number): Network | undefined {
    return isV4(bytes, at) ? this.#findV4(wordAt(bytes, at + 12)) : this.#findV6(bytes, at);
  }

  #findV4(address: number): Network | undefined {
    const starts = this.#v4Starts;
    const page = address >>> 16;
    let low = this.#v4Pages[page]!;
    let high = this.#v4Pages[page + 1]!;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle]! <= address) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : this.#v4Networks[low - 1];
  }

  #findV6(bytes: Uint8Array, at: number): Network | undefined {
    let [low, high] = [0, this.#v6Networks.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (startsUpTo(this.#v6Starts, middle * WORDS, bytes, at)) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : this.#v6Networks[low - 1];
  }
}

function pagesOf(starts: Uint32Array): Uint32Array {
  const pages = new Uint32Array(0x1_0001);
  for (const start of starts) pages[(start >>> 16) + 1]! += 1;
  for (let page = 1; page < pages.length; page++) pages[page] = pages[page]! + pages[page - 1]!;
  return pages;
}

/** Whether the start is not behind the address. */
function startsUpTo(starts: Uint32Array, first: number, bytes: Uint8Array, at: number): boolean {
  for (let word = 0; word < WORDS; word++) {
    const [start, address] = [starts[first + word]!, wordAt(bytes, at + 4 * word)];
    if (start !== address) return start < address;
  }
  return true;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

interface Interval {
  readonly start: bigint;
  readonly network: Network | undefined;
}

/** Intervals that cover all addresses from the first range on, in rising order. */
function flatten(ranges: Iterable<NetworkRange>): Interval[] {
  const sorted = sortedRanges(ranges);
  const intervals: Interval[] = [];
  /** The ranges around the current one, the innermost last. */
  const around: { readonly end: bigint; readonly network: Network }[] = [];
  const begin = (start: bigint, network: Network | undefined) => {
    if (intervals.at(-1)?.start === start) intervals.pop();
    if (intervals.at(-1)?.network !== network || intervals.length === 0) intervals.push({ start, network });
  };
  const endUpTo = (address: bigint) => {
    for (let last = around.at(-1); last !== undefined && last.end <= address; last = around.at(-1)) {
      around.pop();
      if (last.end < V6_END) begin(last.end, around.at(-1)?.network);
    }
  };
  for (const { start, bits, network } of sorted) {
    endUpTo(start);
    begin(start, network);
    around.push({ end: start + (1n << BigInt(128 - bits)), network });
  }
  endUpTo(V6_END);
  return withV4Boundary(intervals);
}

/** An interval that reaches into IPv4 from before it starts there once more, because IPv4 has a column of its own. */
function withV4Boundary(intervals: readonly Interval[]): Interval[] {
  const after = intervals.findIndex(({ start }) => start >= V4_MAPPED);
  const before = intervals[after === -1 ? intervals.length - 1 : after - 1];
  if (before?.network === undefined || intervals[after]?.start === V4_MAPPED) return [...intervals];
  const at = after === -1 ? intervals.length : after;
  return [...intervals.slice(0, at), { start: V4_MAPPED, network: before.network }, ...intervals.slice(at)];
}

function sortedRanges(ranges: Iterable<NetworkRange>) {
  const byRange = new Map<string, { start: bigint; bits: number; network: Network }>();
  for (const [{ bytes, bits }, network] of ranges) {
    const size = 128n - BigInt(bits);
    const start = (numberOf(bytes) >> size) << size;
    byRange.set(`${start}/${bits}`, { start, bits, network });
  }
  return [...byRange.values()].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : a.bits - b.bits));
}

function numberOf(bytes: Uint8Array): bigint {
  let number = 0n;
  for (let i = 0; i < ADDRESS_BYTES; i += 4) number = (number << 32n) | BigInt(wordAt(bytes, i));
  return number;
}

function wordsOf(number: bigint): number[] {
  return [96n, 64n, 32n, 0n].map((shift) => Number((number >> shift) & 0xffff_ffffn));
}
