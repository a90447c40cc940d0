import { existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { SourceError } from '../source-error.ts';

/** `CGROUP2_SUPER_MAGIC` and `BPF_FS_MAGIC` of linux/magic.h. */
const CGROUP2 = 0x6367_7270;
const BPF_FS = 0xcafe_4a11;
/** The number of the root of the whole hierarchy: a container's own root has another. */
const ROOT_INODE = 1;
/** Where the host's cgroup v2 may be: as the chart mounts it, and on the host itself; alone, in hybrid mode, or mounted by `-init`. */
const CGROUP_MOUNTS = [
  '/host/cgroup',
  '/host/cgroup/unified',
  '/sys/fs/cgroup',
  '/sys/fs/cgroup/unified',
  '/run/egressd/cgroupv2',
];
const CHART_MOUNT = '/host/cgroup';
const BPF_MOUNT = '/sys/fs/bpf';
/** bpf_link, batches, `bpf_jiffies64`, CAP_BPF. */
const MIN_KERNEL = [5, 8] as const;
/** Numbers of linux/capability.h. */
const CAPABILITIES = { NET_ADMIN: 12, SYS_ADMIN: 21, BPF: 39 } as const;

/** Folders of this process's own, and those of process 1 where the pod shares the host's processes. */
function candidates(paths: readonly string[], hostPid: boolean): string[] {
  return [...paths, ...(hostPid ? paths.map((path) => `/proc/1/root${path}`) : [])];
}

/**
 * The cgroup v2 whose sockets are counted: the root of the whole hierarchy, else what the chart mounts, where the node is a container.
 * @param chosen `-ebpf-cgroup`
 * @throws SourceError that says what to mount
 */
export function findCgroup(chosen: string | undefined, hostPid: boolean): string {
  const found = (chosen === undefined ? candidates(CGROUP_MOUNTS, hostPid) : [chosen]).filter((path) =>
    isOf(path, CGROUP2),
  );
  const best = found.find((path) => inodeOf(path) === ROOT_INODE) ?? found.find((path) => path.includes(CHART_MOUNT));
  const cgroup = chosen === undefined ? best : found[0];
  if (cgroup !== undefined) return cgroup;
  throw new SourceError(
    'mount',
    chosen === undefined
      ? `the host's cgroup v2 is not mounted here: mount its /sys/fs/cgroup at ${CHART_MOUNT} (a container's own shows its own processes only), or run once with -init -init-cgroupv2 where the host has none`
      : `${chosen} is no folder of cgroup v2 (-ebpf-cgroup)`,
  );
}

/** The BPF file system that keeps what outlives this process. @throws SourceError that says what to mount */
export function findBpfFolder(chosen: string | undefined, hostPid: boolean): string {
  const found = (chosen === undefined ? candidates([BPF_MOUNT], hostPid) : [chosen]).find((path) => isOf(path, BPF_FS));
  if (found !== undefined) return found;
  throw new SourceError(
    'mount',
    `${chosen ?? BPF_MOUNT} is no BPF file system: mount the host's ${BPF_MOUNT} there (on the host: mount -t bpf bpf ${BPF_MOUNT})`,
  );
}

/** The number of a cgroup: of its folder. */
export function inodeOf(path: string): number {
  return statSync(path).ino;
}

function isOf(path: string, type: number): boolean {
  try {
    return existsSync(path) && statfsSync(path).type === type;
  } catch {
    return false;
  }
}

/** Says what is missing before the kernel would say no more than EPERM or EINVAL. @throws SourceError */
export function checkRequirements(kernel = release(), status = readFileSync('/proc/self/status', 'latin1')): void {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  if (major < MIN_KERNEL[0] || (major === MIN_KERNEL[0] && minor < MIN_KERNEL[1]))
    throw new SourceError(
      'unsupported',
      `counting by eBPF needs Linux ${MIN_KERNEL.join('.')} or later, this is ${kernel}`,
    );
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = (name: keyof typeof CAPABILITIES) => (effective & (1n << BigInt(CAPABILITIES[name]))) !== 0n;
  const missing = (['BPF', 'NET_ADMIN'] as const).filter((name) => !has(name));
  if (missing.length > 0 && !has('SYS_ADMIN'))
    throw new SourceError(
      'permission',
      `counting by eBPF needs the capabilities BPF and NET_ADMIN: missing ${missing.join(', ')}`,
    );
}
