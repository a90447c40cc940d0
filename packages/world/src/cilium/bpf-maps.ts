import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DataType, load, open } from 'ffi-rs';
import { runCommand } from '../network/commands.ts';
import { makeRunFolder, newRunName, removeRunFolder, sweep } from '../network/runs.ts';

/** Makes and fills BPF maps, which the collector never does. */
const LIBRARY = 'lab-libbpf';
const LIBC = 'lab-libc';
const LIBRARY_FILE = 'libbpf.so.1';

/** linux/bpf.h. */
const MAP_TYPE = { hash: 1, array: 2, lruHash: 9 } as const;
const BPF_F_NO_PREALLOC = 1;
/** `struct bpf_map_create_opts` of libbpf's bpf.h: where its size and the map's flags are. */
const CREATE_OPTS_BYTES = 56;
const CREATE_FLAGS = 24;

const { I32, U32, U8Array, String: Text } = DataType;

/** Calls a function that gives 0 or more, or a negative errno. */
function call(funcName: string, paramsType: DataType[], paramsValue: unknown[]): number {
  const value = load({ library: LIBRARY, funcName, retType: I32, paramsType, paramsValue }) as unknown as number;
  if (value < 0) throw new Error(`${funcName}: errno ${-value}`);
  return value;
}

interface MapSizes {
  readonly type?: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxEntries: number;
}

/** A map that is ours, pinned under its name. */
export class BpfTestMap {
  readonly #fd: number;
  readonly #sizes: MapSizes;

  constructor(name: string, path: string, sizes: MapSizes) {
    const { type = MAP_TYPE.lruHash, keyBytes, valueBytes, maxEntries } = sizes;
    const options = Buffer.alloc(CREATE_OPTS_BYTES);
    options.writeBigUInt64LE(BigInt(CREATE_OPTS_BYTES));
    options.writeUInt32LE(type === MAP_TYPE.hash ? BPF_F_NO_PREALLOC : 0, CREATE_FLAGS);
    this.#sizes = sizes;
    // The kernel takes 15 letters and no others than these.
    const shortName = name.replace(/[^A-Za-z0-9_.]/g, '_').slice(0, 15);
    this.#fd = call(
      'bpf_map_create',
      [I32, Text, U32, U32, U32, U8Array],
      [type, shortName, keyBytes, valueBytes, maxEntries, options],
    );
    call('bpf_obj_pin', [I32, Text], [this.#fd, path]);
  }

  /** Puts entries in, keys and values one behind the other; those that are there are replaced. */
  put(keys: Buffer, values: Buffer): void {
    const count = Buffer.alloc(4);
    count.writeUInt32LE(keys.length / this.#sizes.keyBytes);
    const options = Buffer.alloc(24);
    options.writeBigUInt64LE(24n);
    call('bpf_map_update_batch', [I32, U8Array, U8Array, U8Array, U8Array], [this.#fd, keys, values, count, options]);
  }

  remove(key: Buffer): void {
    call('bpf_map_delete_elem', [I32, U8Array], [this.#fd, key]);
  }

  close(): void {
    load({ library: LIBC, funcName: 'close', retType: I32, paramsType: [I32], paramsValue: [this.#fd] });
  }
}

/** A bpf file system of its own, and maps that are pinned in it. */
export interface BpfFolder {
  /** Where the file system is mounted: as `/sys/fs/bpf` of a node. */
  readonly root: string;
  /** Where Cilium would pin its maps. */
  readonly globals: string;
  /** Makes a map and pins it under its name. */
  create(name: string, sizes: MapSizes): BpfTestMap;
  /** Removes a pinned map. */
  unpin(name: string): Promise<void>;
  close(): Promise<void>;
}

/** Mounts a bpf file system in a folder of this run. Needs root. */
export async function openBpfFolder(): Promise<BpfFolder> {
  await sweep();
  open({ library: LIBRARY, path: LIBRARY_FILE });
  open({ library: LIBC, path: 'libc.so.6' });
  const folder = await makeRunFolder(await newRunName());
  const root = join(folder, 'bpf');
  await mkdir(root);
  await runCommand('mount', ['-t', 'bpf', 'egressd-lab', root]);
  const globals = join(root, 'tc/globals');
  await mkdir(globals, { recursive: true });
  const maps: BpfTestMap[] = [];
  return {
    root,
    globals,
    create(name, sizes) {
      const map = new BpfTestMap(name, join(globals, name), sizes);
      maps.push(map);
      return map;
    },
    unpin: (name) => rm(join(globals, name)),
    async close() {
      for (const map of maps) map.close();
      await removeRunFolder(folder);
    },
  };
}
