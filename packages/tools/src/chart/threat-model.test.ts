import { expect, test } from '@jest/globals';
import { defaultObjects, rightsTable } from './rights-table.ts';

test('a container that was given more is in the table, or cannot be listed', () => {
  const table = rightsTable(defaultObjects());
  const changed = (from: string, to: string) => JSON.parse(JSON.stringify(defaultObjects()).replaceAll(from, to));
  expect(rightsTable(changed('"NET_ADMIN"', '"SYS_ADMIN"'))).not.toBe(table);
  expect(rightsTable(changed('"hostPID":false', '"hostPID":true'))).not.toBe(table);
  expect(rightsTable(changed('"verbs":["create"]', '"verbs":["create","delete"]'))).not.toBe(table);
  expect(rightsTable(changed('"path":"/var/lib/egressd/collector"', '"path":"/"'))).not.toBe(table);
  expect(() => rightsTable(changed('"drop":["ALL"]', '"drop":[]'))).toThrow('has more than can be listed');
});
