import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { CHART, helm, type KubeObject, render, renderText } from './helm.ts';
import { schemaMistakes, typeMistakes } from './objects-check.ts';
import { unmet } from './references.ts';
import { VALUES_FILES, valuesOf } from './values-files.ts';

const RENDERED = join(import.meta.dirname, 'testdata/rendered');
/** By name of the values file. */
const renderings = new Map<string, KubeObject[]>();

beforeAll(async () => {
  await Promise.all(VALUES_FILES.map(async (name) => renderings.set(name, await render({ values: valuesOf(name) }))));
});

/** In an order of their own, so that a template may move. */
function sorted(objects: readonly KubeObject[]): KubeObject[] {
  const key = ({ kind, metadata }: KubeObject) => `${kind}/${metadata.name}`;
  return [...objects].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Longer texts, and groups of alerts, are files of the chart: they may change without the templates. */
const FILE_CHARACTERS = 4000;

function print(objects: readonly KubeObject[]): string {
  const shorten = (key: unknown, value: unknown) =>
    key === 'groups' || (typeof value === 'string' && value.length > FILE_CHARACTERS) ? '(a file of the chart)' : value;
  const options = { lineWidth: 0, aliasDuplicateObjects: false };
  return objects.map((object) => stringify(object, shorten, options)).join('---\n');
}

describe.each(VALUES_FILES)('%s', (name) => {
  test('renders as it is written down', () => {
    // The defaults in full; of the others what differs from them. UPDATE_GOLDEN=1 rewrites the files.
    const defaults = new Set(renderings.get('default')!.map((object) => JSON.stringify(object)));
    const other = (object: KubeObject) => name === 'default' || !defaults.has(JSON.stringify(object));
    const text = print(sorted(renderings.get(name)!).filter(other));
    const file = join(RENDERED, `${name}.yaml`);
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, text);
    expect(text).toBe(readFileSync(file, 'utf8'));
  });

  test('every object is what its schema says', async () => {
    const mistakes = await Promise.all(renderings.get(name)!.map(schemaMistakes));
    expect(mistakes.flat()).toEqual([]);
  });

  test('what an object names is there', () => {
    expect(unmet(renderings.get(name)!)).toEqual([]);
  });

  test('passes the strict linter', async () => {
    const said = await helm(['lint', '--strict', CHART, '-f', '-'], JSON.stringify(valuesOf(name)));
    expect(said).toContain('1 chart(s) linted, 0 chart(s) failed');
  });
});

test('no object has a field that does not exist, or a value of another type', () => {
  expect(typeMistakes([...renderings.values()].flat())).toBe('');
});

test('the checks see what is wrong', async () => {
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'x' },
    spec: { ipFamilyPolcy: 'SingleStack' },
  };
  expect(typeMistakes([service])).toContain('\'"ipFamilyPolcy"\' does not exist');
  const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name: 'x' }, rules: [{}] };
  expect(await schemaMistakes(role)).toEqual([expect.stringContaining('verbs')]);
  const broken = structuredClone(renderings.get('default')!).filter(({ kind }) => kind !== 'ConfigMap');
  expect(unmet(broken)).toEqual(['Deployment egressd-exporter: there is no ConfigMap egressd-exporter']);
});

test.each(VALUES_FILES)('two renderings are the same: %s', async (name) => {
  const values = valuesOf(name);
  const [first, second] = await Promise.all([renderText({ values }), renderText({ values })]);
  expect(second).toBe(first);
});

/** How long a name may be, where that is less than the 253 characters of most. */
const MOST_CHARACTERS: Readonly<Record<string, number>> = { Service: 63, Job: 63, CronJob: 52, Pod: 63 };

test.each([{}, { nameOverride: 'c'.repeat(63) }, { fullnameOverride: 'd'.repeat(63) }])(
  'the longest names: %j',
  async (values) => {
    const objects = await render({ values, release: 'a'.repeat(53), namespace: 'b'.repeat(63) });
    const long = objects.filter(({ kind, metadata }) => metadata.name.length > (MOST_CHARACTERS[kind] ?? 253));
    expect(long.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([]);
    const labels = objects.flatMap(({ metadata }) => Object.values(metadata.labels ?? {}));
    expect(labels.filter((label) => label.length > 63)).toEqual([]);
    // Of several that were cut, none has become another's.
    const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
  },
);
