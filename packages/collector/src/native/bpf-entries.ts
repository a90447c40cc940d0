/**
 * Entries of BPF maps, read in batches: a call costs some microseconds, one for thousands of entries, and one an entry only where the
 * kernel knows no batches.
 */
import { constants } from 'node:os';
import { DataType } from 'ffi-rs';
import { type BpfMap, LIBBPF } from './bpf.ts';
import { bpfError, ENOTSUPP } from './bpf-error.ts';
import { type NativeMemory, native, nativeInThread, nativeMemory, nullPointer } from './library.ts';

/** Where a batch continues: a number of 32 bits for hash maps (kernel/bpf/hashtab.c), a key for others. */
const CURSOR_BYTES = 64;

const { ENOENT, ENOSPC, EINVAL, ENOSYS } = constants.errno;

const { External, I32 } = DataType;
const lookupBatch = nativeInThread<number>(LIBBPF, 'bpf_map_lookup_batch', I32, [
  I32,
  External,
  External,
  External,
  External,
  External,
  External,
]);
const getNextKey = native<number>(LIBBPF, 'bpf_map_get_next_key', I32, [I32, External, External]);
const lookupElem = native<number>(LIBBPF, 'bpf_map_lookup_elem', I32, [I32, External, External]);

/** Why a batch brought nothing: the kernel or the map knows none, or a bucket of the map has more entries than there was room for. */
type NoBatch = 'unsupported' | 'no_room';

/** Entries, one behind the other: keys packed, values each at a multiple of 8 bytes. */
export interface RawEntries {
  readonly keys: Buffer;
  readonly values: Buffer;
  readonly count: number;
}

/**
 * Memory for entries of maps with keys of one size, and the position in a map.
 *
 *   half 0   | keys | values | <── the kernel fills one, in a thread of the pool
 *   half 1   | keys | values | <── while the entries of the other are looked at
 */
export interface EntryBuffers {
  /** Goes back to the first entry. */
  rewind(): void;
  /**
   * The next entries of the map, as many as a half has room for. They stay until the second call after this one. Not to be called
   * while a batch is under way. `last`: there are no more.
   */
  batch(map: BpfMap): Promise<(RawEntries & { readonly last: boolean }) | NoBatch>;
  /** The next entry alone; it stays until the next call. `gone`: its key came, but it was deleted meanwhile. */
  single(map: BpfMap): RawEntries | 'gone' | 'last';
  /** Makes room for twice as many; what is in the buffers is lost, the position is kept. */
  grow(): void;
  /** Not while a batch is under way. */
  free(): void;
}

/** Takes memory for two times `capacity` entries. libbpf must be open. */
export function entryBuffers(keyBytes: number, valueBytes: number, capacity: number): EntryBuffers {
  return new NativeEntries(keyBytes, Math.ceil(valueBytes / 8) * 8, capacity);
}

interface Half {
  readonly keys: NativeMemory;
  readonly values: NativeMemory;
}

class NativeEntries implements EntryBuffers {
  readonly #keyBytes: number;
  readonly #valueBytes: number;
  #capacity: number;
  #halves: [Half, Half];
  #next: 0 | 1 = 0;
  /** Where a batch began and where the next does: they change places with every call. */
  #from = nativeMemory(CURSOR_BYTES);
  #to = nativeMemory(CURSOR_BYTES);
  readonly #count = nativeMemory(8);
  readonly #nothing = nullPointer();
  #begun = false;

  constructor(keyBytes: number, valueBytes: number, capacity: number) {
    this.#capacity = capacity;
    this.#keyBytes = keyBytes;
    this.#valueBytes = valueBytes;
    this.#halves = [this.#half(), this.#half()];
  }

  rewind(): void {
    this.#begun = false;
  }

  async batch({ fd }: BpfMap): Promise<(RawEntries & { last: boolean }) | NoBatch> {
    const { keys, values } = this.#halves[this.#next];
    this.#count.bytes.writeUInt32LE(this.#capacity);
    const from = this.#begun ? this.#from.at : this.#nothing;
    const { value } = await lookupBatch(fd, from, this.#to.at, keys.at, values.at, this.#count.at, this.#nothing);
    if (value === -EINVAL || value === -ENOTSUPP || value === -ENOSYS) return 'unsupported';
    if (value === -ENOSPC) return 'no_room';
    if (value < 0 && value !== -ENOENT) throw bpfError('cannot read a BPF map', -value);
    this.#turn();
    this.#next = this.#next === 0 ? 1 : 0;
    return { keys: keys.bytes, values: values.bytes, count: this.#count.bytes.readUInt32LE(), last: value < 0 };
  }

  single({ fd }: BpfMap): RawEntries | 'gone' | 'last' {
    const { keys, values } = this.#halves[0];
    const next = getNextKey(fd, this.#begun ? this.#from.at : this.#nothing, this.#to.at).value;
    if (next === -ENOENT) return 'last';
    if (next < 0) throw bpfError('cannot read a BPF map', -next);
    this.#turn();
    this.#from.bytes.copy(keys.bytes, 0, 0, this.#keyBytes);
    const found = lookupElem(fd, this.#from.at, values.at).value;
    if (found === -ENOENT) return 'gone';
    if (found < 0) throw bpfError('cannot read a BPF map', -found);
    return { keys: keys.bytes, values: values.bytes, count: 1 };
  }

  grow(): void {
    this.#capacity *= 2;
    this.#freeHalves();
    this.#halves = [this.#half(), this.#half()];
  }

  free(): void {
    this.#freeHalves();
    for (const memory of [this.#count, this.#from, this.#to]) memory.free();
  }

  #half(): Half {
    return {
      keys: nativeMemory(this.#keyBytes * this.#capacity),
      values: nativeMemory(this.#valueBytes * this.#capacity),
    };
  }

  #freeHalves(): void {
    for (const { keys, values } of this.#halves) {
      keys.free();
      values.free();
    }
  }

  #turn(): void {
    [this.#from, this.#to] = [this.#to, this.#from];
    this.#begun = true;
  }
}
