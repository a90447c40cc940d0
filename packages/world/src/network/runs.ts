import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from './commands.ts';

/**
 * Names of a run. Everything that a run leaves in the system carries its name, so that a later one
 * recognizes what killed runs have left:
 *
 *   egd 4711 . 88f2k . 0 -node-a
 *       │      │       └ place among the worlds of this process
 *       │      └ when the process started (clock ticks since boot, base 36): process ids are used again
 *       └ process id
 */
const RUN_NAME = /^egd(\d+)\.([0-9a-z]+)\.\d+-/;
/** Where `ip netns` keeps namespaces: ip-netns(8). */
export const NETNS_FOLDER = '/run/netns';

/** A process that has ended and whose parent has not noticed, or is ending: proc(5), field 3. */
const ENDED = /^[ZXx]$/;

/** When a process started, in clock ticks since boot (proc(5), field 22); undefined where none runs. */
async function startOf(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  if (stat === undefined) return undefined;
  // The name (field 2) may hold anything: count from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ENDED.test(fields[0]!) ? undefined : Number(fields[19]);
}

let worlds = 0;

/** A name for a new world of this process, with the dash that is to follow. */
export async function newRunName(): Promise<string> {
  const start = await startOf(process.pid);
  return `egd${process.pid}.${(start ?? 0).toString(36)}.${worlds++}-`;
}

/** Whether the process that made something of this name is no longer there. false for names that are not ours. */
export async function isLeftBehind(name: string): Promise<boolean> {
  const [, pid, start] = RUN_NAME.exec(name) ?? [];
  if (pid === undefined || start === undefined) return false;
  return (await startOf(Number(pid)))?.toString(36) !== start;
}

/** A folder of the run, below the system's temporary folder. */
export function makeRunFolder(run: string): Promise<string> {
  return mkdtemp(join(tmpdir(), run));
}

/** Removes a run's folder, with what is mounted in it. */
export async function removeRunFolder(folder: string): Promise<void> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  // fs type options: proc(5) and fstab(5). The newest first: one may lie in another.
  const points = mounts.split('\n').map((line) => line.split(' ')[1] ?? '');
  for (const point of points.filter((each) => each.startsWith(`${folder}/`)).reverse())
    await runCommand('umount', ['--lazy', point]).catch(() => {}); // unmounted meanwhile: otherwise rm fails
  // A process that was killed may still be leaving.
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Ends what runs in the namespaces, by process id, and deletes them. */
export async function removeNamespaces(names: readonly string[]): Promise<void> {
  for (const name of names) {
    const pids = await runCommand('ip', ['netns', 'pids', name]).catch(() => '');
    for (const pid of pids.split('\n').filter(Boolean)) killIfThere(Number(pid));
  }
  // One that cannot be deleted must not keep the others.
  const batch = names.map((name) => `netns delete ${name}\n`).join('');
  if (names.length > 0) await runCommand('ip', ['-force', '-batch', '-'], batch).catch(() => {});
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function leftBehind(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  const dead = await Promise.all(names.map(isLeftBehind));
  return names.filter((_, i) => dead[i]);
}

/** Removes what killed runs have left: processes, namespaces, mounts, folders. Live runs are not touched. */
export async function sweep(): Promise<void> {
  await removeNamespaces(await leftBehind(NETNS_FOLDER));
  for (const name of await leftBehind(tmpdir())) await removeRunFolder(join(tmpdir(), name));
}
