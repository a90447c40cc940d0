import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where cgroups are: cgroups(7). */
const MOUNT = '/sys/fs/cgroup';
/** Names of our groups begin so. */
const PREFIX = 'egressd-siege';

/** Files of a group by version of cgroups: memory.txt and cgroup-v2.rst in the kernel's documentation. */
const FILES = {
  v1: {
    folder: join(MOUNT, 'memory'),
    limit: 'memory.limit_in_bytes',
    usage: 'memory.usage_in_bytes',
    inactive: 'total_inactive_file',
    kills: 'memory.oom_control',
    mount: `mount -t tmpfs none ${MOUNT} && mkdir ${MOUNT}/memory && mount -t cgroup -o memory none ${MOUNT}/memory`,
  },
  v2: {
    folder: MOUNT,
    limit: 'memory.max',
    usage: 'memory.current',
    inactive: 'inactive_file',
    kills: 'memory.events',
    mount: `mount -t cgroup2 none ${MOUNT}`,
  },
} as const;

/** A memory cgroup with a limit, as the kubelet makes one for a container. */
export class MemoryCgroup implements Disposable {
  readonly #files = existsSync(join(FILES.v1.folder, FILES.v1.limit)) ? FILES.v1 : FILES.v2;
  readonly #folder: string;

  /** @throws Error where cgroups cannot be made */
  constructor(name: string, limitBytes: number) {
    if (this.#files === FILES.v2) writeFileSync(join(MOUNT, 'cgroup.subtree_control'), '+memory');
    this.#folder = join(this.#files.folder, `${PREFIX}-${process.pid}-${name}`);
    mkdirSync(this.#folder);
    writeFileSync(join(this.#folder, this.#files.limit), String(limitBytes));
  }

  /**
   * A command that starts another in this group: that one follows as its arguments. It is for `ip netns exec`, which mounts another /sys:
   * without cgroups there, Node.js would not know its limit.
   */
  get starter(): readonly string[] {
    const script = `${this.#files.mount} && echo $$ > "$0" && exec "$@"`;
    return ['sh', '-c', script, join(this.#folder, 'cgroup.procs')];
  }

  /** Bytes that count against the limit and cannot be taken back at once: Kubernetes' working set. */
  get workingSet(): number {
    return Number(this.#read(this.#files.usage)) - this.#number('memory.stat', this.#files.inactive);
  }

  /** Processes that the kernel has ended because the group was full. */
  get kills(): number {
    return this.#number(this.#files.kills, 'oom_kill');
  }

  /** Its processes must be gone. */
  [Symbol.dispose](): void {
    rmdirSync(this.#folder);
  }

  #number(file: string, name: string): number {
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(this.#read(file))?.[1] ?? 0);
  }

  #read(file: string): string {
    return readFileSync(join(this.#folder, file), 'utf8');
  }
}
