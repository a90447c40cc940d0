/**
 * Builds the images of both daemons from the checkout, and says what is in them.
 *
 *   npm run images                        in a Debian made here from its archive: needs no registry of images
 *   npm run images -- --base NAME         in another one
 */
import { parseArgs } from 'node:util';
import { type Column, textTable } from '../demo/text-table.ts';
import { buildImages, DAEMONS, imageName } from './build.ts';
import { type Content, contentsOf, filesOf } from './contents.ts';
import { STORAGE } from './storage.ts';

const USAGE = `npm run images [-- --base IMAGE]   both images, built in IMAGE, or in a Debian 12 made here`;
const EXIT_USAGE = 2;

const COLUMNS: readonly Column[] = [
  { title: 'IMAGE', align: 'left' },
  { title: 'WHAT', align: 'left' },
  { title: 'MB', align: 'right' },
  { title: 'FILES', align: 'right' },
];

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function rowsOf(image: string, contents: readonly Content[]): string[][] {
  const rows = contents.map(({ what, bytes, files }) => ['', what, megabytes(bytes), `${files}`]);
  const sum = (of: 'bytes' | 'files') => contents.reduce((total, content) => total + content[of], 0);
  return [[image, 'all', megabytes(sum('bytes')), `${sum('files')}`], ...rows];
}

async function main(base: string | undefined): Promise<void> {
  await buildImages({ base, say });
  const rows: string[][] = [];
  for (const image of DAEMONS.map(imageName)) rows.push(...rowsOf(image, contentsOf(await filesOf(image))));
  for (const line of textTable(COLUMNS, rows)) process.stdout.write(`${line}\n`);
  say(`they are in ${STORAGE}/storage: \`podman --root ${STORAGE}/storage push NAME ...\` takes them from there`);
}

function readBase(): string | undefined {
  try {
    return parseArgs({ options: { base: { type: 'string' } } }).values.base;
  } catch (error) {
    say(`images: ${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return process.exit(EXIT_USAGE);
  }
}

await main(readBase());
