import { Bug } from '@egressd/flow/bug';
import type { World } from '../network/world.ts';

/** What a node's collector is started with to count at the sockets of its own node's cgroup, as environment. */
export function ebpfEnvironment({ cgroups }: World, daemon: string): Readonly<Record<string, string>> {
  if (cgroups === undefined) throw new Bug('a world without cgroups');
  const cgroup = cgroups.folders.get(daemon);
  if (cgroup === undefined) return {};
  return { EGRESSD_CT_MODE: 'ebpf', EGRESSD_EBPF_CGROUP: cgroup, EGRESSD_EBPF_BPF_FS: cgroups.bpfFolder };
}
