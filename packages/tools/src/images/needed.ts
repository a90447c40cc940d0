/**
 * What of npm packages and Debian packages goes into an image: what a daemon may load while it runs, and every licence. The rest is
 * for people who develop with a package (types, sources, maps, documents), or for other machines.
 */

/** Node.js' own words for what the image is made for: `process.platform` and `process.arch`. */
interface Platform {
  readonly os: string;
  readonly arch: string;
}

/** Their texts have to go with what they license. */
const LICENCE = /(^|\/)(licen[cs]e|notice|copying|copyright|third-?party)[^/]*$/i;
/** Types, sources that are compiled somewhere else, what maps the one to the other, prose, and binaries of another runtime (Bare). */
const FOR_DEVELOPERS =
  /\.([cm]?ts|map|md|markdown|flow|c|cc|cpp|h|hpp|gypi?|bare)$|(^|\/)(\.[^/]+|tsconfig[^/]*\.json)$/i;
/** Packages that hold types only, and what npm and pnpm write for themselves. */
const PACKAGES_FOR_DEVELOPERS = /(^|\/)node_modules\/(\.[^/]+|@types\/[^/]+|undici-types)(\/|$)/;
/** At the root of a package: what tests it and explains it. */
const FOLDERS_FOR_DEVELOPERS =
  /(^|\/)node_modules\/(@[^/]+\/)?[^/@]+\/(tests?|__tests__|benchmarks?|examples?|docs?)\//;
/** `prebuilds/linux-x64/NAME.node`, as node-gyp-build looks for them. */
const PREBUILT = /(^|\/)prebuilds\/([^/]+)\//;
/** A deployed folder has them at its root; nothing reads them there. */
const LOCK_FILE = /^pnpm-(lock|workspace)\.yaml$/;

/** Whether a file of a deployed daemon is needed. @param path relative to the daemon's folder */
export function isNeededOfDaemon(path: string, { os, arch }: Platform): boolean {
  if (PACKAGES_FOR_DEVELOPERS.test(path) || LOCK_FILE.test(path)) return false;
  if (FOLDERS_FOR_DEVELOPERS.test(path)) return LICENCE.test(path);
  const [, , target] = PREBUILT.exec(path) ?? [];
  if (target !== undefined && target !== `${os}-${arch}`) return false;
  return LICENCE.test(path) || !FOR_DEVELOPERS.test(path);
}

/** Libraries, and where the linker looks for them. Not: tables of character sets that Node.js never asks for, and what audits linking. */
const DEBIAN_LIBRARY = /^(usr\/)?lib(64)?\/(?!.*\/(gconv|audit|perl5)\/).*\.so(\.[^/]*)?$/;
const DEBIAN_LICENCE = /^usr\/share\/doc\/[^/]+(\/copyright)?$/;

/** Whether a file or link of a Debian package is needed. @param path relative to the root */
export function isNeededOfDebian(path: string): boolean {
  return DEBIAN_LIBRARY.test(path) || DEBIAN_LICENCE.test(path);
}
