import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const PACKAGES = join(import.meta.dirname, '../../..');

/** How the programs of this workspace are started. */
export const NODE: readonly string[] = [
  process.execPath,
  '--conditions=source',
  '--disable-warning=ExperimentalWarning',
];

/** What a daemon's package says of how Node.js is started for it. */
interface DaemonPackage {
  readonly nodeFlags: readonly string[];
  readonly nodeEnvironment: Readonly<Record<string, string>>;
}

/** How a daemon of this workspace is started: with the flags and the environment that its package asks for. */
export function daemonCommand(name: 'collector' | 'exporter'): string[] {
  return programCommand(name, 'main');
}

/** The same for another program of its package, by the name of the file that starts it. */
export function programCommand(name: 'collector' | 'exporter', program: string): string[] {
  const folder = join(PACKAGES, name);
  const { nodeFlags, nodeEnvironment } = JSON.parse(
    readFileSync(join(folder, 'package.json'), 'utf8'),
  ) as DaemonPackage;
  const settings = Object.entries(nodeEnvironment).map((setting) => setting.join('='));
  return ['env', ...settings, ...NODE, ...nodeFlags, join(folder, `src/${program}.ts`)];
}
