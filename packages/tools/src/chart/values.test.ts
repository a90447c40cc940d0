import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { VALUES_FILES, valuesOf } from './values-files.ts';

const CHART = join(import.meta.dirname, '../../../../deploy/chart/egressd');
const read = (file: string) => readFileSync(join(CHART, file), 'utf8');

type Map = Readonly<Record<string, unknown>>;
const VALUES = parse(read('values.yaml')) as Map;

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
}
const SCHEMA = JSON.parse(read('values.schema.json')) as Schema;

const isMap = (value: unknown): value is Map => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The settings in values.yaml that the schema has no words for; a map without properties may hold anything. */
function withoutWords(values: Map, { properties = {} }: Schema, path = ''): string[] {
  return Object.entries(values).flatMap(([key, value]) => {
    const schema = properties[key];
    if (schema?.description === undefined) return [`${path}${key}`];
    return isMap(value) && schema.properties !== undefined ? withoutWords(value, schema, `${path}${key}.`) : [];
  });
}

/** The properties in the schema that values.yaml does not show. */
function notShown(values: unknown, { properties = {} }: Schema, path = ''): string[] {
  return Object.entries(properties).flatMap(([key, schema]) => {
    if (!isMap(values) || !(key in values)) return [`${path}${key}`];
    return notShown(values[key], schema, `${path}${key}.`);
  });
}

describe('the schema of the values', () => {
  test('has words for every setting, and every setting is shown with its default', () => {
    expect(withoutWords(VALUES, SCHEMA)).toEqual([]);
    expect(notShown(VALUES, SCHEMA)).toEqual(
      ['issuerRef.name', 'issuerRef.kind', 'issuerRef.group'].map((key) => `tls.certManager.${key}`),
    );
  });

  const valid = new Ajv({ strict: false }).compile(SCHEMA);
  test.each(VALUES_FILES)('takes %s', (name) => {
    expect(valid(valuesOf(name)) || valid.errors).toBe(true);
  });

  test('takes the defaults', () => {
    expect(valid(VALUES) || valid.errors).toBe(true);
  });
});

test('the settings that the notes know are those of values.yaml', () => {
  const [, listed] = /define "egressd.knownValues" -}}\n([\s\S]*?){{- end }}/.exec(read('templates/_notes.tpl')) ?? [];
  const known = parse(listed!) as Map;
  const { global: _, ...values } = VALUES;
  const expected = Object.entries(values).map(([key, value]) => [
    key,
    ['castai', 'collector', 'exporter'].includes(key) ? Object.keys(value as Map).sort() : null,
  ]);
  const sorted = Object.entries(known).map(([key, names]) => [key, Array.isArray(names) ? [...names].sort() : names]);
  expect(sorted.sort()).toEqual(expected.sort());
});

test('chart and programs have one version', () => {
  const chart = parse(read('Chart.yaml')) as { version: string; appVersion: string };
  const { version } = JSON.parse(readFileSync(join(CHART, '../../../package.json'), 'utf8')) as { version: string };
  expect(chart).toMatchObject({ version, appVersion: version });
});
