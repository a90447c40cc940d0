import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Log } from '@egressd/daemon/log';
import { mountKernelFiles } from './native/mount.ts';

/** What `-init` does, and where. The paths are for tests. */
interface InitOptions {
  /** `-init-cgroupv2`: also mount cgroup v2 where it is not. */
  readonly cgroupv2: boolean;
  /** The host's proc as the chart mounts it, and the own one: the first that has conntrack's sysctls is written. */
  readonly procRoots?: readonly string[];
  readonly cgroupRoots?: readonly string[];
  readonly log: Log;
}

/** Where the chart mounts the host's proc; the own one else. */
const PROC_ROOTS = ['/hostproc', '/proc'];
/** Where cgroup v2 may be already, and, last, where it is mounted where it is not. */
const CGROUP_ROOTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified', '/run/egressd/cgroupv2'];

/** One under `/proc/sys/net/netfilter`. */
interface Sysctl {
  readonly name: string;
  readonly value: string;
  readonly why: string;
  /** Without it nothing can be counted. */
  readonly required: boolean;
}

const SYSCTLS: readonly Sysctl[] = [
  { name: 'nf_conntrack_acct', value: '1', why: 'connections have counters', required: true },
  { name: 'nf_conntrack_timestamp', value: '1', why: 'connections have a start time', required: false },
  { name: 'nf_conntrack_events', value: '1', why: 'the kernel sends DESTROY events', required: false },
];

/**
 * `-init`: enables the sysctls that the collector needs, once, before it starts.
 * @returns the exit code: 0, or 1 where connections will not be counted or cgroup v2 could not be mounted; the log says why
 */
export function runInit(options: InitOptions): 0 | 1 {
  const { log } = options;
  const root = sysctlRoot(options.procRoots ?? PROC_ROOTS);
  const done = SYSCTLS.map((one) => enableSysctl(root, one, log));
  const mounted = options.cgroupv2 ? mountCgroup2(options.cgroupRoots ?? CGROUP_ROOTS, log) : true;
  return mounted && done.every((ok, i) => ok || !SYSCTLS[i]!.required) ? 0 : 1;
}

function sysctlRoot(procRoots: readonly string[]): string {
  const paths = procRoots.map((root) => `${root}/sys/net/netfilter`);
  return paths.find((path) => existsSync(path)) ?? paths.at(-1)!;
}

/** @returns whether the sysctl is enabled now */
function enableSysctl(root: string, { name, value, why, required }: Sysctl, log: Log): boolean {
  const path = `${root}/${name}`;
  try {
    const before = readFileSync(path, 'latin1').trim();
    if (before !== value) writeFileSync(path, `${value}\n`);
    log.info('sysctl set', { sysctl: name, before, now: value, why });
    return true;
  } catch (error) {
    const fields = { sysctl: name, path, why, error: explain(error) };
    if (required) log.error('cannot set a required sysctl', fields);
    else log.warn('cannot set a sysctl, going on without', fields);
    return false;
  }
}

/** What an error of the file system means here, and what to do. */
function explain(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'no such sysctl: load the module nf_conntrack, or the kernel is built without it';
  if (code === 'EROFS') return "read-only: mount the host's /proc at /hostproc, or run privileged";
  if (code === 'EACCES' || code === 'EPERM') return 'not permitted: run privileged, as root';
  return message;
}

/**
 * Mounts cgroup v2 where no root has it, at the last root: for programs that are attached to all processes of a node.
 * @returns whether it is mounted
 */
function mountCgroup2(roots: readonly string[], log: Log): boolean {
  const there = roots.find((root) => existsSync(`${root}/cgroup.controllers`));
  if (there !== undefined) {
    log.info('cgroup v2 is mounted already', { path: there });
    return true;
  }
  const path = roots.at(-1)!;
  try {
    mkdirSync(path, { recursive: true });
    mountKernelFiles('cgroup2', path);
    log.info('cgroup v2 mounted', { path });
    return true;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    log.error('cannot mount cgroup v2', {
      path,
      error: message,
      advice: 'run privileged, or leave -init-cgroupv2 out',
    });
    return false;
  }
}
