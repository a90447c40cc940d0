import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stateFolder } from '@egressd/world/daemons/daemons';
import { runCommand } from '@egressd/world/network/commands';
import { NODES } from '@egressd/world/network/layout';
import type { World } from '@egressd/world/network/world';

/** Small, and much more than any daemon of the world needs. */
const SIZE = '32m';
const FILLER = 'filler';
/** What is written at a time. */
const PIECE = Buffer.alloc(64 * 1024);

/** Disks of the state directories, one each. */
export interface Disks {
  /** Until not one byte more has room. @param name `exporter`, or the node of a collector */
  fill(name: string): Promise<void>;
  free(name: string): Promise<void>;
}

/** Mounts a small file system in memory for each daemon. They go with the world, or where it is killed with the next start. */
export async function mountDisks(world: World): Promise<Disks> {
  for (const name of ['exporter', ...NODES.map((node) => node.name)]) {
    const folder = stateFolder(world, name);
    await mkdir(folder, { recursive: true });
    await runCommand('mount', ['-t', 'tmpfs', '-o', `size=${SIZE},mode=0700`, 'egressd-lab', folder]);
  }
  const filler = (name: string) => join(stateFolder(world, name), FILLER);
  return {
    async fill(name) {
      const { bavail, bsize } = await statfs(stateFolder(world, name));
      const left = bavail * bsize;
      await writeFile(filler(name), Buffer.alloc(left)).catch(outOfSpace);
      // Its owner may have freed or taken some meanwhile.
      await writeFile(filler(name), PIECE, { flag: 'a' }).catch(outOfSpace);
    },
    free: (name) => rm(filler(name), { force: true }),
  };
}

function outOfSpace(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOSPC') throw error;
}
