import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

/** What `npm run build` compiles for images is what their programs load: no test code, and nothing that only tests use. */
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PACKAGES = join(ROOT, 'packages');

/** The programs that images run: `/app/dist/NAME.js` in a Dockerfile or in the chart. */
const PROGRAMS = {
  'Dockerfile.collector': 'collector',
  'Dockerfile.exporter': 'exporter',
  'deploy/chart/egressd/templates/certificates/_pod.tpl': 'exporter',
  'deploy/chart/egressd/templates/tests/check-install.yaml': 'exporter',
};

function programs(): string[] {
  return Object.entries(PROGRAMS).map(([file, name]) => {
    const [, program] = /"\/app\/dist\/([\w-]+)\.js"/.exec(readFileSync(join(ROOT, file), 'utf8')) ?? [];
    return join(PACKAGES, name, 'src', `${program}.ts`);
  });
}

/** Source files that a file loads: imports, and programs and threads that it starts. */
function loadedBy(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const imports = text.matchAll(/^(?:import|export)\s[^'";]*?from '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm);
  const started = text.matchAll(/new URL\(`(\.\/[\w-]+)\$\{extname/g);
  const named = [...imports].map(([, one, other, third]) => one ?? other ?? third!);
  return [...named, ...[...started].map(([, path]) => `${path}.ts`)].flatMap((name) => {
    if (name.startsWith('.')) return resolve(dirname(file), name);
    const [, of, path] = /^@egressd\/(\w+)\/(.+)$/.exec(name) ?? [];
    return of === undefined ? [] : join(PACKAGES, of, 'src', `${path}.ts`);
  });
}

function reachable(from: readonly string[]): Set<string> {
  const found = new Set(from);
  for (const file of found) for (const next of loadedBy(file)) found.add(next);
  return found;
}

test('every file that is compiled is one that a program of the images loads', () => {
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  const listed = execFileSync(tsc, ['-p', 'packages/tsconfig.build.json', '--listFilesOnly'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const compiled = listed
    .split('\n')
    .filter((file) => file.startsWith(`${PACKAGES}/`) && !file.includes('/node_modules/'));
  const loaded = reachable(programs());
  expect([...loaded].filter((file) => !existsSync(file))).toEqual([]);
  expect(compiled.length).toBeGreaterThan(100);
  expect(compiled.filter((file) => !loaded.has(file)).map((file) => relative(PACKAGES, file))).toEqual([]);
  expect([...loaded].filter((file) => !compiled.includes(file)).map((file) => relative(PACKAGES, file))).toEqual([]);
});
