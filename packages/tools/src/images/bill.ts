/**
 * The bill of materials of an image, as CycloneDX 1.6 JSON (https://cyclonedx.org/docs/1.6/json/): one component for each npm
 * package, each Debian package, Node.js, and each library that is built into Node.js. Package URLs: https://github.com/package-url/purl-spec.
 */

/** Something with a version. */
export interface Part {
  readonly name: string;
  readonly version: string;
  /** As its author says it: an SPDX expression where it is one. */
  readonly licence?: string | undefined;
}

/** A Debian package of an image. */
export interface DebianPart extends Part {
  /** Debian's word: `amd64`, `arm64`, `all`. */
  readonly architecture: string;
}

/** What an image is made of. */
export interface Materials {
  /** The daemon: `egressd-collector`. */
  readonly subject: Part;
  readonly npm: readonly Part[];
  readonly debian: readonly DebianPart[];
  /** Debian's release: `12`. */
  readonly debianRelease: string;
  readonly node: Part;
  /** `process.versions` without those that are not libraries. */
  readonly insideNode: readonly Part[];
}

const FORMAT = { bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 };

/** The bill as a file, the same bytes for the same materials: no time, no random number. */
export function billOfMaterials(materials: Materials): string {
  const { subject, npm, debian, debianRelease, node, insideNode } = materials;
  const components = [
    component('platform', node, `pkg:generic/node@${node.version}`, insideNode.map(insideComponent)),
    ...sorted(debian).map((part) => component('library', part, debianUrl(part, debianRelease))),
    ...sorted(npm).map((part) => component('library', part, npmUrl(part))),
  ];
  const metadata = { component: component('application', subject, `pkg:generic/${subject.name}@${subject.version}`) };
  return `${JSON.stringify({ ...FORMAT, metadata, components }, undefined, 1)}\n`;
}

function sorted<T extends Part>(parts: readonly T[]): T[] {
  const key = ({ name, version }: Part) => `${name}@${version}`;
  return [...new Map(parts.map((part) => [key(part), part])).values()].toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

function insideComponent(part: Part) {
  return component('library', part, `pkg:generic/${part.name}@${encodeURIComponent(part.version)}`);
}

function component(type: string, { name, version, licence }: Part, purl: string, components: readonly unknown[] = []) {
  const licences = licence === undefined ? {} : { licenses: [licenceChoice(licence)] };
  const inside = components.length === 0 ? {} : { components };
  return { type, 'bom-ref': purl, name, version, ...licences, purl, ...inside };
}

/** An expression has operators; a single identifier is one too. Anything else is a name. */
function licenceChoice(licence: string) {
  return /^[\w.+-]+( (AND|OR|WITH) [\w.+-]+)*$/.test(licence.replaceAll(/[()]/g, ''))
    ? { expression: licence }
    : { license: { name: licence } };
}

function npmUrl({ name, version }: Part): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

function debianUrl({ name, version, architecture }: DebianPart, release: string): string {
  return `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}&distro=debian-${release}`;
}
