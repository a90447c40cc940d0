/** Single entries of BPF maps: taken out, and counters of each processor. */
import { constants } from 'node:os';
import { DataType } from 'ffi-rs';
import { LIBBPF } from './bpf.ts';
import { bpfError, ENOTSUPP } from './bpf-error.ts';
import { native } from './library.ts';

const { ENOENT, EINVAL, ENOSYS } = constants.errno;
const { I32, U8Array } = DataType;
const takeElem = native<number>(LIBBPF, 'bpf_map_lookup_and_delete_elem', I32, [I32, U8Array, U8Array]);
const lookupElem = native<number>(LIBBPF, 'bpf_map_lookup_elem', I32, [I32, U8Array, U8Array]);
const deleteElem = native<number>(LIBBPF, 'bpf_map_delete_elem', I32, [I32, U8Array]);
const possibleCpus = native<number>(LIBBPF, 'libbpf_num_possible_cpus', I32, []);

/**
 * Takes an entry out of a hash map, with what it has at that moment in `value`. Before Linux 5.14 there is no single step for it: it is
 * read, then removed.
 * @returns whether it was there
 */
export function takeEntry(fd: number, key: Buffer, value: Buffer): boolean {
  const taken = takeElem(fd, key, value).value;
  if (taken === 0) return true;
  if (taken === -ENOENT) return false;
  if (![EINVAL, ENOTSUPP, ENOSYS].includes(-taken)) throw bpfError('cannot remove an entry of a BPF map', -taken);
  return lookupElem(fd, key, value).value === 0 && deleteElem(fd, key).value === 0;
}

/** The sums over all processors of the first `count` counters of a map of that kind (`BPF_MAP_TYPE_PERCPU_ARRAY`, 64 bits each). */
export function sumOverCpus(fd: number, count: number): number[] {
  const values = Buffer.alloc(8 * Math.max(1, possibleCpus().value));
  return Array.from({ length: count }, (_, index) => {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(index);
    const got = lookupElem(fd, key, values).value;
    if (got < 0) throw bpfError('cannot read a BPF map', -got);
    let sum = 0n;
    for (let at = 0; at < values.length; at += 8) sum += values.readBigUInt64LE(at);
    return Number(sum);
  });
}
