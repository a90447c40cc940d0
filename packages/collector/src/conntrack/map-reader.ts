import type { BpfMap } from '../native/bpf.ts';
import { type EntryBuffers, entryBuffers, type RawEntries } from '../native/bpf-entries.ts';
import { TimeSlice } from './time-slice.ts';

/** Entries of a batch: so many that a call costs nothing, so few that they stay in the processor's cache. */
const BATCH_ENTRIES = 16_384;
/** Steps through a map key by key, in multiples of its size, before it is abandoned: each deleted key may restart it. */
const MAX_ROUNDS = 3;

/** For tests: batches of another size, or none. */
export interface BatchOptions {
  readonly batchEntries?: number | undefined;
  readonly batches?: boolean | undefined;
}

/** Reads maps with keys and values of one size, in batches where the kernel knows them. */
export class MapReader {
  /** The last map was read to its end. */
  whole = true;
  /** Times that iterating restarted from the first key, because the key it stood at was deleted. */
  restarts = 0;
  readonly valueBytes: number;
  readonly #buffers: EntryBuffers;
  readonly #batches: boolean;

  constructor(keyBytes: number, valueBytes: number, { batchEntries = BATCH_ENTRIES, batches = true }: BatchOptions) {
    this.valueBytes = valueBytes;
    this.#batches = batches;
    this.#buffers = entryBuffers(keyBytes, valueBytes, batchEntries);
  }

  /** The entries of a map, some at a time; they stay until the next are asked for. The kernel looks those up meanwhile. */
  async *read(map: BpfMap): AsyncGenerator<RawEntries> {
    const buffers = this.#buffers;
    this.whole = true;
    buffers.rewind();
    let next = this.#start(map);
    try {
      for (;;) {
        const got = await next;
        if (got === 'unsupported') break;
        if (got === 'no_room') {
          buffers.grow();
          next = this.#start(map);
          continue;
        }
        if (!got.last) next = this.#start(map);
        yield got;
        if (got.last) return;
      }
    } finally {
      // Where the caller stops early, the kernel may still write into the buffers.
      await next.catch(() => {});
    }
    yield* this.#singly(map);
  }

  /** The next batch. One that fails before it is awaited is no unhandled rejection. */
  #start(map: BpfMap): ReturnType<EntryBuffers['batch']> {
    const batch = this.#batches ? this.#buffers.batch(map) : Promise.resolve('unsupported' as const);
    batch.catch(() => {});
    return batch;
  }

  free(): void {
    this.#buffers.free();
  }

  /** Key by key. Where the key we stand at is deleted the kernel restarts at the first key: to read twice does no harm. */
  async *#singly(map: BpfMap): AsyncGenerator<RawEntries> {
    const slice = new TimeSlice();
    this.#buffers.rewind();
    for (let left = map.maxEntries * MAX_ROUNDS; left > 0; left--) {
      const got = this.#buffers.single(map);
      if (got === 'last') return;
      if (got === 'gone') this.restarts++;
      else yield got;
      if (slice.isOver()) await slice.yield();
    }
    this.whole = false;
  }
}
