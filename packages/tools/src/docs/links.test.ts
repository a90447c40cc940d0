import { existsSync, statSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { anchors, DOCUMENTS, type Document, prose, ROOT, readDocument } from './documents.ts';

/** Targets of links and pictures, without those to other hosts. */
function relativeLinks(document: Document): string[] {
  const targets = [
    ...prose(document)
      .replace(/`[^`\n]*`/g, '')
      .matchAll(/\]\(([^)\s]+)\)/g),
  ];
  return targets.map(([, target = '']) => target).filter((target) => !/^[a-z]+:/.test(target));
}

/** What is wrong with a link, or undefined. */
function broken(document: Document, link: string): string | undefined {
  const [target = '', anchor] = link.split('#');
  const path = target === '' ? document.path : normalize(join(document.path, '..', target));
  if (path.startsWith('..') || !existsSync(join(ROOT, path))) return `${link}: there is no ${path}`;
  if (anchor === undefined || !path.endsWith('.md')) return undefined;
  return anchors(readDocument(path)).has(anchor) ? undefined : `${link}: ${path} has no such heading`;
}

describe('links of the documents lead somewhere', () => {
  test.each(DOCUMENTS.map((document) => [document.path, document] as const))('%s', (_, document) => {
    expect(relativeLinks(document).flatMap((link) => broken(document, link) ?? [])).toEqual([]);
  });

  test('a link to a missing file or heading is found', () => {
    const document = {
      path: 'docs/x.md',
      text: '[a](no.md) [b](../README.md#no) [c](../README.md) [d](#x-1)\n# x\n# x\n',
    };
    expect(relativeLinks(document).map((link) => broken({ ...document, path: 'docs/flags.md' }, link))).toEqual([
      'no.md: there is no docs/no.md',
      '../README.md#no: README.md has no such heading',
      undefined,
      '#x-1: docs/flags.md has no such heading',
    ]);
    expect([...anchors(document)]).toEqual(['x', 'x-1']);
  });
});

test('every page of docs/ is linked from the README', () => {
  const readme = readDocument('README.md');
  const linked = relativeLinks(readme).map((link) => normalize(link.split('#')[0]!));
  const pages = DOCUMENTS.map(({ path }) => path).filter((path) => path.startsWith('docs/'));
  expect(pages.length).toBeGreaterThan(10);
  expect(pages.filter((page) => !linked.includes(page))).toEqual([]);
});

test('README.md is a front page: at most 150 lines', () => {
  expect(readDocument('README.md').text.trimEnd().split('\n').length).toBeLessThanOrEqual(150);
});

test('the picture of the README stays small', () => {
  expect(statSync(join(ROOT, 'docs/picture.png')).size).toBeLessThan(150_000);
});
