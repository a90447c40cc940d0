import { expect, test } from '@jest/globals';
import { billOfMaterials, type Materials } from './bill.ts';

const MATERIALS: Materials = {
  subject: { name: 'egressd-collector', version: '0.1.0', licence: 'Apache-2.0' },
  npm: [
    { name: 'yaml', version: '2.9.1', licence: 'ISC' },
    { name: '@grpc/grpc-js', version: '1.14.7', licence: 'Apache-2.0' },
    { name: 'yaml', version: '2.9.1', licence: 'ISC' },
    { name: 'odd', version: '1.0.0', licence: 'SEE LICENSE IN LICENSE' },
    { name: 'choice', version: '1.0.0', licence: '(MIT OR GPL-3.0-or-later)' },
    { name: 'unlicensed', version: '1.0.0' },
  ],
  debian: [{ name: 'libstdc++6', version: '12.2.0-14+deb12u1', architecture: 'amd64' }],
  debianRelease: '12',
  node: { name: 'node', version: '24.21.0', licence: 'MIT' },
  insideNode: [{ name: 'openssl', version: '3.5.1' }],
};

interface Component {
  readonly purl: string;
  readonly licenses?: unknown;
  readonly components?: readonly Component[];
}

function componentsOf(materials: Materials): readonly Component[] {
  return (JSON.parse(billOfMaterials(materials)) as { components: Component[] }).components;
}

test('every part is named once, by its package URL', () => {
  expect(componentsOf(MATERIALS).map(({ purl }) => purl)).toEqual([
    'pkg:generic/node@24.21.0',
    'pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12',
    'pkg:npm/%40grpc/grpc-js@1.14.7',
    'pkg:npm/choice@1.0.0',
    'pkg:npm/odd@1.0.0',
    'pkg:npm/unlicensed@1.0.0',
    'pkg:npm/yaml@2.9.1',
  ]);
});

test('what is built into Node.js lies below it', () => {
  expect(componentsOf(MATERIALS)[0]?.components?.map(({ purl }) => purl)).toEqual(['pkg:generic/openssl@3.5.1']);
});

test('a licence is an expression where it is one, else a name', () => {
  const licences = new Map(componentsOf(MATERIALS).map(({ purl, licenses }) => [purl, licenses]));
  expect(licences.get('pkg:npm/yaml@2.9.1')).toEqual([{ expression: 'ISC' }]);
  expect(licences.get('pkg:npm/choice@1.0.0')).toEqual([{ expression: '(MIT OR GPL-3.0-or-later)' }]);
  expect(licences.get('pkg:npm/odd@1.0.0')).toEqual([{ license: { name: 'SEE LICENSE IN LICENSE' } }]);
  expect(licences.get('pkg:npm/unlicensed@1.0.0')).toBeUndefined();
});

test('the same materials give the same bytes, in whatever order they are found', () => {
  const turned = { ...MATERIALS, npm: MATERIALS.npm.toReversed() };
  expect(billOfMaterials(turned)).toBe(billOfMaterials(MATERIALS));
});
