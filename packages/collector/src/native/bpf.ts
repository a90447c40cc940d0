/**
 * Every call into libbpf: maps that somebody else has pinned are opened for reading only, and read in batches. A call costs some
 * microseconds: one for thousands of entries, and one an entry only where the kernel knows no batches.
 */
import { constants } from 'node:os';
import { DataType } from 'ffi-rs';
import { SourceError, type SourceErrorCode } from '../conntrack/source-error.ts';
import {
  closeFd,
  errnoName,
  type NativeMemory,
  native,
  nativeInThread,
  nativeMemory,
  nullPointer,
  openPackaged,
} from './library.ts';

/** Debian's name for the library, and of the package that holds it. */
export const BPF_LIBRARY_FILE = 'libbpf.so.1';
const LIBRARY_PACKAGE = 'libbpf1';
const LIBRARY = 'libbpf';

/** `enum bpf_map_type` of linux/bpf.h: the two that can be read as a table. */
export const BPF_MAP_TYPE_HASH = 1;
export const BPF_MAP_TYPE_LRU_HASH = 9;

/** linux/bpf.h: the descriptor can only read. */
const BPF_F_RDONLY = 8;
/** `struct bpf_obj_get_opts` of libbpf's bpf.h: its own size (64 bits), flags. */
const OBJ_GET_OPTS_BYTES = 16;
/** `struct bpf_map_info` of linux/bpf.h: where in it things are, and as much of it as is looked at. */
const MAP_INFO_BYTES = 80;
const INFO_TYPE = 0;
const INFO_ID = 4;
const INFO_KEY_SIZE = 8;
const INFO_VALUE_SIZE = 12;
const INFO_MAX_ENTRIES = 16;
const INFO_BTF_ID = 64;
const INFO_BTF_VALUE_TYPE_ID = 72;
/** `struct bpf_btf_info` of linux/bpf.h: pointer, size, id, name, length of the name, whether it is the kernel's. */
const BTF_INFO_BYTES = 32;
/** A description of all of Cilium's types takes some hundred kilobytes. */
const MAX_BTF_BYTES = 4 * 1024 * 1024;
/** What a batch goes on at: a number of 32 bits for hash maps (kernel/bpf/hashtab.c), a key for others. */
const CURSOR_BYTES = 64;

const { ENOENT, EPERM, EACCES, ENOSPC, EINVAL, ENOSYS } = constants.errno;
/** The kernel's own, not of POSIX: this kind of map knows no batches. */
const ENOTSUPP = 524;

const { External, I32, U32, U8Array, String: Text } = DataType;
const objGet = native<number>(LIBRARY, 'bpf_obj_get_opts', I32, [Text, U8Array]);
const infoByFd = native<number>(LIBRARY, 'bpf_obj_get_info_by_fd', I32, [I32, U8Array, U8Array]);
const lookupBatch = nativeInThread<number>(LIBRARY, 'bpf_map_lookup_batch', I32, [
  I32,
  External,
  External,
  External,
  External,
  External,
  External,
]);
const getNextKey = native<number>(LIBRARY, 'bpf_map_get_next_key', I32, [I32, External, External]);
const lookupElem = native<number>(LIBRARY, 'bpf_map_lookup_elem', I32, [I32, External, External]);
const btfFdById = native<number>(LIBRARY, 'bpf_btf_get_fd_by_id', I32, [U32]);

/** A map that is open, and what the kernel says of it. */
export interface BpfMap {
  readonly fd: number;
  /** Another number: another map, though it may be pinned at the same path. */
  readonly id: number;
  /** `BPF_MAP_TYPE_*`. */
  readonly type: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxEntries: number;
  /** The description of its types and the number of its values' type there; 0 where it has none. */
  readonly btf: { readonly id: number; readonly valueType: number };
  close(): void;
}

/** Loads libbpf. @throws SourceError where it is not installed */
export function openLibbpf(file: string = BPF_LIBRARY_FILE): void {
  openPackaged(LIBRARY, file, LIBRARY_PACKAGE);
}

/**
 * Opens a pinned map for reading. libbpf must be open.
 * @returns undefined where nothing is pinned there
 * @throws SourceError where it cannot be opened, or is something else than a map
 */
