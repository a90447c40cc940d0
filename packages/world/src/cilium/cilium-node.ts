import { readFileSync } from 'node:fs';
import { parseAddress } from '@egressd/flow/address';
import { Bug } from '@egressd/flow/bug';
import type { BpfFolder, BpfTestMap } from './bpf-maps.ts';
import { ENDPOINT_INFO_BYTES, endpointInfo, endpointKey } from './entries.ts';

/** The units of lifetimes. */
export type LabClock = 'jiffies' | 'ktime';

const monotonic = () => Number(process.hrtime.bigint()) / 1e9;

/** Ticks of this machine since boot and how many there are a second: read once, the file is long. */
const TICKS = (() => {
  const seconds = monotonic();
  const [, jiffies] = /^jiffies: (\d+)$/m.exec(readFileSync('/proc/timer_list', 'latin1')) ?? [];
  // As many a second as fit both clocks: INITIAL_JIFFIES of linux/jiffies.h is five minutes before 32 bits overflow.
  const off = (rate: number) => Math.abs((Number(jiffies) - 2 ** 32 + 300 * rate) / rate - seconds);
  const rate = [100, 250, 300, 1000].toSorted((a, b) => off(a) - off(b))[0]!;
  return { jiffies: Number(jiffies), seconds, rate };
})();

/** A lifetime that ends in so many seconds, by this machine's clock; none has ended before the machine started. */
export function lifetimeIn(clock: LabClock, seconds: number): number {
  const fromNow = Math.max(seconds, 10 - monotonic());
  if (clock === 'ktime') return Math.floor(monotonic() + fromNow);
  return Math.floor((TICKS.jiffies + (monotonic() - TICKS.seconds + fromNow) * TICKS.rate) / 256);
}

/** One entry: a key and a value, as bytes. */
export type RawEntry = readonly [key: Buffer, value: Buffer];

/** Sizes and endpoints of a node; every option has a default. */
export interface CiliumNodeOptions {
  /** Of each map. */
  readonly maxEntries?: number;
  readonly valueBytes?: number;
  /** Addresses of pods that live here. */
  readonly pods?: readonly string[];
  /** The node's own. */
  readonly host?: readonly string[];
}

/** The maps that Cilium keeps on a node, filled by us. */
export class CiliumNode {
  readonly #folder: BpfFolder;
  readonly #endpoints: BpfTestMap;
  readonly #maps = new Map<string, BpfTestMap>();
  readonly #options: CiliumNodeOptions;

  constructor(folder: BpfFolder, options: CiliumNodeOptions = {}) {
    this.#folder = folder;
    this.#options = options;
    this.#endpoints = folder.create('cilium_lxc', {
      type: 1,
      keyBytes: 20,
      valueBytes: ENDPOINT_INFO_BYTES,
      maxEntries: 65_536,
    });
    for (const name of ['cilium_ct4_global', 'cilium_ct_any4_global']) this.addMap(name, 14);
    for (const name of ['cilium_ct6_global', 'cilium_ct_any6_global']) this.addMap(name, 38);
    for (const address of options.pods ?? []) this.addEndpoint(address);
    for (const address of options.host ?? []) this.addEndpoint(address, true);
  }

  addMap(name: string, keyBytes: number): void {
    const { maxEntries = 4096, valueBytes = 56 } = this.#options;
    this.#maps.set(name, this.#folder.create(name, { keyBytes, valueBytes, maxEntries }));
  }

  addEndpoint(address: string, isHost = false): void {
    this.#endpoints.put(endpointKey(address), endpointInfo(isHost));
  }

  removeEndpoint(address: string): void {
    this.#endpoints.remove(endpointKey(address));
  }

  /** Puts entries where Cilium would: TCP in one map of the family, all else in the other. */
  put(entries: readonly RawEntry[]): void {
    for (const [name, some] of Map.groupBy(entries, ([key]) => mapOf(key))) this.putInto(name, some);
  }

  putInto(name: string, entries: readonly RawEntry[]): void {
    const map = this.#maps.get(name);
    if (map === undefined) throw new Bug(`no map ${name}`);
    map.put(Buffer.concat(entries.map(([key]) => key)), Buffer.concat(entries.map(([, value]) => value)));
  }

  /** Puts TCP entries, IPv4: many keys, one behind the other, with the same value. */
  putMany(keys: Buffer, value: Buffer): void {
    const count = keys.length / 14;
    this.#maps.get('cilium_ct4_global')!.put(keys, Buffer.alloc(count * value.length, value));
  }

  remove(key: Buffer): void {
    this.#maps.get(mapOf(key))!.remove(key);
  }
}

const TCP = 6;

function mapOf(key: Buffer): string {
  const isTcp = key.readUInt8(key.length - 2) === TCP && (key.readUInt8(key.length - 1) & 2) === 0;
  return `cilium_ct${isTcp ? '' : '_any'}${key.length === 14 ? 4 : 6}_global`;
}

/** Keys of TCP connections, IPv4, that the sources have opened to the destinations by turns, each with ports of its own. */
export function manyKeys(count: number, sources: readonly string[], destinations: readonly string[]): Buffer {
  const bytes = (address: string) => Buffer.from(parseAddress(address)!.subarray(12));
  const [from, to] = [sources.map(bytes), destinations.map(bytes)];
  const keys = Buffer.alloc(count * 14);
  for (let i = 0; i < count; i++) {
    from[i % from.length]!.copy(keys, i * 14);
    to[Math.floor(i / from.length) % to.length]!.copy(keys, i * 14 + 4);
    keys.writeUInt16BE(i & 0xffff, i * 14 + 8);
    keys.writeUInt16BE((i >>> 16) + 1, i * 14 + 10);
    keys.writeUInt8(TCP, i * 14 + 12);
  }
  return keys;
}
