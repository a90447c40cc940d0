import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

/** The release, as every package.json says: `0.1.0`. */
export const VERSION = manifest.version;

/** The commit that an image was built from; `unknown` in a checkout. */
export const COMMIT = process.env.EGRESSD_COMMIT || 'unknown';

/** What `-version` prints. */
export function versionLine(program: string): string {
  return `${program} ${VERSION} (commit ${COMMIT}, Node.js ${process.version})`;
}
