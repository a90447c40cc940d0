/**
 * Puts the root of an image together. Runs inside the build, with nothing but Node.js and Debian's `dpkg-deb` and `strip`:
 *
 *   node assemble.ts DAEMON DEPLOYED DEBS NODE ROOT
 *
 *   DEPLOYED  what `pnpm deploy` made of the daemon     -> /app
 *   DEBS      a folder of Debian packages               -> their libraries and licences
 *   NODE      the npm package `node`                    -> /usr/local/bin/node, without symbols
 *                                                       -> /usr/share/sbom, /etc/passwd and the like
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { billOfMaterials, type DebianPart, type Part } from './bill.ts';
import { isNeededOfDaemon, isNeededOfDebian } from './needed.ts';

/** Who the exporter runs as; the collector is root. Volumes that are made for it belong to the group (`fsGroup`). */
const USER = 10_001;
/** What is no library in `process.versions`, or is the same as another. */
const NO_LIBRARY = new Set(['node', 'modules', 'napi', 'cldr', 'tz', 'unicode']);

/** Only what a runtime looks for: names of the two users, and that names are looked up in files first. */
const FILES: Readonly<Record<string, string>> = {
  'etc/passwd': `root:x:0:0:root:/:/nonexistent\negressd:x:${USER}:${USER}:egressd:/:/nonexistent\n`,
  'etc/group': `root:x:0:\negressd:x:${USER}:\n`,
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
};
/** Mount points: a runtime mounts over them, also where the root cannot be written. */
const FOLDERS = ['dev', 'etc', 'proc', 'run', 'sys', 'tmp', 'var/lib/egressd'];

interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly license?: unknown;
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}

/** Every file and link below a folder, relative to it. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

/** A file with its mode, or a link as it is: it may lead to what another package brings. */
function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  if (lstatSync(from).isSymbolicLink()) symlinkSync(readlinkSync(from), to);
  else copyFileSync(from, to);
}

function copyNeeded(from: string, to: string, needed: (path: string) => boolean): void {
  for (const path of filesBelow(from)) if (needed(path)) copy(join(from, path), join(to, path));
}

/** The npm packages below a folder: each folder of a `node_modules` that has a name and a version. Ours are the subject's own. */
function npmParts(folder: string): Part[] {
  const manifests = filesBelow(folder).filter((path) =>
    /(^|\/)node_modules\/(@[^/]+\/)?[^/@]+\/package\.json$/.test(path),
  );
  return manifests.flatMap((path) => {
    const { name, version, license } = readManifest(join(folder, dirname(path)));
    if (name === undefined || version === undefined || name.startsWith('@egressd/')) return [];
    return [{ name, version, licence: typeof license === 'string' ? license : undefined }];
  });
}

/** Unpacks the libraries of Debian packages, and notes each where scanners of images without a package manager look for it. */
function addDebian(debs: string, root: string): DebianPart[] {
  return readdirSync(debs).map((file) => {
    const deb = join(debs, file);
    const unpacked = mkdtempSync(join(tmpdir(), 'deb-'));
    execFileSync('dpkg-deb', ['-x', deb, unpacked]);
    copyNeeded(unpacked, root, isNeededOfDebian);
    rmSync(unpacked, { recursive: true });
    const control = execFileSync('dpkg-deb', ['-f', deb], { encoding: 'utf8' });
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(control)?.[1] ?? '';
    write(root, `var/lib/dpkg/status.d/${field('Package')}`, `${control.trim()}\n`);
    return { name: field('Package'), version: field('Version'), architecture: field('Architecture') };
  });
}

function write(root: string, path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

/** Without its symbols Node.js is a seventh smaller. It keeps those that add-ons link against. @param folder the npm package `node` */
function addNode(folder: string, root: string): Part {
  const binary = join(root, 'usr/local/bin/node');
  const official = join(folder, `node_modules/node-${process.platform}-${process.arch}`);
  copy(join(official, 'bin/node'), binary);
  execFileSync('strip', ['--strip-all', binary]);
  copy(join(official, 'LICENSE'), join(root, 'usr/share/doc/node/LICENSE'));
  return { name: 'node', version: process.versions.node, licence: 'MIT' };
}

function addFolders(root: string, daemon: string): void {
  for (const [path, text] of Object.entries(FILES)) write(root, path, text);
  for (const path of FOLDERS) mkdirSync(join(root, path), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  if (daemon === 'exporter') chownSync(join(root, 'var/lib/egressd'), USER, USER);
  copy('/usr/lib/os-release', join(root, 'usr/lib/os-release'));
  copy('/usr/lib/os-release', join(root, 'etc/os-release'));
}

function assemble(daemon: string, deployed: string, debs: string, node: string, root: string): void {
  copyNeeded(deployed, join(root, 'app'), (path) =>
    isNeededOfDaemon(path, { os: process.platform, arch: process.arch }),
  );
  const debian = addDebian(debs, root);
  const nodePart = addNode(node, root);
  addFolders(root, daemon);
  copy('LICENSE', join(root, 'usr/share/doc/egressd/LICENSE'));
  const name = `egressd-${daemon}`;
  const { version = '' } = readManifest(deployed);
  const insideNode = Object.entries(process.versions).flatMap(([library, of]) =>
    of === undefined || NO_LIBRARY.has(library) ? [] : [{ name: library, version: of }],
  );
  const bill = billOfMaterials({
    subject: { name, version, licence: 'Apache-2.0' },
    npm: npmParts(join(root, 'app')),
    debian,
    debianRelease: /^VERSION_ID="(.*)"$/m.exec(readFileSync('/usr/lib/os-release', 'utf8'))?.[1] ?? '',
    node: nodePart,
    insideNode,
  });
  write(root, `usr/share/sbom/${name}.cdx.json`, bill);
}

const [daemon, deployed, debs, node, root] = process.argv.slice(2);
if (daemon === undefined || deployed === undefined || debs === undefined || node === undefined || root === undefined)
  throw new Error('usage: assemble.ts DAEMON DEPLOYED DEBS NODE ROOT');
assemble(daemon, deployed, debs, node, root);
