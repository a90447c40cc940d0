// Compiles what goes into images: `packages/NAME/dist`, from four packages at once, so that types are checked across them.
import { spawnSync } from 'node:child_process';
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
/** Where `tsconfig.build.json` has the compiler write: the tree of `packages`. */
const BUILT = join(ROOT, '.lab/build');

/** No file of tests goes into an image: src/dist.test.ts shows more, that every file is one that a program loads. */
const TEST_CODE = /[./]test(ing)?\.js$|\/testing\//;

rmSync(BUILT, { recursive: true, force: true });
const { status, error } = spawnSync('tsc', ['-p', 'packages/tsconfig.build.json'], { cwd: ROOT, stdio: 'inherit' });
if (error !== undefined) throw error;
if (status === 0) {
  const testCode = readdirSync(BUILT, { recursive: true }).filter((path) => TEST_CODE.test(`/${path}`));
  if (testCode.length > 0) throw new Error(`test code among what was built: ${testCode.join(', ')}`);
  for (const name of readdirSync(BUILT)) {
    const dist = join(ROOT, 'packages', name, 'dist');
    rmSync(dist, { recursive: true, force: true });
    renameSync(join(BUILT, name, 'src'), dist);
  }
}
process.exitCode = status ?? 1;
