import { podman, runOne } from './storage.ts';

/** One kind of thing in an image. */
export interface Content {
  readonly what: string;
  readonly bytes: number;
  readonly files: number;
}

/** By the beginning of a path, the first that fits. */
const KINDS: readonly (readonly [what: string, path: RegExp])[] = [
  ['Node.js', /^usr\/local\/bin\/node$/],
  ['libraries of Debian', /\.so(\.[^/]*)?$|^usr\/lib\/|^lib/],
  ['the daemon', /^app\/(bpf\/|dist\/|node_modules\/@egressd\/|package\.json$)/],
  ['packages of npm', /^app\/node_modules\//],
  ['licences, bill of materials', /^usr\/share\/|^var\/lib\/dpkg\//],
  ['the rest', /./],
];

/** Runs in the image, with its own Node.js: [path, bytes] of every file that is the image's own. */
const LIST = `
const { readdirSync, lstatSync } = require('node:fs');
const files = [];
for (const top of readdirSync('/').filter((name) => !['dev', 'proc', 'sys', 'run'].includes(name)))
  for (const entry of readdirSync('/' + top, { recursive: true, withFileTypes: true }))
    if (!entry.isDirectory()) files.push([(entry.parentPath + '/' + entry.name).slice(1), lstatSync(entry.parentPath + '/' + entry.name).size]);
console.log(JSON.stringify(files));
`;

/** Every file of an image, by path from the root. */
export async function filesOf(image: string): Promise<Map<string, number>> {
  const run = podman(
    ...['run', '--rm', '--network', 'none', '--cap-drop', 'all', '--read-only'],
    ...['--entrypoint', '/usr/local/bin/node', image, '-e', LIST],
  );
  return new Map(JSON.parse(await runOne(run)) as [string, number][]);
}

/** What is in an image, by kind. */
export function contentsOf(files: ReadonlyMap<string, number>): Content[] {
  const sums = new Map(KINDS.map(([what]) => [what, { bytes: 0, files: 0 }]));
  for (const [path, bytes] of files) {
    const sum = sums.get(KINDS.find(([, pattern]) => pattern.test(path))![0])!;
    sum.bytes += bytes;
    sum.files++;
  }
  return [...sums].map(([what, sum]) => ({ what, ...sum }));
}
