// What comes from Debian: installed packages, and binaries taken out of packages that must not be installed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError, say } from './say.mjs';
import { LAB } from './workspace.mjs';

/** Where the binaries go: `.lab/debian/usr/bin/NAME`. */
const DEBIAN = join(LAB, 'debian');
/** Another apt may be at work, as on a machine that was just started. */
const APT = ['-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=3', '-o', 'APT::Sandbox::User=root'];

/** Runs a command of the system to its end, in plain English. */
export function command(name, args, options = {}) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  return spawnSync(name, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env, ...options });
}

/** Runs apt-get, and where that fails once more with fresh package lists. */
export function aptGet(what, args, options) {
  if (command('apt-get', [...APT, ...args], options).status === 0) return;
  say('refreshing the package lists (apt-get update)');
  const update = command('apt-get', [...APT, 'update']);
  const again = command('apt-get', [...APT, ...args], options);
  if (again.status === 0) return;
  const reason = (again.error?.message ?? `${update.stderr}${again.stderr}`).trim().split('\n').slice(-8).join('\n  ');
  throw new SetupError(`${what} failed (apt-get ${args.join(' ')}):\n  ${reason}`);
}

/** The packages among `names` that are not installed; undefined where there is no dpkg to ask. */
function missing(names) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the format is dpkg-query's own.
  const answer = command('dpkg-query', ['-W', '-f', '${db:Status-Status} ${Package}\n', ...names]);
  if (answer.error !== undefined) return undefined;
  const installed = new Set(answer.stdout.split('\n').flatMap((line) => line.match(/^installed (.+)$/)?.[1] ?? []));
  return names.filter((name) => !installed.has(name));
}

/**
 * Installs the packages that are not there.
 * @param optional the verb can say better than we what it misses: without root, go on
 */
export function ensurePackages(names, { optional }) {
  if (names.length === 0) return;
  const absent = missing(names);
  if (absent === undefined)
    return say(`not a Debian: make sure that you have what these packages hold: ${names.join(' ')}`);
  if (absent.length === 0) return;
  const line = `apt-get install --no-install-recommends ${absent.join(' ')}`;
  if (process.getuid() !== 0) {
    if (optional) return say(`missing Debian packages: run \`${line}\` as root`);
    throw new SetupError(`missing Debian packages: run \`${line}\` as root, or run this as root`);
  }
  say(`installing from Debian: ${absent.join(' ')}`);
  aptGet('installing', ['install', '-y', '--no-install-recommends', ...absent]);
}

/**
 * Unpacks packages whose services must not start here (they would take ports 9090 and 8428) into `.lab/debian`.
 * @param names packages that hold `/usr/bin/NAME`
 */
export function ensureBinaries(names) {
  for (const name of names) {
    if (existsSync(join(DEBIAN, 'usr/bin', name))) continue;
    say(`fetching ${name} from Debian (unpacked, not installed)`);
    mkdirSync(DEBIAN, { recursive: true });
    const folder = mkdtempSync(join(LAB, 'download-'));
    try {
      aptGet('fetching', ['download', name], { cwd: folder });
      const file = readdirSync(folder).find((entry) => entry.endsWith('.deb'));
      if (file === undefined) throw new SetupError(`apt-get download ${name} brought no package`);
      const unpacked = command('dpkg', ['-x', join(folder, file), DEBIAN]);
      if (unpacked.status !== 0) throw new SetupError(`unpacking ${file} failed: ${unpacked.stderr}`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
