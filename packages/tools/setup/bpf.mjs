// Our BPF programs: `packages/collector/bpf/NAME.bpf.o`, the same bytes from the same source with the same clang.
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { command } from './debian.mjs';
import { SetupError, say } from './say.mjs';
import { ROOT } from './workspace.mjs';

const SOURCE = join(ROOT, 'packages/collector/src/conntrack/ebpf');
const TARGET = join(ROOT, 'packages/collector/bpf');
/** Where Debian keeps `asm/types.h`: of what it says nothing is used that differs. */
const HEADERS = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };
/** `v2`: what Linux 5.8 runs on every processor. What is compiled names no folder of this machine. */
const FLAGS = ['-target', 'bpf', '-mlittle-endian', '-mcpu=v2', '-O2', '-g', '-Wall', '-Wextra', '-Werror'];
const REPRODUCIBLE = [`-ffile-prefix-map=${SOURCE}=.`, '-fdebug-compilation-dir=.'];

function run(name, args) {
  const { status, error, stderr } = command(name, args, { cwd: SOURCE });
  if (status !== 0) throw new SetupError(`${name} failed: ${error?.message ?? stderr}`);
}

/** Compiles all of them. What describes the maps (BTF) stays in the object, what only a debugger needs does not. */
export function buildBpf() {
  mkdirSync(TARGET, { recursive: true });
  const headers = `-I/usr/include/${HEADERS[process.arch] ?? `${process.arch}-linux-gnu`}`;
  for (const [source, object] of pairs()) {
    run('clang', [...FLAGS, headers, ...REPRODUCIBLE, '-c', source, '-o', `${object}.new`]);
    run('llvm-strip', ['--strip-debug', `${object}.new`]);
    renameSync(`${object}.new`, object);
  }
}

function pairs() {
  const sources = readdirSync(SOURCE).filter((file) => file.endsWith('.bpf.c'));
  return sources.map((source) => [source, join(TARGET, source.replace(/c$/, 'o'))]);
}

/** Compiles them where the source is newer. */
export function ensureBpf() {
  const isStale = ([source, object]) =>
    !existsSync(object) || statSync(object).mtimeMs < statSync(join(SOURCE, source)).mtimeMs;
  if (!pairs().some(isStale)) return;
  say('compiling the BPF programs');
  buildBpf();
}
