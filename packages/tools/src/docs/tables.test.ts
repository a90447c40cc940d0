import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { selfMetrics } from './self-metrics.ts';
import { readmeTables, withTables } from './tables.ts';

const TEXT = 'Flags\n\n<!-- begin: a -->\n\nold\n\n<!-- end: a -->\nand\n<!-- begin: b -->\n<!-- end: b -->\n';

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

test('the tables have a row a flag and a line a setting', () => {
  const tables = readmeTables();
  expect(tables['collector flags']).toContain('| `-read-interval` | `5s` |');
  expect(tables['exporter flags']).toContain('| `-grpc-listen-port` | `6062` |');
  expect(tables.settings).toContain('sendReceivedBytesMetric: false');
});

test('README.md holds them as they are: `node --conditions=source packages/tools/src/docs/write.ts` brings it up to date', async () => {
  const readme = readFileSync(join(import.meta.dirname, '../../../../README.md'), 'utf8');
  expect(withTables(readme, { ...readmeTables(), ...(await selfMetrics()) })).toBe(readme);
});
