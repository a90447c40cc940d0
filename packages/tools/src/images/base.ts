import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@egressd/world/network/commands';
import { buildah, isolated, runOne, STORAGE } from './storage.ts';

/** What the Dockerfiles build in where they are given no other: Debian 12, made here from its archive, so that no registry is needed. */
export const LOCAL_BASE = 'localhost/debian:bookworm-slim';
const SUITE = 'bookworm';

/**
 * Where images get their libraries: with what was mended since the release, from where debootstrap got the rest.
 * @param sources apt's list as debootstrap wrote it: `deb http://MIRROR/debian bookworm main`
 */
export function mendedSources(sources: string): string {
  const [, archive] = /^deb (\S+?)\/?\s/m.exec(sources) ?? [];
  if (archive === undefined) throw new Error(`debootstrap wrote no archive into sources.list: ${sources}`);
  const security = archive.replace(/\/debian$/, '/debian-security');
  return `deb ${archive} ${SUITE}-updates main\ndeb ${security} ${SUITE}-security main\n`;
}

/** Makes the base image, once. */
export async function ensureBase(say: (line: string) => void): Promise<void> {
  const images = await runOne(buildah('images', '--format', '{{.Name}}:{{.Tag}}'));
  if (images.split('\n').includes(LOCAL_BASE)) return;
  say(`making ${LOCAL_BASE} from Debian's archive`);
  const folder = await mkdtemp(join(STORAGE, 'base-'));
  try {
    // Its own mounts, as buildah's: it mounts /proc into the new root.
    await runOne(isolated('debootstrap', '--variant=minbase', SUITE, folder));
    const sources = join(folder, 'etc/apt/sources.list');
    await appendFile(sources, mendedSources(await readFile(sources, 'utf8')));
    await runCommand('find', [join(folder, 'var/cache/apt/archives'), '-name', '*.deb', '-delete']);
    const container = (await runOne(buildah('from', 'scratch'))).trim();
    await runOne(buildah('add', '--quiet', container, folder, '/'));
    await runOne(buildah('commit', '--quiet', '--rm', container, LOCAL_BASE));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
