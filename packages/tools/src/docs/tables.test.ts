import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { generatedTables, withTables } from './tables.ts';

const ROOT = join(import.meta.dirname, '../../../..');
const TEXT = 'Flags\n\n<!-- begin: a -->\n\nold\n\n<!-- end: a -->\nand\n<!-- begin: b -->\n<!-- end: b -->\n';
const PAGES = await generatedTables();

test('tables stand between their markers, and what is around them stays', () => {
  const once = withTables(TEXT, { a: '| a |\n', b: '| b |\n' });
  expect(once).toBe(
    'Flags\n\n<!-- begin: a -->\n\n| a |\n\n<!-- end: a -->\nand\n<!-- begin: b -->\n\n| b |\n\n<!-- end: b -->\n',
  );
  expect(withTables(once, { a: '| a |\n', b: '| b |\n' })).toBe(once);
});

test('a marker that is missing is named', () => {
  expect(() => withTables(TEXT, { c: '' })).toThrow('no lines <!-- begin: c --> and <!-- end: c -->: add them');
});

test('the tables have a row a flag, a metric and a room, and a line a setting', () => {
  const text = Object.values(PAGES).flatMap(Object.values).join('\n');
  expect(text).toContain('| `-read-interval` | `5s` |');
  expect(text).toContain('| `-grpc-listen-port` | `6062` |');
  expect(text).toContain('| `egressd_collector_conntrack_entries_skipped` |');
  expect(text).toContain('sendReceivedBytesMetric: false');
  expect(text).toContain('| `reducer` (pure) | `word-table`, `conntrack/record` | `flow-table` | `@egressd/flow` |');
});

describe('generated tables are up to date: `npm run docs`', () => {
  test.each(Object.entries(PAGES))('%s', (page, tables) => {
    const text = readFileSync(join(ROOT, page), 'utf8');
    expect(withTables(text, tables)).toBe(text);
  });

  test('no page has other markers', () => {
    for (const [page, tables] of Object.entries(PAGES)) {
      const markers = readFileSync(join(ROOT, page), 'utf8').matchAll(/^<!-- begin: (.*) -->$/gm);
      expect([...markers].map(([, name]) => name).sort()).toEqual(Object.keys(tables).sort());
    }
  });
});
