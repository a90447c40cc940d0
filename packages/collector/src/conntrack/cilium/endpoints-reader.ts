import type { BpfMap } from '../../native/bpf.ts';
import { type BatchOptions, MapReader } from '../map-reader.ts';
import { ENDPOINT_KEY_BYTES, Endpoints } from './endpoints.ts';
import { readKernelTime } from './kernel-time.ts';

const BATCH_ENTRIES = 1024;

/** Reads the map of the node's endpoints (`cilium_lxc`), and keeps those that were in it a while ago. */
export class EndpointsReader {
  readonly #options: BatchOptions;
  readonly #endpoints: Endpoints;
  #reader: MapReader | undefined;

  /** @param seed of hashes */
  constructor(seed: number, options: BatchOptions) {
    this.#options = options;
    this.#endpoints = new Endpoints(seed);
  }

  /** The endpoints that are in the map now, and those that were in it a while ago. */
  async read(map: BpfMap): Promise<Endpoints> {
    const reader = this.#readerOf(map.valueBytes);
    const now = Math.floor(readKernelTime().seconds);
    const words = (bytes: Buffer) => new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    for await (const { keys, values, count } of reader.read(map))
      this.#endpoints.add(words(keys), words(values), Math.ceil(map.valueBytes / 8) * 2, count, now);
    this.#endpoints.expire(now);
    return this.#endpoints;
  }

  free(): void {
    this.#reader?.free();
  }

  /** The values have other sizes in other versions of Cilium, and one may follow the other. */
  #readerOf(valueBytes: number): MapReader {
    if (this.#reader?.valueBytes === valueBytes) return this.#reader;
    this.#reader?.free();
    this.#reader = new MapReader(ENDPOINT_KEY_BYTES, valueBytes, { ...this.#options, batchEntries: BATCH_ENTRIES });
    return this.#reader;
  }
}
