import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultObjects, rightsTable } from '../chart/rights-table.ts';
import { selfMetrics } from './self-metrics.ts';
import { readmeTables, withTables } from './tables.ts';

// Brings the tables of the documents up to date.
const ROOT = join(import.meta.dirname, '../../../..');
write('README.md', { ...readmeTables(), ...(await selfMetrics()) });
write('deploy/THREAT-MODEL.md', { rights: rightsTable(defaultObjects()) });

function write(document: string, tables: Readonly<Record<string, string>>): void {
  const file = join(ROOT, document);
  writeFileSync(file, withTables(readFileSync(file, 'utf8'), tables));
}
