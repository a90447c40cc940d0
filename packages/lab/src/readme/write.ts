import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { selfMetrics } from './self-metrics.ts';
import { readmeTables, withTables } from './tables.ts';

// Brings the tables of README.md up to date.
const README = join(import.meta.dirname, '../../../../README.md');
writeFileSync(README, withTables(readFileSync(README, 'utf8'), { ...readmeTables(), ...(await selfMetrics()) }));
