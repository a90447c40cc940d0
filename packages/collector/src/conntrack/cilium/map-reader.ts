import { type BpfMap, type EntryBuffers, entryBuffers, type RawEntries } from '../../native/bpf.ts';
import { Turns } from './turns.ts';

/** Entries of a batch: so many that a call costs nothing, so few that they stay in the processor's cache. */
const BATCH_ENTRIES = 16_384;
/** Steps through a map key by key, in its size, before it is given up: each deleted key may begin it anew. */
const MOST_ROUNDS = 3;

/** For tests: batches of another size, or none. */
export interface BatchOptions {
  readonly batchEntries?: number | undefined;
  readonly batches?: boolean | undefined;
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

  /** The entries of a map, some at a time; they stay until the next are asked for. The kernel looks for those meanwhile. */
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
      // Where the reading is given up, the kernel may still write into the buffers.
      await next.catch(() => {});
    }
    yield* this.#singly(map);
  }

  /** The next batch. One that fails while nobody waits for it yet has not failed unheard. */
  #start(map: BpfMap): ReturnType<EntryBuffers['batch']> {
    const batch = this.#batches ? this.#buffers.batch(map) : Promise.resolve('unsupported' as const);
    batch.catch(() => {});
    return batch;
  }

  free(): void {
    this.#buffers.free();
  }

  /** Key by key. A key that is deleted while we stand on it sends us back to the begin: to read twice does no harm. */
  async *#singly(map: BpfMap): AsyncGenerator<RawEntries> {
    const turns = new Turns();
    this.#buffers.rewind();
    for (let left = map.maxEntries * MOST_ROUNDS; left > 0; left--) {
      const got = this.#buffers.single(map);
      if (got === 'last') return;
      if (got === 'gone') this.restarts++;
      else yield got;
      if (turns.isDue()) await turns.take();
    }
    this.whole = false;
  }
}
