/** Writes the chart's dashboards anew: `node --conditions=source packages/tools/src/dashboards/write.ts` */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { dashboardFiles } from './files.ts';

for (const [path, text] of dashboardFiles()) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
