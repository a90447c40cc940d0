import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '@egressd/world/network/commands';
import { ensureBase, LOCAL_BASE } from './base.ts';
import { buildah, ROOT, runOne, STORAGE } from './storage.ts';

/** The daemons that there are images of. */
export const DAEMONS = ['collector', 'exporter'] as const;
/** One of `DAEMONS`. */
export type Daemon = (typeof DAEMONS)[number];

interface BuildOptions {
  /** What to build in; undefined: a Debian made here. */
  readonly base?: string | undefined;
  /** Takes a line for the user. */
  readonly say: (line: string) => void;
}

/** What an image of a checkout is called. */
export function imageName(daemon: Daemon): string {
  return `localhost/egressd-${daemon}:${version()}`;
}

function version(): string {
  return (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;
}

/** Builds both images from the checkout as it is. What did not change since the last time is taken from then. @throws CommandFailed */
export async function buildImages({ base, say }: BuildOptions): Promise<void> {
  await mkdir(STORAGE, { recursive: true });
  if (base === undefined) await ensureBase(say);
  const commit = (await runCommand('git', ['-C', ROOT, 'rev-parse', 'HEAD']).catch(() => 'unknown')).trim();
  for (const daemon of DAEMONS) {
    const image = imageName(daemon);
    say(`building ${image}`);
    const values = [`BASE=${base ?? LOCAL_BASE}`, `VERSION=${version()}`, `COMMIT=${commit}`];
    await runOne(
      buildah(
        ...['bud', '--layers', '--isolation', 'chroot', '--network', 'host', ...secrets()],
        ...values.flatMap((value) => ['--build-arg', value]),
        ...['--file', join(ROOT, `Dockerfile.${daemon}`), '--tag', image, ROOT],
      ),
    );
  }
}

/** How this machine reaches npm, for the build only: nothing of it gets into a layer. */
function secrets(): string[] {
  const { npm_config_userconfig, npm_config_cafile, NODE_EXTRA_CA_CERTS, SSL_CERT_FILE } = process.env;
  const npmrc = [npm_config_userconfig, join(homedir(), '.npmrc')].find(isThere);
  const ca = [npm_config_cafile, NODE_EXTRA_CA_CERTS, SSL_CERT_FILE, '/etc/ssl/certs/ca-certificates.crt'].find(
    isThere,
  );
  const secret = (id: string, file: string | undefined) =>
    file === undefined ? [] : ['--secret', `id=${id},src=${file}`];
  return [...secret('npmrc', npmrc), ...secret('ca', ca)];
}

function isThere(file: string | undefined): file is string {
  return file !== undefined && file !== '' && existsSync(file);
}
