/** Why a source cannot be read. */
export type SourceErrorCode =
  /** Not root, or `CAP_NET_ADMIN` is missing. */
  | 'permission'
  /** A shared library is not installed. */
  | 'library'
  /** The kernel has no such table. */
  | 'unsupported'
  /** Cilium: its maps are not there. */
  | 'absent'
  /** Cilium: its maps are there and hold no entry that shows what they count. */
  | 'undetermined'
  /** Cilium: nothing in its maps has moved for a while; they are left from one that was removed. */
  | 'stale'
  /** Cilium: keys or values have sizes that are not known. */
  | 'sizes'
  /** Cilium: the map of the node's endpoints is not there. */
  | 'no_endpoints'
  /** Cilium: it does not count. */
  | 'counters_off'
  /** Cilium: it counts both directions together. */
  | 'directions_summed'
  /** Cilium: the counters are not as any known version keeps them. */
  | 'layout_unknown'
  /** eBPF: the host's cgroup v2 or BPF file system is not mounted here. */
  | 'mount'
  /** eBPF: a program that allows no other beside it is attached already. */
  | 'exclusive'
  /** Any other error of the kernel. */
  | 'system';

/** A source cannot be read. The message says what, where and what to do. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
  readonly code: SourceErrorCode;

  constructor(code: SourceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
