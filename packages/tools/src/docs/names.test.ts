import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRegistry } from '@egressd/daemon/metrics';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { stripComments } from '../strip-comments.ts';
import { readArguments } from '../truth/arguments.ts';
import { ROWS } from '../truth/rows/table.ts';
import { blocks, commands, DOCUMENTS, type Document, inlineCode, ROOT, readDocument } from './documents.ts';
import { collectorRegistry, exporterRegistry } from './self-metrics.ts';

const PACKAGES = join(ROOT, 'packages');
/** What the daemons are made of, without its comments. */
const SOURCES = ['collector', 'exporter', 'daemon', 'flow']
  .flatMap((name) =>
    readdirSync(join(PACKAGES, name, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .map((file) => stripComments(readFileSync(join(PACKAGES, name, 'src', file), 'utf8'))),
  )
  .join('\n');

const each = DOCUMENTS.map((document) => [document.path, document] as const);
const codes = (pattern: RegExp, documents: readonly Document[] = DOCUMENTS) => [
  ...new Set(
    documents.flatMap((document) =>
      inlineCode(document).flatMap((code) => [...code.matchAll(pattern)].map(([, name = '']) => name)),
    ),
  ),
];

/** Labels of a self metric; undefined: it is none. */
function labelsOf(metric: string): readonly string[] | undefined {
  for (const registry of REGISTRIES) {
    const found = registry.getSingleMetric(metric) as { labelNames?: readonly string[] } | undefined;
    if (found !== undefined) return found.labelNames ?? [];
  }
  return undefined;
}
const REGISTRIES = [collectorRegistry(), exporterRegistry(), createRegistry()];

describe('labels of self metrics, and their values', () => {
  const selectors = DOCUMENTS.flatMap((document) =>
    inlineCode(document).flatMap((code) => [...code.matchAll(/\b(egressd_\w+)\{([^}]+)\}/g)]),
  ).flatMap(([, metric = '', inside = '']) =>
    labelsOf(metric) === undefined
      ? []
      : [...inside.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', value = '']) => [metric, label, value] as const),
  );

  test('some are named', () => {
    expect(selectors.length).toBeGreaterThan(5);
  });

  test.each(selectors)('%s{%s="%s"}', (metric, label, value) => {
    expect(labelsOf(metric)).toContain(label);
    expect(SOURCES).toMatch(new RegExp(`'${value}'|\\b${value}:`));
  });
});

describe('settings of the chart', () => {
  const values = parse(readFileSync(join(ROOT, 'deploy/chart/egressd/values.yaml'), 'utf8')) as object;

  /** Of the configuration, where the chart has settings of the same name. */
  const TLS_OF_A_SINK = 'tls.caFile';

  /** Whether a path leads to a setting. What is empty by default may hold anything. */
  function leads(path: readonly string[], value: unknown): boolean {
    const [key, ...rest] = path;
    if (key === undefined || typeof value !== 'object' || value === null || Object.keys(value).length === 0)
      return true;
    return key in value && leads(rest, (value as Readonly<Record<string, unknown>>)[key]);
  }

  const named = codes(/^((?:global|castai|collector|exporter|tls|monitoring)(?:\.[A-Za-z]+)+)\b/g);
  test.each(named.filter((path) => !path.endsWith('.ts') && path !== TLS_OF_A_SINK))('%s', (path) => {
    expect(leads(path.split('.'), values)).toBe(true);
  });

  test('one that is not there is found', () => {
    expect(leads(['collector', 'ctMode'], values)).toBe(true);
    expect(leads(['collector', 'ctModes'], values)).toBe(false);
  });
});

describe('log lines, as they are searched for', () => {
  const lines = codes(/\bmsg="([^"]+)"/g).filter((line) => line !== '...');

  test('some are quoted', () => {
    expect(lines.length).toBeGreaterThan(8);
  });

  test.each(lines)('%s', (line) => {
    expect(SOURCES).toContain(`'${line}'`);
  });

  test.each(codes(/\breason=(\w+)/g))('reason=%s', (reason) => {
    expect(SOURCES).toContain(`'${reason}'`);
  });
});

test('Events of Kubernetes', () => {
  const events = DOCUMENTS.flatMap(({ text }) => [...text.matchAll(/\bEvent `(\w+)`/g)].map(([, name = '']) => name));
  expect(events.length).toBeGreaterThan(2);
  expect(events.filter((name) => !SOURCES.includes(`'${name}'`))).toEqual([]);
});

describe('the proof', () => {
  const started = DOCUMENTS.flatMap((document) => [...commands(document), ...inlineCode(document)]).flatMap(
    (command) => /^npm run truth -- ([a-z-].*)$/.exec(command)?.[1] ?? [],
  );

  test.each([...new Set(started)].filter((args) => !/\[|\bROW\b/.test(args)))('npm run truth -- %s', (args) => {
    expect(typeof readArguments(args.split(' '), ROWS)).toBe('object');
  });

  test('rows', () => {
    const { text } = readDocument('docs/accuracy.md');
    const named = [...text.matchAll(/\brows? ((?:`[a-z-]+`(?:, | and )?)+)/g)].flatMap(([, list = '']) =>
      [...list.matchAll(/`([a-z-]+)`/g)].map(([, name = '']) => name),
    );
    expect(named.length).toBeGreaterThan(3);
    expect(named.filter((name) => !ROWS.some((row) => row.name === name))).toEqual([]);
  });
});

describe('files in drawings', () => {
  const rooms = ['', 'collector/src', 'exporter/src', 'flow/src', 'collector', 'exporter', 'flow'];
  const named = blocks(readDocument('docs/architecture.md')).flatMap(
    ({ text }) => text.match(/\b[\w-]+(?:\/[\w.-]+)*\/[\w-]*(?:\.ts)?|\b[\w-]+\.ts\b/g) ?? [],
  );

  test.each([...new Set(named)])('%s', (path) => {
    expect(rooms.some((room) => existsSync(join(PACKAGES, room, path)))).toBe(true);
  });
});

describe('options of tools', () => {
  /** The programs of verbs that have options of their own. */
  const PROGRAMS: Readonly<Record<string, string>> = {
    demo: 'demo',
    soak: 'soak',
    fuzz: 'fuzz',
    images: 'images',
    worlds: 'worlds',
  };

  test.each(each)('%s', (_, document) => {
    const unknown = [...commands(document), ...inlineCode(document)].flatMap((command) => {
      const [, verb = '', args = ''] = /^npm run (\w+) -- (.*)$/.exec(command) ?? [];
      const folder = PROGRAMS[verb];
      if (folder === undefined) return [];
      const source = readFileSync(join(PACKAGES, 'tools/src', folder, 'main.ts'), 'utf8');
      const options = [...args.matchAll(/--(\w[\w-]*)/g)].map(([, name = '']) => name);
      return options.filter((name) => !source.includes(`${name}: {`)).map((name) => `${verb} --${name}`);
    });
    expect(unknown).toEqual([]);
  });
});

test('the Node.js that verbs start with', () => {
  const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } };
  const version = /^>=(\d+)$/.exec(engines.node)![1];
  for (const page of ['README.md', 'docs/development.md'])
    expect(readDocument(page).text).toContain(`Node.js ${version}`);
});
