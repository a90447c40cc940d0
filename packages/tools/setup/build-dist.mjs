// Compiles what goes into images: `packages/NAME/dist`, from all four packages at once, so that types are checked across them.
import { spawnSync } from 'node:child_process';
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
/** Where `tsconfig.build.json` has the compiler write: the tree of `packages`. */
const BUILT = join(ROOT, '.lab/build');

rmSync(BUILT, { recursive: true, force: true });
const { status, error } = spawnSync('tsc', ['-p', 'packages/tsconfig.build.json'], { cwd: ROOT, stdio: 'inherit' });
if (error !== undefined) throw error;
if (status === 0)
  for (const name of readdirSync(BUILT)) {
    const dist = join(ROOT, 'packages', name, 'dist');
    rmSync(dist, { recursive: true, force: true });
    renameSync(join(BUILT, name, 'src'), dist);
  }
process.exitCode = status ?? 1;
