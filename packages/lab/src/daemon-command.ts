import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const PACKAGES = join(import.meta.dirname, '../..');

/** How the programs of this workspace are started. */
export const NODE: readonly string[] = [
  process.execPath,
  '--conditions=source',
  '--disable-warning=ExperimentalWarning',
];

/** How a daemon of this workspace is started: with the flags for V8 that its package asks for. */
export function daemonCommand(name: 'collector' | 'exporter'): string[] {
  return programCommand(name, 'main');
}

/** The same for another program of its package, by the name of the file that starts it. */
export function programCommand(name: 'collector' | 'exporter', program: string): string[] {
  const folder = join(PACKAGES, name);
  const { nodeFlags } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { nodeFlags: string[] };
  return [...NODE, ...nodeFlags, join(folder, `src/${program}.ts`)];
}
