import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runCommand } from '@egressd/world/network/commands';

/** The repository: what images are built from. */
export const ROOT = fileURLToPath(new URL('../../../..', import.meta.url)).replace(/\/$/, '');
/** Images and containers of ours, apart from those of the user; may be deleted at any time. */
export const STORAGE = `${ROOT}/.lab/images`;

const PLACES = ['--root', `${STORAGE}/storage`, '--runroot', `${STORAGE}/run`, '--storage-driver', 'overlay'];

/**
 * containers.conf(5), in the place of the machine's. Debian's crun refuses machines that have both versions of cgroups mounted. Limits
 * that are higher than ours take a right to raise that a sandbox may lack. Locks in files: those in shared memory are the user's too.
 */
const CONFIGURATION = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
lock_type = "file"
tmp_dir = "${STORAGE}/tmp"
events_logger = "none"
[network]
network_backend = "netavark"
`;
const CONFIGURATION_FILE = `${STORAGE}/containers.conf`;

/**
 * Both programs mount layers over each other, and leave such mounts where they are killed. So each run has its own table of
 * mounts, which goes with its last process; what the machine mounts meanwhile, new network namespaces too, reaches it.
 */
const OWN_MOUNTS = ['--mount', '--propagation', 'slave', '--'];

/** A command that runs with mounts of its own: what `unshare` is given. */
export type Isolated = readonly string[];

export function buildah(...args: readonly string[]): Isolated {
  return isolated('buildah', ...PLACES, ...args);
}

export function podman(...args: readonly string[]): Isolated {
  return isolated('podman', ...PLACES, ...args);
}

export function isolated(command: string, ...args: readonly string[]): Isolated {
  return [...OWN_MOUNTS, command, ...args];
}

/** Runs one to its end. @returns what it printed @throws CommandFailed */
export function runOne(args: Isolated): Promise<string> {
  return runCommand('unshare', args, '', options());
}

/** Starts one, in a process group of its own: the terminal's Ctrl-C is for the process that started it, which ends it in order. */
export function startOne(args: Isolated): ChildProcess {
  return spawn('unshare', args, { ...options(), stdio: ['pipe', 'pipe', 'pipe'], detached: true });
}

function options(): SpawnOptions {
  mkdirSync(STORAGE, { recursive: true });
  writeFileSync(CONFIGURATION_FILE, CONFIGURATION);
  return { env: { ...process.env, CONTAINERS_CONF: CONFIGURATION_FILE } };
}
