import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedTables, withTables } from './tables.ts';

// `npm run docs`: brings the generated tables of the documents up to date.
const ROOT = join(import.meta.dirname, '../../../..');
for (const [page, tables] of Object.entries(await generatedTables())) {
  const file = join(ROOT, page);
  writeFileSync(file, withTables(readFileSync(file, 'utf8'), tables));
}
