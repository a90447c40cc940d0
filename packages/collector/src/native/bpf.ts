/** Pinned BPF maps, opened by libbpf for reading only, and the description of their types (BTF). */
import { constants } from 'node:os';
import { DataType } from 'ffi-rs';
import { bpfError } from './bpf-error.ts';
import { closeFd, native, nativeMemory, openPackaged } from './library.ts';

/** Of Debian: the package that holds the library. */
const LIBRARY_PACKAGE = 'libbpf1';
export const LIBBPF = 'libbpf';

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
/** BTF of all of Cilium's types takes some hundred kilobytes. */
const MAX_BTF_BYTES = 4 * 1024 * 1024;
const { I32, U32, U8Array, String: Text } = DataType;
const objGet = native<number>(LIBBPF, 'bpf_obj_get_opts', I32, [Text, U8Array]);
const infoByFd = native<number>(LIBBPF, 'bpf_obj_get_info_by_fd', I32, [I32, U8Array, U8Array]);
const btfFdById = native<number>(LIBBPF, 'bpf_btf_get_fd_by_id', I32, [U32]);

/** An open map, and what the kernel says of it. */
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
export function openLibbpf(): void {
  openPackaged(LIBBPF, LIBRARY_PACKAGE);
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
  if (fd === -constants.errno.ENOENT) return undefined;
  if (fd < 0) throw bpfError(`cannot open the BPF map ${path}`, -fd);
  const info = Buffer.alloc(MAP_INFO_BYTES);
  const got = infoByFd(fd, info, lengthOf(info)).value;
  if (got < 0) {
    closeFd(fd);
    throw bpfError(`cannot get the sizes of the BPF map ${path}`, -got);
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
