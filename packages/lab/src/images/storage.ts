import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../world/commands.ts';

/** The repository: what images are built from. */
export const ROOT = fileURLToPath(new URL('../../../..', import.meta.url)).replace(/\/$/, '');
/** Images and containers of ours, apart from those of the user; may be deleted at any time. */
export const STORAGE = `${ROOT}/.lab/images`;

const PLACES = ['--root', `${STORAGE}/storage`, '--runroot', `${STORAGE}/run`, '--storage-driver', 'overlay'];
/** Debian's crun refuses machines that have both versions of cgroups mounted. */
const RUNTIME = ['--runtime', '/usr/sbin/runc', '--cgroup-manager', 'cgroupfs'];

/**
 * Both programs mount layers over each other, and leave such mounts where they are killed. So each run has its own table of
 * mounts, which goes with its last process; what the machine mounts meanwhile, new network namespaces too, reaches it.
 */
const OWN_MOUNTS = ['--mount', '--propagation', 'slave', '--'];

/** Starts `unshare` with these arguments: a command of `buildah`. */
export function buildah(...args: readonly string[]): string[] {
  return [...OWN_MOUNTS, 'buildah', ...PLACES, ...args];
}

/** The same of `podman`. */
export function podman(...args: readonly string[]): string[] {
  return [...OWN_MOUNTS, 'podman', ...PLACES, ...RUNTIME, ...args];
}

/** Runs one to its end. @returns what it printed @throws CommandFailed */
export function runOne(args: readonly string[], input?: string): Promise<string> {
  return runCommand('unshare', args, input);
}

/** Starts one, in a process group of its own: the terminal's Ctrl-C is for whoever started it, who ends it in order. */
export function startOne(args: readonly string[]): ChildProcess {
  return spawn('unshare', args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
}
