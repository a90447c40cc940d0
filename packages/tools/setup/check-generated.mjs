// Whether the committed code is what the contract generates: `buf generate` into a temporary folder, compared file by file.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** As `out` in buf.gen.yaml. */
const GENERATED = 'packages/flow/src/gen';

/** Path -> text of all files below. */
function tree(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name));
  return new Map(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, 'utf8')]));
}

const folder = mkdtempSync(join(tmpdir(), 'egressd-generated-'));
try {
  const { status } = spawnSync('buf', ['generate', '--output', folder], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
  const fresh = tree(join(folder, GENERATED));
  const committed = tree(GENERATED);
  const names = [...new Set([...fresh.keys(), ...committed.keys()])];
  const wrong = names.filter((name) => fresh.get(name) !== committed.get(name));
  for (const name of wrong)
    console.error(`${GENERATED}/${name} is not what proto/ generates: run \`npx buf generate\``);
  process.exitCode = wrong.length > 0 ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
