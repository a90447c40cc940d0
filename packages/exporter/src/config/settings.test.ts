import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';
import type { HttpSinkSettings } from '../sinks/http-post/settings.ts';
import type { OtlpSettings } from '../sinks/otlp/settings.ts';
import { formatPath } from './issues.ts';
import { readConfig } from './load.ts';
import { configSchema } from './schema.ts';

/** The file that docs/configuration.md shows. */
const SETTINGS = readFileSync(join(import.meta.dirname, 'testdata/settings.yaml'), 'utf8');

/** Settings that are accepted, not used and not documented. */
const NOT_SHOWN = ['collectorsConcurrentFetchCount', 'collectorFetchTimeout', 'log'];

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Every setting that a schema knows; `NAME` where names are free. */
function settingsOf({ anyOf, properties, additionalProperties }: JsonSchema, path: string[] = []): string[] {
  const inner = (anyOf as JsonSchema[] | undefined)?.find(({ type }) => type !== 'null');
  if (inner !== undefined) return settingsOf(inner, path);
  if (properties !== undefined)
    return Object.entries(properties).flatMap(([key, value]) => settingsOf(value as JsonSchema, [...path, key]));
  // Maps of strings are one setting.
  const named = additionalProperties && settingsOf(additionalProperties as JsonSchema, [...path, 'NAME']);
  return named && named[0] !== formatPath([...path, 'NAME']) ? named : [formatPath(path)];
}

/** Every setting that a file has. */
function settingsIn(value: unknown, path: string[] = []): string[] {
  const one = Array.isArray(value) || ['headers', 'labels', 'resourceAttributes'].includes(path.at(-1) ?? '');
  if (one || typeof value !== 'object' || value === null) return [formatPath(path)];
  const entries = Object.entries(value);
  return entries.flatMap(([key, inner]) => settingsIn(inner, [...path, path.at(-1) === 'sinks' ? 'NAME' : key]));
}

test('the file that shows every setting shows every setting', () => {
  const known = settingsOf(z.toJSONSchema(configSchema('/'), { io: 'input', unrepresentable: 'any' })).filter(
    (path) => !NOT_SHOWN.some((hidden) => path.startsWith(hidden)),
  );
  expect(known).toContain('sinks.NAME.prom_remote_write.tls.caFile');
  expect([...new Set(settingsIn(parse(SETTINGS)))].sort()).toEqual(known.sort());
});

test('it is valid, and what it calls defaults are the defaults', () => {
  const loaded = readConfig(SETTINGS, '/etc/egressd/config.yaml', { API_KEY: 'k' });
  expect(loaded.ok ? loaded.warnings : loaded.mistakes).toEqual([]);
  const sinks = loaded.ok ? loaded.config.sinks : [];
  const [first, second] = sinks.map((sink) => sink.settings);
  const shown = ['sendReceivedBytesMetric', 'sendPacketsMetric', 'regionLabels', 'maxSeries', 'timeoutMs', 'headers'];
  const pick = (settings: object = {}) => Object.entries(settings).filter(([key]) => shown.includes(key));
  expect(pick(first)).toHaveLength(shown.length);
  expect(pick(first)).toEqual(pick(second));
  const least =
    'sinks: { http: { http: { url: "http://a/" } }, otlp: { otlp: { url: "http://a/" } }, file: { file: { path: /var/lib/egressd/flows.jsonl } }, stdout: { stdout: }}';
  const defaults = readConfig(least, '/etc/egressd/config.yaml', {});
  expect(defaults.ok && defaults.config.sinks).toHaveLength(4);
  for (const sink of defaults.ok ? defaults.config.sinks : []) {
    const { url, compression, headers, resourceAttributes, labels, written, ...others } = sink.settings as Partial<
      HttpSinkSettings & OtlpSettings
    >;
    expect(sinks.find(({ kind }) => kind === sink.kind)?.settings).toMatchObject(others);
  }
  const plain = readConfig('', '/etc/egressd/config.yaml', {});
  expect(loaded.ok && loaded.config.exportIntervalMs).toBe(plain.ok && plain.config.exportIntervalMs);
});
