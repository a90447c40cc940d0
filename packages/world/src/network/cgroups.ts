import { mkdir, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { runCommand } from './commands.ts';
import { isLeftBehind } from './runs.ts';

/** A process that was ended leaves its cgroup a moment later. */
const REMOVE_LIMIT_MS = 3000;
const ASK_AGAIN_MS = 50;

/**
 * A cgroup (v2) for each node, so that nodes that share this machine's kernel can be told apart by their sockets, as where nodes are
 * containers (kind); and a BPF file system.
 *
 *   FOLDER/cgroup/         the machine's hierarchy, mounted once more
 *     RUNworld/NODE/       the processes of a node and of its pods
 *   FOLDER/bpf/            a BPF file system
 */
export interface NodeCgroups {
  /** Of a node; made where it is not there. */
  of(node: string): Promise<string>;
  /** Where programs and maps are pinned. */
  readonly bpfFolder: string;
  close(): Promise<void>;
}

/** Makes them. @param run the name of the run @param folder of the run: what is mounted there goes with it */
export async function openNodeCgroups(run: string, folder: string): Promise<NodeCgroups> {
  const root = join(folder, 'cgroup');
  const bpfFolder = join(folder, 'bpf');
  for (const [type, path] of [
    ['cgroup2', root],
    ['bpf', bpfFolder],
  ] as const) {
    await mkdir(path);
    await runCommand('mount', ['-t', type, 'egressd-world', path]);
  }
  for (const name of await readdir(root)) if (await isLeftBehind(name)) await removeTree(join(root, name));
  const own = join(root, `${run}world`);
  return {
    bpfFolder,
    async of(node) {
      const path = join(own, node);
      await mkdir(path, { recursive: true });
      return path;
    },
    close: () => removeTree(own),
  };
}

/** A cgroup can be removed once it has no processes and no cgroups below. */
async function removeTree(path: string): Promise<void> {
  const below = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of below) if (entry.isDirectory()) await removeTree(join(path, entry.name));
  for (let left = REMOVE_LIMIT_MS; ; left -= ASK_AGAIN_MS) {
    const failed = await rmdir(path).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code,
    );
    if (failed !== 'EBUSY' || left <= 0) return;
    await pause(ASK_AGAIN_MS);
  }
}
