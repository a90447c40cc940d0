import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type ArchiveFile, initramfs } from './initramfs.ts';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url)).replace(/\/$/, '');
/** What `setup/machine.mjs` has unpacked. */
const UNPACKED = join(ROOT, '.lab/worlds');
/** What the guest needs before it has its root file system. */
const FIRST_MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'overlay'];
const MEMORY_MIB = 1536;

/** What a virtual machine is started with. */
export interface MachineOptions {
  /** Version of its kernel, as `setup/machine.mjs` knows it. */
  readonly kernel: string;
  /** `tcg` works everywhere; `kvm` is faster, where the machine has it. */
  readonly accelerator: string;
  /** A folder that the guest can write to, as /run/worlds. */
  readonly results: string;
  /** What it runs, as root, and then ends: a script for `sh`. */
  readonly script: string;
  /** Takes each line that it prints. */
  readonly onLine: (line: string) => void;
}

/** Boots a kernel of Debian over this machine's own file system, which it cannot change. @returns its process */
export function startMachine({ kernel, accelerator, results, script, onLine }: MachineOptions): ChildProcess {
  const folder = join(UNPACKED, `linux-${kernel}`);
  const [version = ''] = readdirSync(join(folder, 'lib/modules'));
  writeFileSync(join(results, 'run.sh'), script);
  // Compiled code is of no use to another kind of processor: the guest has its own.
  const cache = join(UNPACKED, 'compile-cache');
  mkdirSync(cache, { recursive: true });
  const initrd = join(results, 'initrd.img');
  writeFileSync(initrd, initramfs(firstFiles(folder, version)));
  const shares: [tag: string, path: string, readonly: 'on' | 'off'][] = [
    ['host', '/', 'on'],
    ['packages', join(UNPACKED, 'packages'), 'on'],
    ['modules', join(folder, 'lib/modules', version), 'on'],
    ['results', results, 'off'],
    ['cache', cache, 'off'],
  ];
  const child = spawn(
    'nice',
    [
      ...['-n', '15', 'qemu-system-x86_64', '-nodefaults', '-no-user-config', '-no-reboot'],
      ...['-display', 'none', '-serial', 'stdio', '-m', `${MEMORY_MIB}`, '-smp', '2', '-cpu', 'max'],
      ...['-accel', accelerator === 'tcg' ? 'tcg,thread=multi' : accelerator],
      ...shares.flatMap(([tag, path, readonly]) => ['-virtfs', share(tag, path, readonly)]),
      ...['-kernel', join(folder, 'boot', `vmlinuz-${version}`), '-initrd', initrd],
      ...['-append', 'console=ttyS0 loglevel=4 panic=-1 random.trust_cpu=on'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], detached: true },
  );
  createInterface({ input: child.stdout! }).on('line', onLine);
  return child;
}

/** A folder of this machine, by the 9p protocol: files of several file systems keep apart what they are. */
function share(tag: string, path: string, readonly: 'on' | 'off'): string {
  const escaped = path.replaceAll(',', ',,');
  return `local,path=${escaped},mount_tag=${tag},security_model=none,readonly=${readonly},multidevs=remap`;
}

function firstFiles(folder: string, version: string): ArchiveFile[] {
  const modules = FIRST_MODULES.flatMap((module) => modulesOf(folder, version, module));
  const unique = [...new Set(modules)];
  const names = unique.map((path) => basename(path).replace(/\.xz$/, ''));
  return [
    { path: 'init', data: readFileSync(new URL('./init.sh', import.meta.url)) },
    { path: 'bin/busybox', data: readFileSync(join(UNPACKED, 'packages/usr/bin/busybox')) },
    ...unique.map((path, i) => ({ path: `modules/${names[i]}`, data: readModule(path) })),
    { path: 'modules/order', data: Buffer.from(`${names.join('\n')}\n`) },
  ];
}

/** Files of a module and of those that it needs, in the order in which they are loaded. */
function modulesOf(folder: string, version: string, module: string): string[] {
  const text = execFileSync('modprobe', ['-d', folder, '-S', version, '--show-depends', module], { encoding: 'utf8' });
  return [...text.matchAll(/^insmod (\S+)/gm)].map(([, path]) => path!);
}

function readModule(path: string): Buffer {
  return path.endsWith('.xz') ? execFileSync('xz', ['-dc', path], { maxBuffer: 2 ** 26 }) : readFileSync(path);
}
