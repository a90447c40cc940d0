import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { withTables } from '../docs/tables.ts';
import { defaultObjects, rightsTable } from './rights-table.ts';

const FILE = join(import.meta.dirname, '../../../../deploy/THREAT-MODEL.md');

test('deploy/THREAT-MODEL.md lists the rights that the chart gives: `node --conditions=source packages/tools/src/docs/write.ts` brings it up to date', () => {
  const text = readFileSync(FILE, 'utf8');
  expect(withTables(text, { rights: rightsTable(defaultObjects()) })).toBe(text);
});

test('a container that was given more is in the table, or cannot be listed', () => {
  const table = rightsTable(defaultObjects());
  const changed = (from: string, to: string) => JSON.parse(JSON.stringify(defaultObjects()).replaceAll(from, to));
  expect(rightsTable(changed('"NET_ADMIN"', '"SYS_ADMIN"'))).not.toBe(table);
  expect(rightsTable(changed('"hostPID":false', '"hostPID":true'))).not.toBe(table);
  expect(rightsTable(changed('"verbs":["create"]', '"verbs":["create","delete"]'))).not.toBe(table);
  expect(rightsTable(changed('"path":"/var/lib/egressd/collector"', '"path":"/"'))).not.toBe(table);
  expect(() => rightsTable(changed('"drop":["ALL"]', '"drop":[]'))).toThrow('has more than can be listed');
});
