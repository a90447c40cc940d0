import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig, readConfig } from '@egressd/exporter/config/load';
import { parseInventory } from '@egressd/exporter/inventory/parse';
import { describe, expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { ROOT } from './documents.ts';
import { YAML_BLOCKS, type YamlKind } from './yaml-blocks.ts';

const SCHEMA = JSON.parse(readFileSync(join(ROOT, 'deploy/chart/egressd/values.schema.json'), 'utf8')) as object;
const validValues = new Ajv({ strict: false }).compile(SCHEMA);
/** What the examples take from the environment. */
const ENVIRONMENT = { API_KEY: 'key' };

const of = (kind: YamlKind) =>
  YAML_BLOCKS.filter((block) => block.kind === kind).map((one) => [one.title, one] as const);

describe('blocks of the documents', () => {
  test.each(of('configuration'))('configuration: %s', (_, { text }) => {
    expect(readConfig(text, '/etc/egressd/config.yaml', ENVIRONMENT)).toMatchObject({ ok: true });
  });

  test.each(of('inventory'))('inventory: %s', (_, { text }) => {
    expect(parseInventory(text)).toMatchObject({ ok: true });
  });

  test.each(of('values'))('values of the chart: %s', (_, { value }) => {
    expect(validValues(value) || validValues.errors).toBe(true);
  });

  test.each(of('rules'))('rules of a role: %s', (_, { value }) => {
    const rule = { apiGroups: expect.any(Array), resources: expect.any(Array), verbs: expect.any(Array) };
    expect(value).toEqual((value as object[]).map((each) => ({ ...each, ...rule })));
  });
});

describe('examples', () => {
  const folder = join(ROOT, 'examples');

  test.each(readdirSync(join(folder, 'values')))('values/%s', (file) => {
    expect(validValues(parse(readFileSync(join(folder, 'values', file), 'utf8'))) || validValues.errors).toBe(true);
  });

  test('linux-hosts', () => {
    const loaded = loadConfig(join(folder, 'linux-hosts/config.yaml'), {});
    const inventory = join(folder, 'linux-hosts/inventory.yaml');
    expect(loaded).toMatchObject({ ok: true, warnings: [], config: { inventory } });
    expect(parseInventory(readFileSync(inventory, 'utf8'))).toMatchObject({ ok: true });
  });
});