export function openPinnedMap(path: string): BpfMap | undefined {
  const options = Buffer.alloc(OBJ_GET_OPTS_BYTES);
  options.writeBigUInt64LE(BigInt(OBJ_GET_OPTS_BYTES));
  options.writeUInt32LE(BPF_F_RDONLY, 8);
  const fd = objGet(path, options).value;
  if (fd === -ENOENT) return undefined;
  if (fd < 0) throw bpfError(`cannot open the BPF map ${path}`, -fd);
  const info = Buffer.alloc(MAP_INFO_BYTES);
  const got = infoByFd(fd, info, lengthOf(info)).value;
  if (got < 0) {
    closeFd(fd);
    throw bpfError(`cannot ask for the sizes of the BPF map ${path}`, -got);
  }
  return {
    fd,
    id: info.readUInt32LE(INFO_ID),
    type: info.readUInt32LE(INFO_TYPE),
    keyBytes: info.readUInt32LE(INFO_KEY_SIZE),
    valueBytes: info.readUInt32LE(INFO_VALUE_SIZE),
    maxEntries: info.readUInt32LE(INFO_MAX_ENTRIES),
    btf: { id: info.readUInt32LE(INFO_BTF_ID), valueType: info.readUInt32LE(INFO_BTF_VALUE_TYPE_ID) },
    close: () => closeFd(fd),
  };
}

function lengthOf(buffer: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(buffer.length);
  return length;
}

/** The description of types with this number (Documentation/bpf/btf.rst); undefined where we may not or cannot read it. */
export function readBtf(id: number): Buffer | undefined {
  const fd = btfFdById(id).value;
  if (fd < 0) return undefined;
  const memory = nativeMemory(MAX_BTF_BYTES);
  try {
    const info = Buffer.alloc(BTF_INFO_BYTES);
    info.writeBigUInt64LE(BigInt(memory.address));
    info.writeUInt32LE(MAX_BTF_BYTES, 8);
    if (infoByFd(fd, info, lengthOf(info)).value < 0) return undefined;
    const size = info.readUInt32LE(8);
    return size > MAX_BTF_BYTES ? undefined : Buffer.from(memory.bytes.subarray(0, size));
  } finally {
    memory.free();
    closeFd(fd);
  }
}

/** Why a batch brought nothing: the kernel or the map knows none, or more entries share a place in the hash than there was room for. */
export type NoBatch = 'unsupported' | 'no_room';

/** Entries, one behind the other: keys packed, values each at a multiple of 8 bytes. */
export interface RawEntries {
  readonly keys: Buffer;
  readonly values: Buffer;
  readonly count: number;
}

/**
 * Memory for entries of maps with keys of one size, and where the reading of a map stands.
 *
 *   half 0   | keys | values | <── the kernel fills one, in a thread of the pool
 *   half 1   | keys | values | <── while the entries of the other are looked at
 */
export interface EntryBuffers {
  /** Begins anew. */
  rewind(): void;
  /**
   * The next entries of the map, as many as a half has room for. They stay until the second batch after them is asked for. Not to be
   * asked for while one is under way. `last`: there are no more.
   */
  batch(map: BpfMap): Promise<(RawEntries & { readonly last: boolean }) | NoBatch>;
  /** The next entry alone, until the next is asked for. `gone`: its key came, but it was deleted meanwhile. */
  single(map: BpfMap): RawEntries | 'gone' | 'last';
  /** Makes room for twice as many; what is in the buffers is lost, where the reading stands is not. */
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

/** The error that an errno of the kernel stands for: what was tried, what the kernel said, and what to do. */
export function bpfError(what: string, errno: number): SourceError {
  const code = errorCode(errno);
  const hints: Partial<Record<SourceErrorCode, string>> = {
    permission: ': run as root; kernels before 5.19 also want the capability BPF, those before 5.8 SYS_ADMIN',
    unsupported: ': the kernel does not know this',
  };
  return new SourceError(code, `${what}: ${errnoName(errno)}${hints[code] ?? ''}`);
}

function errorCode(errno: number): SourceErrorCode {
  if (errno === EPERM || errno === EACCES) return 'permission';
  return [EINVAL, ENOSYS, ENOTSUPP].includes(errno) ? 'unsupported' : 'system';
}
