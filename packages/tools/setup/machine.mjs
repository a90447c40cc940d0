// What a virtual machine with a kernel of Debian needs: the kernel and programs, unpacked and not installed.
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { aptGet, command } from './debian.mjs';
import { SetupError, say } from './say.mjs';
import { LAB } from './workspace.mjs';

const FOLDER = join(LAB, 'worlds');
/** What the guest runs beside the machine's own programs. Their services must not start here. */
const PROGRAMS = ['openvswitch-switch', 'ipvsadm'];
/** Debian 12's own. */
const KERNELS = ['6.1'];

/** Unpacks what one kernel and the guest's programs need into `.lab/worlds`. */
export function ensureMachine(kernel) {
  if (!KERNELS.includes(kernel)) throw new SetupError(`no kernel ${kernel}: one of ${KERNELS.join(', ')}`, 2);
  once(join(FOLDER, 'packages'), (folder) => fetchPrograms(folder));
  once(join(FOLDER, `linux-${kernel}`), (folder) => fetchKernel(folder, kernel));
}

/** Fills a folder that is not there, whole or not at all. */
function once(folder, fill) {
  if (existsSync(folder)) return;
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  fill(unfinished);
  renameSync(unfinished, folder);
}

/** The programs and what they depend on, as far as it is not installed. */
function fetchPrograms(folder) {
  say(`fetching ${PROGRAMS.join(', ')} and busybox-static from Debian (unpacked, not installed)`);
  const archives = join(FOLDER, 'download');
  mkdirSync(join(archives, 'partial'), { recursive: true });
  const options = ['--no-install-recommends', '--download-only', '-o', `Dir::Cache::archives=${archives}`];
  aptGet('fetching', ['install', '-y', ...options, ...PROGRAMS]);
  aptGet('fetching', ['download', 'busybox-static'], { cwd: archives });
  unpackAll(archives, folder);
  mergeIntoUsr(folder);
}

function fetchKernel(folder, kernel) {
  const depends = command('apt-cache', ['depends', 'linux-image-amd64']).stdout ?? '';
  const name = new RegExp(`linux-image-${kernel.replace('.', '\\.')}\\.\\S+`).exec(depends)?.[0];
  if (name === undefined) throw new SetupError(`Debian has no linux-image-amd64 of ${kernel} here: apt-get update?`);
  say(`fetching ${name} from Debian (unpacked, not installed)`);
  const archives = join(FOLDER, 'download');
  mkdirSync(archives, { recursive: true });
  aptGet('fetching', ['download', name], { cwd: archives });
  unpackAll(archives, folder);
  const version = readdirSync(join(folder, 'lib/modules'))[0];
  const made = command('depmod', ['-b', folder, version]);
  if (made.status !== 0) throw new SetupError(`depmod failed: ${made.stderr}`);
}

function unpackAll(archives, folder) {
  for (const file of readdirSync(archives).filter((name) => name.endsWith('.deb'))) {
    const { status, stderr } = command('dpkg', ['-x', join(archives, file), folder]);
    if (status !== 0) throw new SetupError(`unpacking ${file} failed: ${stderr}`);
  }
  rmSync(archives, { recursive: true });
}

/** Laid over a system whose /bin, /sbin and /lib are links into /usr, folders of these names would hide them. */
function mergeIntoUsr(folder) {
  for (const name of ['bin', 'sbin', 'lib']) {
    if (!existsSync(join(folder, name))) continue;
    cpSync(join(folder, name), join(folder, 'usr', name), { recursive: true, verbatimSymlinks: true });
    rmSync(join(folder, name), { recursive: true });
  }
}
