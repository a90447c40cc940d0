import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { DOCUMENTS } from './docs/documents.ts';
import { stripComments } from './strip-comments.ts';

/**
 * Names, log messages, errors, metrics and their texts use the words that a Kubernetes, Prometheus or kernel engineer would search
 * for. None of these stands for one of them.
 */
const FORBIDDEN: Readonly<Record<string, string>> = {
  amiss: 'a problem, invalid, degraded',
  tell: 'report, send',
  tells: 'reports, sends',
  told: 'reported, sent, received',
  untold: 'undelivered',
  nobody: 'no pod, no owner, no listener',
  somebody: 'a process, a client',
  anybody: 'anyone, a client',
  everybody: 'every client',
  whoever: 'the process that',
  tenure: 'ownership',
  tenures: 'ownerships',
  books: 'state',
  diary: 'history',
  numbering: 'epoch',
  dialled: 'the original destination',
  grain: 'the pair of addresses',
  stranger: 'unknown, untrusted',
  strangers: 'unknown, untrusted',
};

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** Words of a text, with their lines: those within identifiers too, as in `untilTold`, `ALL_BOOKS` or `told2`. */
function* wordsOf(text: string): Iterable<readonly [word: string, line: number]> {
  for (const [i, line] of text.split('\n').entries())
    for (const [word] of line.matchAll(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g)) yield [word.toLowerCase(), i + 1];
}

/** `file:line: word` of every forbidden word. */
function found(name: string, text: string): string[] {
  return [...wordsOf(text)].flatMap(([word, line]) =>
    Object.hasOwn(FORBIDDEN, word) ? [`${name}:${line}: "${word}", better: ${FORBIDDEN[word]}`] : [],
  );
}

/** Files below a folder, relative to the repository. */
function filesBelow(folder: string, wanted: RegExp): string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((path) => wanted.test(path) && !/\/(node_modules|dist|gen|testdata)\//.test(path));
}

/** This test holds the words that it forbids. */
const TEST_CODE = /(\.test|(^|[./])testing)\.ts$|\/testing\//;
const packages = readdirSync(join(ROOT, 'packages'), { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() && entry.name !== 'node_modules' ? entry.name : [],
);

describe('sources, without their comments', () => {
  test.each(packages)('of %s', (name) => {
    const files = filesBelow(`packages/${name}`, /\.(ts|mjs)$/).filter((path) => !TEST_CODE.test(path));
    expect(files.length).toBeGreaterThan(3);
    expect(files.flatMap((path) => found(path, stripComments(read(path))))).toEqual([]);
    expect(files.flatMap((path) => found(path, path))).toEqual([]);
  });
});

test('the wire', () => {
  const files = filesBelow('proto', /\.proto$/);
  expect(files.length).toBeGreaterThan(0);
  expect(files.flatMap((path) => found(path, stripComments(read(path))))).toEqual([]);
});

test('chart, alerts, dashboards and demo', () => {
  const files = filesBelow('deploy', /\.(ya?ml|json|tpl|txt|sh)$/i);
  expect(files.some((path) => path.endsWith('rules/egressd.yaml'))).toBe(true);
  expect(files.flatMap((path) => found(path, read(path)))).toEqual([]);
});

test('documents', () => {
  // The change log speaks of what once was; findings have names of scripts.
  const paths = DOCUMENTS.map(({ path }) => path).filter((path) => !path.startsWith('findings/'));
  expect(paths.length).toBeGreaterThan(20);
  expect(paths.flatMap((path) => found(path, read(path)))).toEqual([]);
});

test.each([
  ['untilTold', ['told']],
  ['NODES_AMISS, keptBooks', ['amiss', 'books']],
  ['"nobody was TOLD"', ['nobody', 'told']],
  ['tolds, bookshelf, renumbering', []],
])('words of %s: %j', (text, words) => {
  expect(found('x', text)).toEqual(words.map((word) => expect.stringContaining(`x:1: "${word}"`)));
});
