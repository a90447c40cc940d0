import { type BpfMap, type EntryBuffers, entryBuffers } from '../ffi-bpf.ts';

/**
 * Entries of a batch: the kernel's own walk through a map is what takes time, and gets faster the less often it changes places with us.
 * More would keep the event loop waiting for longer than some milliseconds.
 */
export const BATCH_ENTRIES = 32768;
/** Steps through a map key by key, in its size, before it is given up: each deleted key may begin it anew. */
const MOST_ROUNDS = 3;

/** For tests: batches of another size, or none. */
export interface BatchOptions {
  readonly batchEntries?: number | undefined;
  readonly batches?: boolean | undefined;
}

/** Some entries of a map. The memory is used again for the next ones. */
export interface Batch {
  /** Packed. */
  readonly keys: Buffer;
  /** Each at a multiple of 8 bytes. */
  readonly values: Buffer;
  readonly count: number;
}

/** Reads maps with keys and values of one size, in batches where the kernel knows them. */
export class MapReader {
  /** The last map was read to its end. */
  whole = true;
  /** Readings that began anew, since a key was deleted under them. */
  restarts = 0;
  readonly valueBytes: number;
  readonly #buffers: EntryBuffers;
  readonly #batches: boolean;

  constructor(keyBytes: number, valueBytes: number, { batchEntries = BATCH_ENTRIES, batches = true }: BatchOptions) {
    this.valueBytes = valueBytes;
    this.#batches = batches;
    this.#buffers = entryBuffers(keyBytes, valueBytes, batchEntries);
  }

  /** The entries of a map, some at a time; they stay until the next are asked for. */
  *read(map: BpfMap): Generator<Batch> {
    const buffers = this.#buffers;
    this.whole = true;
    buffers.rewind();
    for (;;) {
      const got = this.#batches ? buffers.batch(map) : 'unsupported';
      if (got === 'unsupported') break;
      if (got === 'no_room') {
        buffers.grow();
        continue;
      }
      yield { keys: buffers.keys, values: buffers.values, count: got.count };
      if (got.last) return;
    }
    yield* this.#singly(map);
  }

  free(): void {
    this.#buffers.free();
  }

  /** Key by key. A key that is deleted while we stand on it sends us back to the begin: to read twice does no harm. */
  *#singly(map: BpfMap): Generator<Batch> {
    const buffers = this.#buffers;
    const batch = { keys: buffers.keys, values: buffers.values, count: 1 };
    buffers.rewind();
    for (let left = map.maxEntries * MOST_ROUNDS; left > 0; left--) {
      const got = buffers.single(map);
      if (got === 'last') return;
      if (got === 'gone') this.restarts++;
      else yield batch;
    }
    this.whole = false;
  }
}
