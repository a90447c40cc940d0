// What comes from npm: pnpm fills the workspace, exactly as the lock file says, and only when something has changed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError, say } from './say.mjs';

const PNPM = 'pnpm@12.21.0';

/** The repository. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');
/** What set-up, lab and tests leave behind: ignored by git, may be deleted at any time. */
export const LAB = join(ROOT, '.lab');
const BIN = join(ROOT, 'node_modules/.bin');
/** The Node.js that everything runs with: the npm package `node`. */
export const NODE = join(BIN, 'node');
const STAMP = join(LAB, 'installed');

/** Settings of npm that the user made, and that fetching packages needs. */
const USERS_OWN =
  /^npm_config_(registry|proxy|https_proxy|noproxy|ca|cafile|strict_ssl|userconfig|offline|@.*|\/\/.*)$/i;

/** The environment without what `npm run` adds for itself: it would confuse another npm below. */
export function childEnvironment() {
  const kept = Object.entries(process.env).filter(([key]) => !/^npm_/i.test(key) || USERS_OWN.test(key));
  // Node keeps what it compiled, types erased: a daemon starts sooner and smaller, as one from an image would.
  const NODE_COMPILE_CACHE = join(ROOT, '.lab/compile-cache');
  return { NODE_COMPILE_CACHE, ...Object.fromEntries(kept), PATH: [BIN, ...systemPath()].join(delimiter) };
}

/** PATH without our own folder: pnpm must not run with the Node.js that it is about to replace. */
function systemPath() {
  return (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.endsWith('node_modules/.bin'));
}

/** Says what the installed packages depend on. */
function fingerprint() {
  const hash = createHash('sha256').update(`${PNPM} ${process.platform} ${process.arch}\n`);
  const members = readdirSync(join(ROOT, 'packages')).map((name) => `packages/${name}/package.json`);
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', ...members.sort()]) {
    const path = join(ROOT, file);
    if (existsSync(path)) hash.update(`${file}\n`).update(readFileSync(path));
  }
  return hash.digest('hex');
}

function stamp() {
  return existsSync(STAMP) ? readFileSync(STAMP, 'utf8') : undefined;
}

/** Installs the workspace's packages, unless they are what they should be. */
export function ensureWorkspace() {
  const wanted = fingerprint();
  if (stamp() === wanted && existsSync(NODE)) return;
  say('installing packages from npm');
  mkdirSync(LAB, { recursive: true });
  rmSync(STAMP, { force: true });
  const env = { ...childEnvironment(), PATH: systemPath().join(delimiter), CI: 'true' };
  const options = { cwd: ROOT, env, stdio: ['ignore', 2, 2] };
  const { status, error } = spawnSync('npx', ['-y', PNPM, 'install', '--frozen-lockfile'], options);
  if (status !== 0)
    throw new SetupError(`installing packages failed: ${error?.message ?? `npx ${PNPM} ended with ${status}`}`);
  writeFileSync(STAMP, wanted);
}
